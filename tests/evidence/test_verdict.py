"""Verdicts on levers: right in the long run, however often they are asked for."""

from __future__ import annotations

import random

import pytest

from farthing.evidence import Evidence, Verdict, Watch, estimate, evidence_cost, noise_floor
from farthing.money import ZERO, Money


def compared(score, reference, *, probability=1.0, cost=ZERO):
    return Evidence(
        call="c",
        lever="routing",
        feature="support",
        judge="exact",
        score=float(score),
        reference=float(reference),
        probability=probability,
        at_us=0,
        cost=cost,
    )


def watched(pairs, *, floor=0.98):
    watch = Watch(floor=floor)
    for score, reference in pairs:
        watch.see(compared(score, reference))
    return watch


@pytest.mark.parametrize("floor", [0.98, 1.0], ids=["floor 0.98", "floor 1"])
def test_a_year_of_a_a_traffic_is_demoted_in_at_most_5_percent_of_years(floor):
    """20 comparisons a day for 365 days, the reference against itself with its own noise."""

    def is_demoted(seed):
        dice = random.Random(seed)
        watch = Watch(floor=floor)
        for _ in range(20 * 365):
            watch.see(compared(dice.random() < 0.85, dice.random() < 0.85))
        return watch.verdict is Verdict.UNSAFE

    years = 60
    assert sum(is_demoted(seed) for seed in range(years)) / years <= 0.05


def test_looking_for_harm_anew_all_year_demotes_a_a_traffic_in_at_most_5_percent_of_years():
    def is_demoted(seed):
        dice = random.Random(seed)
        watch = Watch(floor=1.0, fresh_every=50)
        for _ in range(10 * 365):
            watch.see(compared(dice.random() < 0.85, dice.random() < 0.85))
        return watch.verdict is Verdict.UNSAFE

    years = 40
    assert sum(is_demoted(seed) for seed in range(years)) / years <= 0.05


@pytest.mark.parametrize("good", [100, 1000, 10_000])
def test_one_that_was_good_for_long_is_found_out_within_60_comparisons_of_breaking(good):
    watch = Watch(floor=0.95, fresh_every=50)
    for _ in range(good):
        watch.see(compared(1, 1))
    verdicts = [watch.see(compared(0, 1)) for _ in range(60)]
    assert verdicts[0] is not Verdict.UNSAFE
    assert verdicts[-1] is Verdict.UNSAFE


def test_a_model_that_breaks_is_found_unsafe_within_a_few_hundred_comparisons():
    dice = random.Random(3)
    watch = Watch(floor=0.98)
    for _ in range(200):
        watch.see(compared(dice.random() < 0.6, dice.random() < 0.9))
    assert watch.verdict is Verdict.UNSAFE


def test_harm_that_was_shown_outweighs_what_was_shown_before_it():
    watch = watched([(1, 1)] * 700)
    assert watch.verdict is Verdict.SAFE
    for _ in range(700):
        watch.see(compared(0, 1))
    assert watch.verdict is Verdict.UNSAFE


def test_few_comparisons_decide_nothing():
    watch = watched([(1, 1), (0, 1), (1, 1)])
    assert watch.verdict is Verdict.UNDECIDED
    assert Watch(floor=0.9).finding() is None


def test_a_finding_holds_the_figures_behind_the_verdict():
    watch = Watch(floor=0.9, alpha=0.05)
    for score in [1, 1, 1, 0]:
        watch.see(compared(score, 1, cost=Money(100)))
    found = watch.finding()
    assert (found.comparisons, found.floor, found.cost) == (4, 0.9, Money(400))
    assert found.margin == pytest.approx(0.75 - 0.9)
    assert found.regret == pytest.approx(0.25)
    assert found.margin_interval.low <= found.margin <= found.margin_interval.high


def test_estimates_weigh_by_how_seldom_a_call_was_sampled():
    found = estimate([1.0, 0.0], [0.1, 0.9])
    assert found.mean == pytest.approx(0.9)
    assert found.effective_count < 2


def test_equal_probabilities_give_the_plain_mean_and_error():
    found = estimate([1.0, 0.0, 1.0, 1.0], [0.5] * 4)
    assert found.mean == 0.75
    assert found.standard_error == pytest.approx(0.25)
    assert found.effective_count == pytest.approx(4)


def test_the_noise_floor_is_how_much_the_reference_differs_from_itself():
    repeats = [compared(1, 1)] * 90 + [compared(0, 1), compared(1, 0)] * 5
    random.Random(1).shuffle(repeats)
    found = noise_floor(repeats)
    assert found.low <= 0.1 <= found.high
    assert noise_floor([]) is None


@pytest.mark.parametrize(
    "wrong", [{"score": 1.2}, {"reference": -0.1}, {"probability": 0.0}], ids=str
)
def test_impossible_comparisons_are_refused(wrong):
    with pytest.raises(ValueError, match="lie"):
        compared(**{"score": 1, "reference": 1, **wrong})


def test_the_cost_of_evidence_is_the_exact_sum():
    assert evidence_cost([compared(1, 1, cost=Money(3)), compared(1, 1, cost=Money(4))]) == Money(7)
