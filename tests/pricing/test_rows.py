"""Rows: since when they hold, and since when they are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import row

from farthing.pricing.rows import Quote, Row, day_us

DAYS = st.dates().map(str)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", 86_400_000_000),
        ("1970-01-01T00:00:01+00:00", 1_000_000),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T00:00:00.000001+00:00", 1),
    ],
)
def test_a_day_begins_at_midnight_utc_and_a_time_says_its_zone(text, us):
    assert day_us(text) == us


@pytest.mark.parametrize("text", ["", "2026-13-01", "yesterday-1"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(ValueError, match=r"Invalid isoformat|month must be"):
        day_us(text)


@given(st.dates(), st.integers(0, 86_399_999_999))
def test_a_row_holds_from_its_first_microsecond_on(day, offset):
    start = day_us(str(day))
    dated = row("1", valid_from=str(day))
    assert dated.holds(start + offset)
    assert not dated.holds(start - 1 - offset)


def test_an_announced_end_is_the_first_day_no_longer():
    ending = row("1", valid_to="2026-02-01")
    assert ending.holds(day_us("2026-02-01") - 1)
    assert not ending.holds(day_us("2026-02-01"))


@given(DAYS, DAYS, DAYS)
def test_a_row_is_known_from_its_recording_to_its_correction(recorded, superseded, asked):
    dated = row("1", recorded=recorded, superseded=superseded)
    assert dated.is_known(day_us(asked)) == (recorded <= asked < superseded)
    assert not dated.is_known(None)
    assert row("1", recorded=recorded).is_known(None)


def test_an_undated_row_always_held_and_was_always_known():
    assert row("1").holds(-(2**60))
    assert row("1").is_known(-(2**60))


def test_later_rows_are_younger_and_undated_ones_the_oldest():
    rows = [
        row("1", valid_from=d, recorded=r)
        for d, r in [("2026-02-01", ""), ("", ""), ("", "2026-01-01")]
    ]
    assert sorted(rows, key=lambda r: r.age) == [rows[1], rows[2], rows[0]]


def test_the_edges_of_a_row_are_its_days():
    assert row("1", valid_from="1970-01-01", valid_to="1970-01-02").edges_us() == [
        0,
        86_400_000_000,
    ]
    assert row("1").edges_us() == []


def test_a_row_s_terms_are_those_of_its_quotes():
    assert row("1", terms={"is_batch": True}).terms == ("default", True, "")
    assert Row(source="s", quotes=()).terms == ("default", False, "")


def test_the_rates_of_a_row_are_those_for_short_prompts():
    assert row("1", "2", over=(100, "3")).rates() == {"input": "1", "output": "2"}
    assert Row(source="s", quotes=(Quote(rates={"input": "1"}, context_over=5),)).rates() == {}
