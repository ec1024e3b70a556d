"""Peak hours: by the provider's own clock, weekdays and holidays, dated as they were announced."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.pricing.holidays import CALENDARS
from farthing.pricing.rows import day_us
from farthing.pricing.schedules import SCHEDULES, Hours, Schedule, rush

DEEPSEEK = SCHEDULES["deepseek"]


def factor(when, model="deepseek-v4-pro", *, known=None, schedules=DEEPSEEK):
    return rush(schedules, model, day_us(when), known and day_us(known)).factor


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-11-23T01:00:00+00:00", 2),  # Monday, 9:00 in Beijing
        ("2026-11-23T03:59:59+00:00", 2),
        ("2026-11-23T04:00:00+00:00", 1),  # lunch
        ("2026-11-23T06:00:00+00:00", 2),
        ("2026-11-23T10:00:00+00:00", 1),
        ("2026-11-23T00:59:59+00:00", 1),
        ("2026-11-22T02:00:00+00:00", 1),  # Sunday
        ("2026-11-21T02:00:00+00:00", 1),  # Saturday
        ("2026-10-01T02:00:00+00:00", 1),  # National Day, a Thursday
        ("2026-10-07T02:00:00+00:00", 1),
        ("2026-10-08T02:00:00+00:00", 2),  # Thursday after the holidays
        ("2026-10-10T02:00:00+00:00", 1),  # a working Saturday is still a Saturday
        ("2026-09-25T02:00:00+00:00", 1),  # Mid-Autumn, a Friday
        ("2026-08-16T02:00:00+00:00", 1),  # before the rule
        ("2026-08-22T02:00:00+00:00", 2),  # the one Saturday while the page said every day
        ("2026-08-23T02:00:00+00:00", 1),
    ],
)
def test_deepseek_s_peak_is_working_hours_in_beijing(when, expected):
    assert factor(when) == expected


@pytest.mark.parametrize(
    ("model", "when", "expected"),
    [
        ("deepseek-chat", "2025-06-02T16:30:00+00:00", Fraction(1, 2)),
        ("deepseek-reasoner", "2025-06-02T00:29:59+00:00", Fraction(1, 4)),
        ("deepseek-reasoner", "2025-06-02T00:30:00+00:00", Fraction(1)),
        ("deepseek-chat", "2025-09-05T16:30:00+00:00", Fraction(1)),  # ended
        ("deepseek-chat", "2025-02-26T16:00:00+00:00", Fraction(1)),  # not yet begun
    ],
)
def test_deepseek_s_night_discount_of_2025(model, when, expected):
    assert factor(when, model) == expected


def test_a_year_without_a_calendar_counts_weekdays_and_says_so():
    found = rush(DEEPSEEK, "deepseek-v4-pro", day_us("2027-02-08T02:00:00+00:00"), None)
    assert found.factor == 2
    assert "public holidays of China in 2027 are not known" in found.notes[-1]
    quiet = rush(DEEPSEEK, "deepseek-v4-pro", day_us("2027-02-08T05:00:00+00:00"), None)
    assert quiet.notes == ()


def test_what_was_not_announced_was_not_known():
    weekday = "2026-08-18T02:00:00+00:00"
    assert factor(weekday, known="2026-07-30") == 1
    assert factor(weekday, known="2026-08-01") == 2


def test_an_end_that_came_later_was_not_known():
    """On 2026-08-20 the page said every day, so Sunday the 23rd was expected at the peak price."""
    assert factor("2026-08-23T02:00:00+00:00", known="2026-08-20") == 2


WEEKENDS = Schedule(
    models=("m",),
    hours=(Hours(1320, 120),),  # 22:00 to 02:00 UTC, across both midnights
    multiplier="3",
    valid_from="2026-01-01",
    source="test",
    weekdays=True,
    zone_minutes=-300,
)


@given(st.integers(day_us("2026-01-02"), day_us("2026-12-30")))
def test_a_factor_holds_between_two_neighbouring_edges(at_us):
    for schedules, model in ((DEEPSEEK, "deepseek-v4-pro"), ((WEEKENDS,), "m")):
        found = rush(schedules, model, at_us, None)
        start = max((edge for edge in found.edges_us if edge <= at_us), default=at_us)
        end = min(edge for edge in found.edges_us if edge > at_us)
        for instant in (start, (start + end) // 2, end - 1):
            assert rush(schedules, model, instant, None).factor == found.factor


def test_weekdays_are_those_of_the_provider_s_clock():
    """Sunday 23:00 UTC is still Sunday five hours west; Saturday 01:00 UTC is still Friday."""
    assert factor("2026-11-22T23:00:00", "m", schedules=(WEEKENDS,)) == 1
    assert factor("2026-11-21T01:00:00", "m", schedules=(WEEKENDS,)) == 3


def test_a_schedule_concerns_the_models_it_names():
    assert factor("2026-11-23T02:00:00", "other", schedules=(WEEKENDS,)) == 1


def test_the_calendar_of_2026_is_the_state_council_s():
    calendar = CALENDARS["cn"]
    assert len(calendar.days) == 33
    assert calendar.knows(date(2026, 12, 31))
    assert not calendar.knows(date(2027, 1, 1))
    assert date(2026, 2, 23) in calendar
    assert date(2026, 2, 24) not in calendar
