"""A judge's own errors: bounded by people's words, and allowed for in what is certified."""

from __future__ import annotations

import random

import pytest

from farthing.levers.cache import SqliteAnswers
from farthing.levers.cache.semantic import (
    WORDS_NEEDED,
    Certifier,
    JudgeCalibration,
    Judged,
    Stamp,
    calibrated,
    is_drawn,
)
from farthing.levers.cache.semantic.course import Course, Terms
from farthing.levers.cache.semantic.scorer import FEATURES
from farthing.levers.cache.semantic_labels import course_of, label_of, words_on_drawn
from farthing.levers.cache.semantic_tables import LabelRow, SemanticTables

STAMP = Stamp(embedder="e", guards="g", scorer="s", model="m")
TERMS = Terms(
    delta=0.05, sampling=0.05, shadow_sampling=1.0, fit_labels=0, near_min=0.8, embedder="e",
    model="m",
)  # fmt: skip
SURE = (0.99,) + (0.0,) * (len(FEATURES) - 1)


class World:
    """Pairs of which a share is wrong, and a judge that catches some of those and flags others."""

    def __init__(self, seed, *, error, catches, flags):
        self.draws = random.Random(seed)
        self.error, self.catches, self.flags = error, catches, flags

    def pair(self, error=None):
        is_wrong = self.draws.random() < (self.error if error is None else error)
        caught = self.draws.random() < (self.catches if is_wrong else self.flags)
        return Judged(caught, is_wrong)


def certifier(world, words, delta=0.05):
    """Calibrated on pairs that were near, of which more are wrong than of those served."""
    found = calibrated(world.pair(0.3) for _ in range(words))
    if found is None:
        return Certifier(stamp=STAMP, delta=delta, thresholds=(0.9,))
    return Certifier(
        stamp=STAMP, delta=delta, thresholds=(0.9,), judge=found.judge, share=found.share
    )


def is_certified(world, words, labels):
    one = certifier(world, words)
    for _ in range(labels):
        one.observe(0.95, is_wrong=world.pair().is_wrong, propensity=1.0, is_serving=False)
    return one.threshold is not None


@pytest.mark.parametrize(
    ("catches", "flags"), [(0.5, 0.0), (0.8, 0.0), (0.9, 0.02), (0.6, 0.1), (1.0, 0.05)]
)
@pytest.mark.parametrize("words", [WORDS_NEEDED, 2 * WORDS_NEEDED])
def test_an_error_above_delta_is_rarely_certified_however_the_judge_errs(catches, flags, words):
    certified = sum(
        is_certified(World(seed, error=0.06, catches=catches, flags=flags), words, 1200)
        for seed in range(100)
    )
    assert certified <= 5  # 5 % of 100


def test_without_people_s_words_a_judge_that_misses_much_certifies_too_much():
    certified = sum(
        is_certified(World(seed, error=0.06, catches=0.2, flags=0.0), 0, 1200)
        for seed in range(100)
    )
    assert certified > 50  # what the correction is for


def test_what_is_well_within_delta_is_certified_though_the_judge_flags_right_answers():
    def worlds(seed):
        return World(seed, error=0.005, catches=0.95, flags=0.03)

    corrected = sum(is_certified(worlds(seed), 4 * WORDS_NEEDED, 3000) for seed in range(20))
    taken_as_it_is = sum(is_certified(worlds(seed), 0, 3000) for seed in range(20))
    assert corrected >= taken_as_it_is
    assert corrected >= 15


def test_the_limit_is_above_the_true_one_no_more_often_than_its_alpha():
    above = 0
    for seed in range(400):
        world = World(seed, error=0.3, catches=0.8, flags=0.05)
        found = calibrated(world.pair() for _ in range(WORDS_NEEDED))
        above += found.judge.observed_limit(0.05, 0.05) > 0.05 * 0.8 + 0.95 * 0.05
    assert above <= 20  # 5 % of 400


def test_a_judge_that_flags_as_much_as_it_catches_proves_nothing():
    judge = JudgeCalibration(wrong_seen=40, wrong_caught=20, right_seen=160, right_flagged=80)
    one = Certifier(stamp=STAMP, delta=0.05, thresholds=(0.9,), judge=judge)
    assert (one.limit, one.labels_needed) == (0.0, 0)
    for _ in range(2000):
        one.observe(0.95, is_wrong=False, propensity=1.0, is_serving=False)
    assert one.threshold is None
    assert not one.report()[0].is_certified


