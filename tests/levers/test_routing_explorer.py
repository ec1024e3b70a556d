"""Exploring: within the certified steps alone, towards the cheapest, with every propensity told."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_samples import lines, write

from farthing.levers.routing import Policy, Single, read_outcomes
from farthing.levers.routing.compiler import compile_ladder
from farthing.levers.routing.explorer import Drawn, Explorer, weighted
from farthing.levers.routing.mixture import further_steps
from farthing.levers.routing.serving import Asked, PoolTerms, Standing, choose
from farthing.levers.routing.table import make_table
from farthing.levers.routing.trial import Demand
from farthing.money import Money

A, B, C = (Single(name) for name in "abc")
KEY = ("mark", "easy")
COSTS = {"a": 900, "b": 300, "c": 1200}  # nanodollars


def spent(model, random):
    return Money(COSTS[model] + random.randrange(-200, 200))


def test_it_comes_to_the_cheapest_step_and_keeps_trying_the_others():
    explorer, random, taken = Explorer(Random(1), 0.1), Random(2), Counter()
    for number in range(4_000):
        step, _ = explorer.draw(KEY, (A, B, C))
        explorer.learn(KEY, step.model, spent(step.model, random))
        taken[step.model] += number >= 2_000
    assert taken["b"] >= 1_800
    assert min(taken["a"], taken["c"]) >= 30


def test_it_follows_when_another_step_becomes_the_cheapest():
    explorer = Explorer(Random(1), 0.2)
    for costs in ({"a": 100, "b": 200}, {"a": 900, "b": 200}):
        taken = Counter()
        for number in range(12_000):
            step, _ = explorer.draw(KEY, (A, B))
            explorer.learn(KEY, step.model, Money(costs[step.model]))
            taken[step.model] += number >= 11_000
    assert taken["b"] >= 850


def test_without_a_share_the_policy_s_own_step_serves():
    explorer = Explorer(Random(1), 0.0)
    assert explorer.draw(KEY, (A, B)) == (A, 1.0)


def test_steps_that_were_hardly_seen_share_the_draws_and_none_falls_below_its_even_part():
    explorer = Explorer(Random(1), 0.2)
    assert {p for _, p in (explorer.draw(KEY, (A, B)) for _ in range(50))} == {0.5}
    for _ in range(5):
        explorer.learn(KEY, "a", Money(100))
    chances = {step.model: p for step, p in (explorer.draw(KEY, (A, B)) for _ in range(200))}
    assert chances == {"a": pytest.approx(0.1), "b": pytest.approx(0.9)}


def seen(explorer, costs):
    for model, paid in costs.items():
        for cost in paid:
            explorer.learn(KEY, model, Money(cost))
    steps = tuple(Single(model) for model in costs)
    return {step.model: p for step, p in (explorer.draw(KEY, steps) for _ in range(2_000))}


def test_a_step_is_drawn_as_often_as_it_is_likely_to_be_the_cheapest():
    """Two means an error apart, by the normal distribution; and by draws from it."""
    random = Random(3)
    costs = {
        "a": [1_000, 1_400] * 10,
        "b": [1_080, 1_480] * 10,
        "c": [1_200, 1_900] * 10,
    }
    found = seen(Explorer(Random(1), 0.01), costs)
    spread = {name: np.std(paid) / np.sqrt(len(paid) - 1) for name, paid in costs.items()}
    wins = Counter(
        min(costs, key=lambda n: random.gauss(float(np.mean(costs[n])), float(spread[n])))
        for _ in range(20_000)
    )
    for name, chance in found.items():
        assert chance == pytest.approx(0.99 * wins[name] / 20_000 + 0.01 / 3, abs=0.015)


def test_the_draws_are_made_by_the_probabilities_that_are_told():
    explorer, told, taken = Explorer(Random(4), 0.1), Counter(), Counter()
    for model, paid in {"a": [1_000, 1_400] * 6, "b": [1_100, 1_500] * 6}.items():
        for cost in paid:
            explorer.learn(KEY, model, Money(cost))
    for _ in range(20_000):
        step, probability = explorer.draw(KEY, (A, B))
        told[step.model] = probability
        taken[step.model] += 1
    assert sum(told.values()) == pytest.approx(1)
    assert taken["b"] / 20_000 == pytest.approx(told["b"], abs=0.01)


def test_what_was_drawn_can_be_weighted_back_though_the_probabilities_change_all_the_time():
    """Each step's mean, from draws that come to prefer one of them more and more."""
    explorer, random, drawn = Explorer(Random(6), 0.2), Random(7), []
    for _ in range(20_000):
        step, probability = explorer.draw(KEY, (A, B, C))
        cost = spent(step.model, random)
        explorer.learn(KEY, step.model, cost)
        drawn.append(Drawn(step.model, probability, cost))
    found = {one.step: one.cost.nanodollars for one in weighted(drawn)}
    for model, cost in COSTS.items():
        assert found[model] == pytest.approx(cost, rel=0.03)
    share = sum(1 / one.probability for one in drawn if one.step == "a") / len(drawn)
    assert share == pytest.approx(1, abs=0.1)


def test_replayed_on_costs_of_models_it_comes_to_the_cheapest_within_a_few_hundred_calls():
    """Certified steps often differ three to fivefold in cost, and the policy's own is dearer."""
    random, explorer = Random(8), Explorer(Random(9), 0.05)
    means, paid = {"a": 4_000, "b": 1_000}, 0
    for _ in range(300):
        step, _ = explorer.draw(KEY, (A, B))
        cost = Money(round(means[step.model] * random.lognormvariate(0, 0.6)))
        explorer.learn(KEY, step.model, cost)
        paid += cost.nanodollars
    assert paid / 300 < 1.6 * 1_000


