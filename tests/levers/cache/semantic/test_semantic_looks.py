"""Looks at labels that are fixed beforehand: however many sets and looks, few are proven wrongly."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.evidence import binomial_at_most
from farthing.levers.cache.semantic.eprocess import Tally
from farthing.levers.cache.semantic.looks import WAITED, Looks, most_wrong

ALPHA = 0.05


def allowed(labels, spent, limit):
    """What each look allows, one after the other."""
    return [most_wrong(labels[: at + 1], spent[: at + 1], limit) for at in range(len(labels))]


def passed(labels, allowances, rate):
    """The chance that so often wrong a set passes a look: every sequence of labels, one by one."""
    total = 0.0
    for answers in itertools.product((0, 1), repeat=labels[-1]):
        if any(sum(answers[:n]) <= most for n, most in zip(labels, allowances, strict=True)):
            wrong = sum(answers)
            total += rate**wrong * (1 - rate) ** (len(answers) - wrong)
    return total


@pytest.mark.parametrize("labels", [[6, 9, 12], [4, 4, 11], [1, 2, 13]])
@pytest.mark.parametrize("spent", [[0.1, 0.2, 0.3], [0.3, 0.3, 0.3], [0.01, 0.02, 0.5]])
def test_a_rate_at_the_limit_passes_with_no_more_than_the_chance_spent(labels, spent):
    allowances = allowed(labels, spent, 0.3)
    for at in range(len(labels)):
        chance = passed(labels[: at + 1], allowances[: at + 1], 0.3)
        assert chance <= spent[at] + 1e-12
    more = [*allowances[:-1], allowances[-1] + 1]
    assert passed(labels, more, 0.3) > spent[-1]  # one more wrong answer would be too many


def test_a_single_look_is_the_exact_binomial_test():
    for labels in (50, 200, 900):
        most = most_wrong([labels], [ALPHA], 0.05)
        assert most < 0 or binomial_at_most(most, labels, 0.05) <= ALPHA
        assert binomial_at_most(most + 1, labels, 0.05) > ALPHA


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=4),
    st.lists(st.floats(0.001, 0.02), min_size=4, max_size=4),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_no_look_allows_less_than_its_own_part_of_alpha_by_itself(more, parts, limit):
    labels = list(itertools.accumulate(more))
    spent = list(itertools.accumulate(parts[: len(labels)]))
    alone = most_wrong([labels[-1]], [parts[len(labels) - 1]], limit)
    assert most_wrong(labels, spent, limit) >= alone


def test_too_few_labels_prove_nothing():
    assert most_wrong([10], [ALPHA], 0.05) == -1


def tallies(counts):
    return [[Tally(labels, wrong)] if labels else [] for labels, wrong in counts]


def proven(draws, looks, chances, limit_share):
    """A namespace's labels by band, and the last set that any look ever proved."""
    counts, best, taken = [[0, 0] for _ in chances], -1, 0
    while looks.taken < 6 and taken < 20_000:
        band = draws.choices(range(len(chances)), weights=limit_share)[0]
        counts[band][0] += 1
        counts[band][1] += draws.random() < chances[band]
        taken += 1
        if looks.is_due(taken):
            nested = list(itertools.accumulate(counts, lambda a, b: [a[0] + b[0], a[1] + b[1]]))
            best = max(best, looks.look(tallies(nested), taken))
    return best


@pytest.mark.parametrize(
    "chances",
    [
        [0.1] * 8,  # every set is at the limit
        [0.0] * 2 + [0.8 / 6] * 6,  # all but the surest are above it from some set on
        [0.3, 0.02] * 4,  # the surest of all are wrong most often
    ],
)
def test_few_namespaces_ever_have_a_set_proven_whose_error_is_not_below_the_limit(chances):
    limit, size, wrongly = 0.1, len(chances), 0
    rates = [sum(chances[: at + 1]) / (at + 1) for at in range(size)]
    for seed in range(300):
        best = proven(random.Random(seed), Looks(limit, ALPHA), chances, [1] * size)
        # What is proven is served down to that set: it is its own rate that must be below.
        wrongly += best >= 0 and rates[best] >= limit - 1e-12
    assert wrongly <= 24  # 5 % of 300, and three deviations of chance


def test_sets_well_below_the_limit_are_proven_as_a_rule():
    right = [
        proven(random.Random(seed), Looks(0.1, ALPHA), [0.01] * 4 + [0.05] * 4, [1] * 8)
        for seed in range(60)
    ]
    assert sum(best == 7 for best in right) >= 57


def test_a_group_that_passes_hands_its_alpha_on_to_the_next():
    """The same last set, with as many wrong answers, passes only if the surer ones did."""
    after, before = Looks(0.05, ALPHA), Looks(0.05, ALPHA)
    for one in (after, before):
        one.taken = WAITED - 1
    total = 6 * after.needed
    half = total // 2
    most = most_wrong([half], [0.65 * ALPHA * 22 / 30], 0.05)
    whole = most_wrong([half], [ALPHA * 22 / 30], 0.05)
    assert whole > most
    sure, unsure = total // 5, total // 6
    passing = [(unsure, 0), (sure, 0), (half, whole)]
    failing = [(unsure, unsure // 2), (sure, unsure // 2), (half, whole)]
    assert after.look(tallies(passing), total) == 2
    assert before.look(tallies(failing), total) == -1


def test_labels_that_weigh_unlike_are_held_against_the_wealth_of_a_bet():
    looks = Looks(0.05, ALPHA)
    looks.taken = WAITED - 1
    total = 6 * looks.needed
    mixed = [Tally(total // 2, 0, 1.0), Tally(total // 2, 0, 0.5)]
    assert looks.look([mixed], total) == 0
    looks.taken = WAITED - 1
    assert looks.look([[Tally(total // 2, total // 4), Tally(total // 2, 0, 0.5)]], total) == -1
