"""The compiler: certified on what did not choose it, and the incumbent where nothing is shown."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from routing_samples import DOMINATED, JUST_RIGHT, lines, write

from farthing.errors import CallerError
from farthing.levers.routing import (
    Agree,
    Facts,
    Outcomes,
    Single,
    describe,
    diff,
    read_outcomes,
    read_policy,
    step_for,
    voids,
    write_policy,
)
from farthing.levers.routing.arms import candidates
from farthing.levers.routing.audit import audit
from farthing.levers.routing.baselines import hull
from farthing.levers.routing.certify import Terms, certify
from farthing.levers.routing.compiler import compile_ladder, measure
from farthing.levers.routing.evaluate import evaluate, labels_used
from farthing.levers.routing.policy import models
from farthing.levers.routing.saving import times
from farthing.levers.routing.table import make_table
from farthing.levers.routing.trial import Demand, try_ladder
from farthing.money import Money

SHARED = Path(__file__).parents[3] / "shared" / "data" / "outcomes"


def made(tmp_path, rows, reference="old"):
    return make_table(read_outcomes(write(tmp_path / "o.jsonl.gz", rows)), reference)


def terms(table, **more):
    asked = {
        "floor": 0.95,
        "confidence": 0.95,
        "horizon": 1000,
        "class_floors": {},
        "labels": table.size,
        "seed": 0,
        "made": "2026-11-24T00:00:00+00:00",
        "data_hash": "d",
        "prices": {"old": "card-1"},
    }
    return Terms(**{**asked, **more})


def test_a_dominated_incumbent_is_replaced_and_the_saving_is_told(tmp_path):
    table = made(tmp_path, lines(1000, DOMINATED))
    policy, trial = certify(table, terms(table))
    assert set(policy.steps.values()) == {Single("new")}
    assert policy.certificate.cost_ratio == pytest.approx(0.1)
    assert policy.certificate.quality_ratio > 1
    assert policy.certificate.certified_on == 500
    assert trial.passed >= 1


def test_where_no_saving_is_possible_the_incumbent_stays_and_the_reason_is_told(tmp_path):
    table = made(tmp_path, lines(1000, JUST_RIGHT))
    policy, _ = certify(table, terms(table, floor=0.98))
    assert policy.certificate is None
    assert set(policy.steps.values()) == {Single("old")}
    assert policy.reason


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"old": (0.7, 0.01)}, "the outcomes are of no other model"),
        ({"old": (0.7, 0.01), "new": (0.9, 0.01)}, "nothing else in the outcomes is cheaper"),
        ({"old": (0.7, 0.01), "new": (0.2, 0.001)}, "no cheaper policy is expected to hold"),
    ],
    ids=("alone", "not cheaper", "worse"),
)
def test_the_reason_says_what_there_was_to_try(tmp_path, shown, reason):
    table = made(tmp_path, lines(400, shown))
    assert certify(table, terms(table))[0].reason.startswith(reason)


def test_too_few_labels_of_every_class_is_a_reason_of_its_own(tmp_path):
    table = made(tmp_path, lines(8, DOMINATED, tasks=[f"task {n}" for n in range(8)]))
    assert certify(table, terms(table))[0].reason == "no class has labels enough to choose by"


def test_a_model_at_an_effort_is_an_arm_of_its_own_that_does_not_vote(tmp_path):
    table = made(tmp_path, lines(1000, {"old": (0.7, 0.01), "new@low": (0.8, 0.001)}))
    policy, _ = certify(table, terms(table))
    assert set(policy.steps.values()) == {Single("new", "low")}
    assert set(policy.certificate.snapshots) == {"new", "old"}
    assert policy.certificate.cost == Money(1_000_000)
    names = {"old": (0.7, 0.01), "a": (0.6, 0.001), "a@low": (0.5, 0.0005), "b": (0.6, 0.001)}
    voted = made(tmp_path, lines(1000, names, answers=True))
    steps = candidates(voted, range(4), np.arange(1000))
    cascades = [step for step in steps if isinstance(step, Agree)]
    assert {step.models for step in cascades} == {("a", "b")}
    assert {describe(step.otherwise) for step in cascades} == {"old"}
    assert Single("a", "low") in steps


def test_few_labels_show_nothing(tmp_path):
    table = made(tmp_path, lines(25, DOMINATED))
    policy, trial = certify(table, terms(table))
    assert policy.certificate is None
    assert trial.reason


def test_a_lone_model_keeps_itself(tmp_path):
    table = made(tmp_path, lines(100, {"old": (0.7, 0.01)}))
    assert certify(table, terms(table))[0].certificate is None


def test_cascades_on_agreement_count_their_voters(tmp_path):
    models_ = {"old": (0.8, 0.01), "one": (0.62, 0.0005), "two": (0.6, 0.0005)}
    table = made(tmp_path, lines(1500, models_, answers=True))
    policy, _ = certify(table, terms(table))
    told = {describe(step) for step in policy.steps.values()}
    assert told <= {"agree(one, two) else old", "agree(two, one) else old"}
    assert 0.1 < policy.certificate.cost_ratio < 0.7


def test_each_half_chooses_for_the_other_with_half_of_the_error_and_the_cheaper_serves(tmp_path):
    table = made(tmp_path, lines(1200, {"old": (0.7, 0.01), "near": (0.68, 0.004)}))
    everything = np.arange(table.size)
    demand = Demand(floor=0.9, confidence=0.9, horizon=1000, class_floors={})
    both = compile_ladder(table, everything, np.random.default_rng(0))
    one, two = both.sides
    assert set(one.selected) == set(two.certified)
    assert set(one.selected) | set(one.certified) == set(everything)
    found = both.attempt(table, demand)
    assert found.demand.confidence == pytest.approx(0.95)
    rows = [try_ladder(table, side.ladder, side.certified, found.demand).row for side in both.sides]
    costs = [
        measure(table, side.ladder, row, everything).cost_ratio
        for side, row in zip(both.sides, rows, strict=True)
    ]
    assert found.measured(table, everything).cost_ratio == min(costs) < 1


def test_the_long_run_floor_is_missed_in_at_most_5_percent_of_compilations(tmp_path):
    """The truth is known here: the mean over 20,000 prompts; labels are 600 of them."""
    table = made(
        tmp_path,
        lines(20_000, {"old": (0.7, 0.01), "near": (0.68, 0.004), "less": (0.65, 0.001)}),
    )
    everything = np.arange(table.size)
    missed = 0
    for seed in range(100):
        dice = np.random.default_rng(seed)
        labels = dice.permutation(table.size)[:600]
        compiled = compile_ladder(table, labels, dice)
        demand = Demand(floor=0.97, confidence=0.95, horizon=10**9, class_floors={})
        found = compiled.attempt(table, demand)
        missed += found.measured(table, everything).quality_ratio < 0.97
    assert missed <= 5


def test_a_class_with_a_hard_floor_stays_with_the_incumbent_unless_it_is_shown(tmp_path):
    rows = lines(1500, DOMINATED)
    for row in rows:
        if row["task"] == "refund":
            row["outcomes"]["new"]["score"] = row["outcomes"]["old"]["score"] * 0.8
    table = made(tmp_path, rows)
    policy, _ = certify(table, terms(table, floor=0.9, class_floors={"refund": 0.95}))
    assert policy.steps["refund"] == Single("old")
    assert policy.steps["search"] == Single("new")
    with pytest.raises(CallerError, match="no class 'billing'"):
        certify(table, terms(table, class_floors={"billing": 0.9}))


def test_models_that_are_missing_on_some_prompts_are_compared_on_the_others(tmp_path):
    rows = lines(1000, DOMINATED)
    for row in rows[::3]:
        del row["outcomes"]["new"]
    table = made(tmp_path, rows)
    policy, _ = certify(table, terms(table))
    assert set(policy.steps.values()) == {Single("new")}
    assert policy.certificate.cost_ratio == pytest.approx(0.1)
    assert policy.certificate.cost == Money(1_000_000)
    assert policy.certificate.incumbent_cost == Money(10_000_000)


def test_graded_scores_are_certified_as_well(tmp_path):
    rows = lines(1000, DOMINATED)
    for row in rows:
        for result in row["outcomes"].values():
            result["score"] = 0.3 + 0.6 * result["score"]
    table = made(tmp_path, rows)
    assert certify(table, terms(table))[0].certificate is not None


def policy_of(tmp_path):
    table = made(tmp_path, lines(1000, DOMINATED))
    return certify(table, terms(table))[0]


def facts(policy, **changed):
    now = {model: model for model in models(policy)}
    return Facts({**now, **changed.get("snapshots", {})}, changed.get("prices", dict(PRICES)))


PRICES = {"old": "card-1", "new": "outcomes"}


@pytest.mark.parametrize(
    "changed",
    [
        {"snapshots": {"new": "new-2027-01"}},
        {"prices": {"old": "card-2", "new": "outcomes"}},
        {"prices": {}},
    ],
    ids=["another snapshot", "another price", "price not known"],
)
def test_a_changed_fact_voids_the_certificate_and_the_incumbent_serves(tmp_path, changed):
    policy = policy_of(tmp_path)
    assert step_for(policy, "search", facts(policy)) == Single("new")
    assert voids(policy, facts(policy, **changed))
    assert step_for(policy, "search", facts(policy, **changed)) == Single("old")


def test_a_class_that_was_never_seen_is_the_incumbents(tmp_path):
    policy = policy_of(tmp_path)
    assert step_for(policy, "new feature", facts(policy)) == Single("old")


@pytest.mark.parametrize("secret", [b"", b"s3cret"], ids=["hash", "secret"])
def test_a_policy_survives_its_file_and_a_changed_file_is_refused(tmp_path, secret):
    policy, path = policy_of(tmp_path), tmp_path / "policy.json"
    write_policy(path, policy, secret)
    assert read_policy(path, secret) == policy
    path.write_text(path.read_text().replace('"floor": 0.95', '"floor": 0.99'))
    with pytest.raises(CallerError, match="was changed since it was signed"):
        read_policy(path, secret)


def test_a_policy_makes_the_folder_that_it_is_to_lie_in(tmp_path):
    path = tmp_path / "ledger/routing/auto/p98.json"
    write_policy(path, policy_of(tmp_path))
    assert [one.name for one in path.parent.iterdir()] == ["p98.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(CallerError, match="can't be written"):
        write_policy(tmp_path / "file/p.json", policy_of(tmp_path))


def test_another_secret_does_not_open_it(tmp_path):
    write_policy(tmp_path / "p", policy_of(tmp_path), b"one")
    with pytest.raises(CallerError, match="another secret"):
        read_policy(tmp_path / "p", b"two")


def test_policies_differ_class_by_class(tmp_path):
    policy = policy_of(tmp_path)
    other = msgspec.structs.replace(policy, steps={**policy.steps, "search": Single("old")})
    assert diff(policy, other) == ["search: new -> old"]
    assert diff(policy, policy) == []


def test_the_audit_names_one_replacement_and_its_interval(tmp_path):
    found = audit(made(tmp_path, lines(1500, DOMINATED)), floor=0.98, confidence=0.95, seed=0)
    assert found.is_dominated
    assert found.best.model == "new"
    assert found.best.times_cheaper == pytest.approx(10)
    assert found.best.quality_interval.low < found.best.quality < found.best.quality_interval.high
    assert [one.model for one in found.models] == ["tiny", "new"]


def test_the_audits_verdict_has_the_interval_of_the_half_that_did_not_pick(tmp_path):
    found = audit(made(tmp_path, lines(1500, DOMINATED)), floor=0.98, confidence=0.95, seed=0)
    low, high = found.best.quality_interval.low, found.best.quality_interval.high
    assert f"({low:.1%} to {high:.1%} on the half" in found.verdict


def test_a_model_that_costs_nothing_is_called_free(tmp_path):
    table = made(tmp_path, lines(1500, {"old": (0.7, 0.01), "own": (0.8, 0)}))
    found = audit(table, floor=0.98, confidence=0.95, seed=0)
    assert found.verdict.startswith("old is dominated: replace it by own, free at 1")
    assert times(found.best.times_cheaper) == "free"
    shown = evaluate(table, [0.95], labels=900, splits=2, seed=0)
    assert shown.verdict == "Cheaper with the floor shown: free at 0.95."


def test_the_audit_shows_what_the_test_that_certifies_shows(tmp_path):
    """87 wins, 80 losses of 1,000: a bet does not show this, counting does."""
    scores = [(1, 0)] * 87 + [(0, 1)] * 80 + [(1, 1)] * 720 + [(0, 0)] * 113
    random.Random(3).shuffle(scores)
    rows = [
        {"task": "a", "prompt": "p", "outcomes": {
            "new": {"score": new, "cost_usd": 0.1}, "old": {"score": old, "cost_usd": 1},
        }}
        for new, old in scores
    ]  # fmt: skip
    (row,) = audit(made(tmp_path, rows), floor=0.98, confidence=0.95, seed=0).models
    assert row.is_shown
    assert row.quality_interval.low < 0.98


def test_the_audit_keeps_an_incumbent_that_nothing_cheaper_matches(tmp_path):
    found = audit(made(tmp_path, lines(800, JUST_RIGHT)), floor=0.98, confidence=0.95, seed=0)
    assert not found.is_dominated
    assert found.best is None
    assert found.verdict.startswith("Keep old")


def test_an_evaluation_is_reproducible_and_says_where_nothing_is_saved(tmp_path):
    table = made(tmp_path, lines(300, JUST_RIGHT))
    first, again = (evaluate(table, [0.95, 1.0], labels=150, splits=4, seed=3) for _ in range(2))
    assert first == again
    assert first.verdict.startswith("No saving")
    assert [row.cost_ratio for row in first.floors] == [1.0, 1.0]
    assert set(first.baselines) >= {"best single", "random mix", "kNN", "zero router"}
    assert 0 < first.baseline_aiq <= first.aiq + 1e-9


def test_labels_leave_enough_to_test_on():
    assert labels_used(2697, 2000) == 2000
    assert labels_used(1000, 2000) == 750
    assert labels_used(1000, None) == 600
    assert labels_used(9000, None) == 2000
    with pytest.raises(CallerError, match="too few"):
        labels_used(10, None)


def test_the_hull_keeps_what_no_mix_beats():
    assert hull([(0.5, 1.0), (0.6, 2.0), (0.9, 3.0), (0.8, 4.0)]) == [(0.5, 1.0), (0.9, 3.0)]


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the real outcomes are not here")
@pytest.mark.parametrize(
    ("reference", "floor", "cheaper"),
    [
        ("claude-3-5-sonnet-20240620", 0.95, 5),
        ("claude-3-5-sonnet-20240620", 0.98, 2),
        ("gpt-4o-2024-05-13", 0.98, 5),
    ],
)
def test_real_outcomes_are_served_cheaper_with_the_floor_held(reference, floor, cheaper):
    found = read_outcomes(SHARED / "mix15.dev.jsonl.gz")
    table = make_table(Outcomes(found.prompts, (), found.content_hash), reference)
    measured = evaluate(table, [floor], labels=1600, splits=20, seed=11)
    assert measured.floors[0].violation_rate <= 0.1
    assert measured.floors[0].times_cheaper >= cheaper


def test_the_data_hash_is_of_the_files_bytes(tmp_path):
    path = write(tmp_path / "o.jsonl", lines(3, DOMINATED))
    assert read_outcomes(path).content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