@pytest.fixture
def served():
    return Policy(
        incumbent="old",
        steps={"easy": A},
        templates=(),
        default_class="unknown",
        certificate=None,
        reason="",
        further={"easy": (B, C)},
    )


@given(
    share=st.floats(0, 1),
    count=st.integers(1, 4),
    costs=st.lists(st.integers(1, 10**9), min_size=1, max_size=200),
    seed=st.integers(0, 2**32),
)
def test_it_never_leaves_the_steps_it_is_given_and_their_probabilities_are_one(
    share, count, costs, seed
):
    explorer, steps = Explorer(Random(seed), share), (A, B, C, Single("d"))[:count]
    for cost in costs:
        step, probability = explorer.draw(KEY, steps)
        assert step in steps
        assert 0 < probability <= 1
        explorer.learn(KEY, step.model, Money(cost))
        if count > 1 and share:
            assert probability >= share / count * 0.999


def test_means_are_weighted_back_to_all_calls():
    """Step `a` is drawn mostly while calls are short: its plain mean would flatter it."""
    random, drawn = Random(5), []
    for number in range(20_000):
        scale, of_a = (1_000, 0.9) if number % 2 else (9_000, 0.1)
        is_a = random.random() < of_a
        step, probability = ("a", of_a) if is_a else ("b", 1 - of_a)
        drawn.append(Drawn(step, probability, Money(scale)))
    found = {one.step: one.cost.nanodollars for one in weighted(drawn)}
    assert found["a"] == pytest.approx(5_000, rel=0.06)
    assert found["b"] == pytest.approx(5_000, rel=0.06)
    plain = [one.cost.nanodollars for one in drawn if one.step == "a"]
    assert sum(plain) / len(plain) < 2_000


TWINS = {
    "old": (0.7, 0.01),
    "new": (0.85, 0.001),
    "twin": (0.85, 0.0011),
    "tiny": (0.3, 0.0001),
}


def explored(tmp_path, skills, floor, seed=3):
    table = make_table(
        read_outcomes(write(tmp_path / "o.jsonl.gz", lines(1500, skills, seed=seed))), "old"
    )
    both = compile_ladder(table, np.arange(table.size), np.random.default_rng(0))
    demand = Demand(floor=floor, confidence=0.975, horizon=1000, class_floors={})
    tried = both.attempt(table, demand)
    row, compiled = tried.row, tried.side
    assert row is not None
    parts = (compiled.selected, compiled.certified)
    return table, compiled, row, further_steps(table, compiled.ladder, row, parts, demand)


def test_a_step_as_good_is_certified_beside_the_policy_s_own_and_a_worse_one_is_not(tmp_path):
    _, _, _, found = explored(tmp_path, TWINS, 0.95)
    named = {step.model for steps in found.values() for step in steps}
    assert "twin" in named or "new" in named
    assert "tiny" not in named


def test_any_choice_among_the_certified_steps_holds_the_floor_on_the_labels(tmp_path):
    table, compiled, row, found = explored(tmp_path, TWINS, 0.95)
    ladder, where = compiled.ladder, compiled.certified
    sets = [
        [int(own), *(ladder.arms.steps.index(step) for step in found.get(name, ()))]
        for name, own in zip(table.class_names, ladder.choices[row], strict=True)
    ]
    reference = table.scores[table.reference, where].mean()
    for choice in itertools.product(*sets):
        steps = np.array(choice)[table.classes[where]]
        assert ladder.arms.scores[steps, where].mean() >= 0.95 * reference


def test_a_class_with_a_hard_floor_keeps_to_its_own_step(tmp_path):
    table, compiled, row, found = explored(tmp_path, TWINS, 0.95)
    assert found
    held = {table.class_names.index(name): 0.95 for name in found}
    demand = Demand(floor=0.95, confidence=0.975, horizon=1000, class_floors=held)
    parts = (compiled.selected, compiled.certified)
    assert further_steps(table, compiled.ladder, row, parts, demand) == {}


def test_a_decision_never_leaves_the_certified_steps(served):
    terms = PoolTerms(name="auto", incumbent="old", mode="on")
    standing = Standing(policy=served, mark="mark", floor=0.98)
    explorer = Explorer(Random(3), 1.0)
    taken = Counter()
    for number in range(300):
        asked = Asked(name="easy", floor=0, unit=str(number))
        step, choice = choose(
            terms, standing, asked, lambda model: "out" if model == "c" else "",
            lambda steps: explorer.draw(KEY, steps),
        )  # fmt: skip
        taken[step.model] += 1
        assert choice.explores
        assert choice.propensity == 0.5
    assert set(taken) == {"a", "b"}  # `c` is certified, and can't serve


@pytest.mark.parametrize("more", [{"pinned": "b"}, {"is_in_loop": True}])
def test_what_is_bound_to_a_model_is_not_drawn_for(served, more):
    terms = PoolTerms(name="auto", incumbent="old", mode="on")
    standing = Standing(policy=served, mark="mark", floor=0.98)
    asked = Asked(name="easy", floor=0, unit="u", **more)
    step, choice = choose(terms, standing, asked, lambda _: "", lambda steps: (steps[-1], 0.5))
    assert step == (Single(more["pinned"]) if "pinned" in more else A)
    assert not choice.explores