def test_the_bound_that_is_told_allows_for_what_the_judge_misses():
    judge = JudgeCalibration(wrong_seen=100, wrong_caught=50, right_seen=100, right_flagged=0)
    told = [
        Certifier(stamp=STAMP, delta=0.05, thresholds=(0.9,), judge=one) for one in (None, judge)
    ]
    for one in told:
        for at in range(1000):
            one.observe(0.95, is_wrong=at % 100 == 0, propensity=1.0, is_serving=False)
    plain, corrected = (one.report()[0].upper95 for one in told)
    assert 0.01 < plain < 0.02
    assert 2 * plain < corrected < 4 * plain


def test_a_judge_is_calibrated_only_once_enough_people_have_spoken():
    pairs = [Judged(False, False)] * (WORDS_NEEDED - 1)
    assert calibrated(pairs) is None
    assert calibrated([*pairs, Judged(False, None)]) is None
    found = calibrated([*pairs, Judged(True, True)])
    assert found.judge == JudgeCalibration(
        wrong_seen=1, wrong_caught=1, right_seen=WORDS_NEEDED - 1, right_flagged=0
    )
    assert found.share == 0.5


def test_a_further_look_at_the_words_has_half_of_what_is_kept_of_alpha():
    shares = [
        calibrated([Judged(False, False)] * words).share
        for words in (WORDS_NEEDED, 2 * WORDS_NEEDED - 1, 2 * WORDS_NEEDED, 4 * WORDS_NEEDED)
    ]
    assert shares == [0.5, 0.5, 0.25, 0.125]


def test_of_a_pair_that_a_person_left_out_the_worst_is_taken():
    spoken = [Judged(True, True), Judged(True, False)] + [Judged(False, False)] * 198
    left_out = [Judged(False, None), Judged(True, None)]
    found = calibrated([*left_out, spoken[0], *left_out, *spoken[1:], *left_out]).judge
    assert found == JudgeCalibration(wrong_seen=2, wrong_caught=1, right_seen=200, right_flagged=1)


def test_a_quarter_of_all_pairs_is_drawn_whatever_was_said_of_them():
    drawn = sum(is_drawn(f"call_{number:028x}") for number in range(4000))
    assert 900 < drawn < 1100


# The record.


def row(number, *, is_wrong=False):
    return LabelRow(
        course=b"c", tenant=b"t", features=SURE, is_wrong=is_wrong, propensity=1.0,
        is_serving=False, judge="gpt-4o", at_us=number, call_id=f"call_{number:028x}",
    )  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    answers = SqliteAnswers(tmp_path / "cache.sqlite")
    yield SemanticTables(answers)
    answers.close()


def test_a_person_s_word_stands_beside_the_judge_s_and_not_over_it(tables):
    for number, is_wrong in enumerate([True, False]):
        tables.add_label(row(number, is_wrong=is_wrong))
        for word in (not is_wrong, is_wrong, not is_wrong):  # the last counts
            tables.relabel(row(number).call_id, is_wrong=word)
    told = tables.labels(b"c", 10)
    assert [one.judge for one in told] == [
        "person over gpt-4o: wrong",
        "person over gpt-4o: right",
    ]
    assert [one.judged for one in told] == [Judged(True, False), Judged(False, True)]
    assert [one.is_wrong for one in told] == [False, True]


def test_a_course_is_corrected_once_people_have_spoken_on_the_drawn_pairs(tables):
    for number in range(1000):
        tables.add_label(row(number, is_wrong=number % 20 == 0))
    drawn = [n for n in range(1000) if is_drawn(row(n).call_id)]
    plain = folded(tables.labels(b"c", 1000))
    for number in drawn[:WORDS_NEEDED]:
        tables.relabel(row(number).call_id, is_wrong=number % 20 == 0)
    labels = tables.labels(b"c", 1000)
    corrected = folded(labels)
    assert words_on_drawn(labels) == WORDS_NEEDED
    assert (plain.is_corrected, corrected.is_corrected) == (False, True)
    assert corrected.certifier.limit < plain.certifier.limit
    assert corrected.standing.wrong == plain.standing.wrong == 50


def test_where_the_judge_is_corrected_for_a_person_can_only_add_a_wrong(tables):
    tables.add_label(row(1, is_wrong=True))
    tables.relabel(row(1).call_id, is_wrong=False)
    (told,) = tables.labels(b"c", 10)
    calibration = calibrated([Judged(False, False)] * WORDS_NEEDED)
    assert not label_of(told, Course(TERMS)).is_wrong
    assert label_of(told, Course(TERMS, calibration)).is_wrong


def folded(labels):
    course = course_of(TERMS, labels)
    for one in labels:
        course.take(label_of(one, course))
    return course
