"""Intervals and tests that stay valid however often one looks; seeded simulations."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.evidence import (
    Bet,
    Observed,
    binomial_interval,
    binomial_lower,
    binomial_upper,
    comparisons_needed,
    exceeds,
    interval,
    labels_needed,
    lower_bound,
    margin_needed,
)


def _covers_at_every_look(draw, mean, seed, *, least=1.0):
    dice = random.Random(seed)
    seen = []
    for _ in range(12):
        seen += [draw(dice) for _ in range(25)]
        found = interval(seen, alpha=0.05, least_probability=least)
        if not found.low <= mean <= found.high:
            return False
    return True


def test_the_interval_covers_at_all_looks_together_in_95_percent_of_runs():
    runs = [
        _covers_at_every_look(lambda d: Observed(float(d.random() < 0.9)), 0.9, seed)
        for seed in range(300)
    ]
    assert sum(runs) / len(runs) >= 0.95


def test_it_covers_as_well_where_values_are_sampled_with_unequal_probabilities():
    def draw(dice):
        """Bad answers are sampled three times as often as good ones, and say so."""
        while True:
            good = dice.random() < 0.8
            probability = 0.3 if good else 0.9
            if dice.random() < probability:
                return Observed(float(good), probability)

    runs = [_covers_at_every_look(draw, 0.8, seed, least=0.3) for seed in range(300)]
    assert sum(runs) / len(runs) >= 0.95


def test_a_plain_95_percent_interval_would_fail_the_same_simulation():
    """The simulation can fail: peeking breaks the textbook interval."""

    def is_covered(seed):
        dice = random.Random(seed)
        hits = count = 0
        for _ in range(12):
            hits += sum(dice.random() < 0.9 for _ in range(25))
            count += 25
            share = hits / count
            error = 1.96 * (share * (1 - share) / count) ** 0.5
            if not share - error <= 0.9 <= share + error:
                return False
        return True

    assert sum(is_covered(seed) for seed in range(300)) / 300 < 0.9


def test_a_true_null_is_rejected_in_at_most_alpha_of_runs_at_any_time():
    def is_won(seed):
        dice = random.Random(seed)
        bet = Bet(null=0.3, alpha=0.05)
        for _ in range(500):
            bet.see(float(dice.random() < 0.3))
        return bet.is_won

    assert sum(is_won(seed) for seed in range(400)) / 400 <= 0.05


def test_a_false_null_is_rejected_and_the_p_value_says_so():
    dice = random.Random(7)
    bet = Bet(null=0.5, alpha=0.05)
    for _ in range(300):
        bet.see(float(dice.random() < 0.8))
    assert bet.is_won
    assert bet.p_value < 0.001


def test_a_bet_once_won_stays_won():
    bet = Bet(null=0.5, alpha=0.05)
    for _ in range(50):
        bet.see(1.0)
    for _ in range(500):
        bet.see(0.0)
    assert bet.is_won


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.02, 0.98))
def test_the_bound_the_bet_and_the_test_agree(values, null):
    bet = Bet(null=null, alpha=0.1, expected=len(values))
    for value in values:
        bet.see(value)
    low = lower_bound([Observed(v) for v in values], alpha=0.1, expected=len(values))
    assert exceeds(values, null=null, alpha=0.1) == bet.is_won
    if abs(low - null) > 1e-5:
        assert bet.is_won == (low > null)


@given(st.lists(st.floats(-0.98, 1), min_size=1, max_size=40))
def test_an_interval_lies_within_the_bounds_of_its_values(values):
    found = interval([Observed(v) for v in values], alpha=0.05, bounds=(-0.98, 1.0))
    assert found.low >= -0.98
    assert found.high <= 1.0


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_value_out_of_bounds_is_refused(value):
    with pytest.raises(ValueError, match="outside"):
        Bet(null=0.5, alpha=0.05).see(value)


def test_a_probability_below_the_least_is_refused():
    with pytest.raises(ValueError, match="sampling probability"):
        Bet(null=0.5, alpha=0.05, least_probability=0.2).see(0.5, 0.1)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (5, 10, 0.1871, 0.8129), (98, 100, 0.9296, 0.9976)],
)
def test_binomial_intervals_are_those_of_the_tables(hits, count, low, high):
    """Oracle: Clopper-Pearson tables, 95 %."""
    found = binomial_interval(hits, count, alpha=0.05)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_nothing_counted_says_nothing():
    assert binomial_interval(0, 0, alpha=0.05).high == 1.0
    with pytest.raises(ValueError, match="no share"):
        binomial_upper(1, 0, alpha=0.05)
    assert binomial_lower(0, 5, alpha=0.05) == 0.0


def test_the_planner_tells_what_it_takes_and_when_nothing_would():
    few, many = comparisons_needed(0.05, 0.3), comparisons_needed(0.01, 0.3)
    assert few is not None
    assert many == pytest.approx(25 * few, rel=0.02)
    assert comparisons_needed(0.0, 0.3) is None
    assert comparisons_needed(0.1 - 0.9 * 0.111111111111, 0.3) is None  # zero, but for rounding
    assert comparisons_needed(1e-300, 0.3) is None


def test_the_planned_number_of_comparisons_decides_as_often_as_it_says():
    needed = comparisons_needed(0.06, 0.3, power=0.8)

    def is_shown(seed):
        dice = random.Random(seed)
        values = [dice.choice((-0.3, 0.3)) + 0.06 for _ in range(needed)]
        return exceeds(values, null=0.0, alpha=0.05, bounds=(-1.0, 1.0))

    assert sum(is_shown(seed) for seed in range(200)) / 200 >= 0.75


def test_answers_that_never_differ_need_as_many_as_bound_what_was_not_seen():
    """Oracle: no failure in n shows a rate below 2 % at 95 % from n = 149 on."""
    assert 149 <= comparisons_needed(0.02, 0.0) <= 250
    assert exceeds([0.02] * 250, null=0.0, alpha=0.05, bounds=(-0.98, 1.0))
    assert not exceeds([0.02] * 148, null=0.0, alpha=0.05, bounds=(-0.98, 1.0))


def test_a_horizon_asks_for_a_wider_margin():
    assert margin_needed(0.3, 1000, horizon=500) > margin_needed(0.3, 1000)


def test_the_calls_to_come_ask_for_more_labels_and_too_few_of_them_for_more_than_there_are():
    far, near = labels_needed(0.03, 0.4), labels_needed(0.03, 0.4, horizon=5_000)
    assert far < near
    assert labels_needed(0.03, 0.4, horizon=200) is None  # their own chance alone is too much
    assert labels_needed(-0.01, 0.4) is None
