"""Pace: how long a call for a stream may wait for another's whole answer."""

from __future__ import annotations

import pytest

from farthing.levers.pace import Pace

KIND = ("faq", "gpt-4o")


def paced(first_us, whole_us):
    pace = Pace()
    for took_us in first_us:
        pace.note(KIND, took_us, is_streamed=True)
    for took_us in whole_us:
        pace.note(KIND, took_us, is_streamed=False)
    return pace


@pytest.mark.parametrize(
    ("elapsed_us", "patience_us"),
    [(0, None), (1_499_999, None), (1_500_000, 500_000), (9_000_000, 500_000)],
    ids=["just begun", "a moment too early", "as soon as a stream of its own", "overdue"],
)
def test_it_waits_as_long_as_its_own_stream_takes_where_the_answer_is_due_by_then(
    elapsed_us, patience_us
):
    assert paced([500_000] * 8, [2_000_000] * 8).patience_us(KIND, elapsed_us) == patience_us


@pytest.mark.parametrize(("first", "whole"), [(0, 0), (7, 8), (8, 7), (8, 0)])
def test_nothing_is_expected_before_enough_was_seen(first, whole):
    pace = paced([1] * first, [1] * whole)
    assert pace.patience_us(KIND, 10**9) is None


def test_three_of_four_answers_are_within_what_is_expected_of_a_whole_one():
    pace = paced([1] * 8, [1_000_000, 1_000_000, 1_000_000, 9_000_000] * 2)
    assert pace.whole_us(KIND) > 1_000_000


def test_only_the_latest_count_and_each_kind_by_itself():
    pace = paced([10] * 50 + [20] * 32, [])
    assert pace.first_us(KIND) == 20
    assert pace.first_us(("faq", "gpt-4o-mini")) is None


def test_names_from_callers_do_not_fill_memory():
    pace = Pace()
    for number in range(3000):
        pace.note(("faq", f"model-{number}"), 1, is_streamed=True)
    assert len(pace) <= 1000
