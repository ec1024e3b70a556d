"""Certificates: the error among served answers, proven by labels, at any time, or not at all."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import FarthingBug
from farthing.levers.cache.semantic import Certifier, JudgeCalibration, Stamp, thresholds_of
from farthing.levers.cache.semantic.eprocess import (
    Tally,
    breach_wealth,
    exact_bounds,
    labels_needed,
    proof_wealth,
)

STAMP = Stamp(embedder="e", guards="g", scorer="s", model="m")


def certifier(delta=0.05, thresholds=(0.9,), **more):
    return Certifier(stamp=STAMP, delta=delta, thresholds=thresholds, **more)


def shadow(certified, labels, *, wrong_every=0, score=0.95):
    for at in range(labels):
        is_wrong = wrong_every > 0 and at % wrong_every == wrong_every - 1
        certified.observe(score, is_wrong=is_wrong, propensity=1.0, is_serving=False)


def test_the_labels_that_it_says_it_needs_are_what_it_needs():
    certified = certifier()
    shadow(certified, certified.labels_needed - 1)
    assert certified.threshold is None
    shadow(certified, 1)
    assert certified.threshold == 0.9


@pytest.mark.parametrize("delta", [0.01, 0.02, 0.05])
def test_an_error_rate_at_the_limit_is_rarely_ever_certified(delta):  # S4, with peeking
    certified = 0
    for seed in range(100):
        draws, one = random.Random(seed), certifier(delta, (0.95, 0.9, 0.5))
        for _ in range(600):
            score = draws.random() / 2 + 0.5
            one.observe(score, is_wrong=draws.random() < delta, propensity=1.0, is_serving=False)
        certified += one.threshold is not None
    assert certified <= 5  # 5 % of 100


def lived(seed, steps):
    """A namespace that anyone may look at after every label; how low its threshold ever went.

    The surest fifth is always right; with every further band the error rate of all from the surest
    down to it is just at the limit, so that whatever is certified below the fifth is certified
    wrongly.
    """
    edges = [0.8 - 0.6 * at / steps for at in range(steps + 1)]
    draws, one, lowest = random.Random(seed), certifier(0.05, tuple(edges)), 1.0
    for _ in range(1_600):
        score, threshold = draws.random(), one.threshold
        chance = 0.0 if score >= 0.8 else 0.05 * (1 - edges[1]) / (0.8 - edges[1])
        chance = 0.05 if score < edges[1] else chance
        is_wrong = draws.random() < chance
        is_served = threshold is not None and score >= threshold
        propensity = 0.05 if is_served else 1.0
        if draws.random() < propensity:
            is_serving = threshold is not None
            one.observe(score, is_wrong=is_wrong, propensity=propensity, is_serving=is_serving)
        lowest = min(lowest, one.threshold or 1.0)
    return lowest


@pytest.mark.parametrize("steps", [1, 30])
def test_however_often_one_looks_and_small_the_steps_few_are_certified_wrongly(steps):  # S4
    lowest = [lived(seed, steps) for seed in range(200)]
    assert sum(at < 0.8 for at in lowest) <= 10  # 5 % of 200
    assert sum(at <= 0.8 for at in lowest) >= 190  # what is right is certified nearly always


def test_one_error_among_the_surest_few_does_not_end_the_proof_of_the_others():
    certified = certifier(thresholds=(0.9, 0.5))
    shadow(certified, 10, wrong_every=10)
    shadow(certified, 4 * certified.labels_needed, score=0.7)
    assert certified.threshold == 0.5


def test_errors_well_within_delta_are_certified_at_a_later_look():
    certified = certifier()
    shadow(certified, certified.labels_needed, wrong_every=50)
    assert certified.threshold is None
    shadow(certified, 3 * certified.labels_needed, wrong_every=50)
    assert certified.threshold == 0.9


def test_wealth_is_fair_at_the_limit():
    """The mean wealth under the worst admissible rate is 1: by counts, exactly."""
    limit, labels = 0.1, 12
    mean = 0.0
    chance = (1 - limit) ** labels
    for wrong in range(labels + 1):
        mean += chance * proof_wealth([Tally(labels, wrong)], limit)
        chance *= (labels - wrong) / (wrong + 1) * limit / (1 - limit)
    assert mean == pytest.approx(1.0)


def test_wealth_against_a_certificate_is_fair_too():
    limit, labels = 0.1, 12
    mean = 0.0
    chance = (1 - limit) ** labels
    for wrong in range(labels + 1):
        mean += chance * breach_wealth([Tally(labels, wrong)], limit)
        chance *= (labels - wrong) / (wrong + 1) * limit / (1 - limit)
    assert mean == pytest.approx(1.0)


@given(st.integers(0, 200), st.integers(0, 20))
def test_more_errors_never_prove_more(labels, wrong):
    wrong = min(wrong, labels)
    fewer = proof_wealth([Tally(labels, max(0, wrong - 1))], 0.05)
    assert proof_wealth([Tally(labels, wrong)], 0.05) <= fewer


@given(st.integers(1, 400), st.integers(0, 400))
def test_exact_bounds_hold_the_observed_rate_between_them(labels, wrong):
    wrong = min(wrong, labels)
    low, high = exact_bounds(wrong, labels, 0.05)
    assert 0 <= low <= wrong / labels <= high <= 1


def test_exact_bounds_are_those_of_the_tables():
    assert exact_bounds(0, 299, 0.05)[1] == pytest.approx(0.00997, abs=1e-5)
    assert exact_bounds(1, 473, 0.05)[1] == pytest.approx(0.00999, abs=1e-5)
    assert exact_bounds(0, 0, 0.05) == (0.0, 1.0)


def test_smaller_limits_take_more_labels():
    assert (
        labels_needed(0.05, 0.05) < labels_needed(0.01, 0.05) < labels_needed(0.01, 0.05, wrong=1)
    )


def test_a_breach_ends_serving_for_good():  # S4
    certified = certifier()
    shadow(certified, certified.labels_needed)
    for _ in range(8):
        certified.observe(0.95, is_wrong=True, propensity=0.05, is_serving=True)
    assert certified.is_breached
    assert certified.threshold is None
    for _ in range(500):
        certified.observe(0.95, is_wrong=False, propensity=1.0, is_serving=False)
    assert certified.threshold is None


def test_served_answers_within_delta_do_not_breach():
    certified = certifier()
    shadow(certified, certified.labels_needed)
    for at in range(400):
        certified.observe(0.95, is_wrong=at % 40 == 39, propensity=0.05, is_serving=True)
    assert not certified.is_breached
    assert certified.served_bound() < 0.05


def test_more_bands_are_certified_while_serving():
    certified = certifier(thresholds=(0.9, 0.8))
    shadow(certified, 4, wrong_every=1, score=0.85)
    shadow(certified, 2 * certified.labels_needed - 4)
    assert certified.threshold == 0.9
    for _ in range(300):
        certified.observe(0.85, is_wrong=False, propensity=1.0, is_serving=True)
    assert certified.threshold == 0.8


def test_a_band_is_put_off_while_a_larger_one_may_be_proven():
    certified = certifier(thresholds=(0.9, 0.8))
    shadow(certified, 4, wrong_every=1, score=0.85)
    shadow(certified, 2 * certified.labels_needed - 4)
    assert certified.threshold == 0.9
    assert certified.is_growing()
    shadow(certified, certified.labels_needed, score=0.85, wrong_every=4)
    assert not certified.is_growing()


def test_scores_below_every_band_prove_nothing():
    certified = certifier()
    shadow(certified, 2000, score=0.5)
    assert certified.report()[0].labels == 0


def test_another_embedder_guard_scorer_or_model_voids_it():  # S5
    certified = certifier()
    assert not certified.is_void(STAMP)
    for name in ("embedder", "guards", "scorer", "model"):
        changed = {"embedder": "e", "guards": "g", "scorer": "s", "model": "m", name: "new"}
        assert certified.is_void(Stamp(**changed))


def test_a_label_drawn_more_rarely_than_agreed_is_refused():
    with pytest.raises(FarthingBug):
        certifier().observe(0.95, is_wrong=False, propensity=0.5, is_serving=False)


def test_a_label_that_is_drawn_often_weighs_little():
    often = proof_wealth([Tally(100, 0, 0.05)], 0.05)
    assert 1 < often < proof_wealth([Tally(100, 0, 1.0)], 0.05)


def test_a_judge_that_misses_wrong_answers_lowers_the_limit():
    judge = JudgeCalibration(wrong_seen=100, wrong_caught=80, right_seen=400, right_flagged=0)
    assert judge.observed_limit(0.05, 0.05) < 0.04
    assert certifier(judge=judge).labels_needed > certifier().labels_needed


def test_a_judge_that_flags_right_answers_raises_it_by_what_is_sure():
    fair = JudgeCalibration(wrong_seen=400, wrong_caught=400, right_seen=400, right_flagged=0)
    harsh = JudgeCalibration(wrong_seen=400, wrong_caught=400, right_seen=400, right_flagged=40)
    assert 0.05 < fair.observed_limit(0.05, 0.05) + 0.06 < harsh.observed_limit(0.05, 0.05) + 0.06
    assert harsh.observed_limit(0.05, 0.05) < 0.05 + 0.1


def test_bands_are_cut_at_the_surest_shares():
    assert thresholds_of([0.1 * at for at in range(10)], [0.2, 0.5, 0.5]) == pytest.approx(
        (0.7, 0.4)
    )
    with pytest.raises(FarthingBug):
        certifier(thresholds=(0.5, 0.9))
