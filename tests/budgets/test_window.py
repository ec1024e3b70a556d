"""Windows cut time into spans: on a zone's clocks, through every change of them, or rolling."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from farthing.budgets import Window
from farthing.errors import ConfigError

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
ZONES = [
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # changes by half an hour
    "Africa/Cairo",  # jumps from midnight to one
    "Asia/Kathmandu",
    "Pacific/Apia",  # had no 30 December 2011
    "America/Scoresbysund",  # jumps over midnight
    "Asia/Beirut",
]
UNITS = ["hour", "day", "week", "month", "quarter", "year"]


def us(text):
    when = datetime.fromisoformat(text)
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


instants = st.integers(us("1990-01-01T00:00:00+00:00"), us("2060-01-01T00:00:00+00:00"))


@pytest.mark.parametrize(
    ("window", "zone", "now", "name", "start", "end"),
    [
        ("hour", "UTC", "2026-11-28T10:59:59Z", "hour 2026-11-28T10:00Z", "T10:00Z", "T11:00Z"),
        ("day", "UTC", "2026-11-28T00:00:00Z", "day 2026-11-28", "2026-11-28T00:00Z", "2026-11-29T00:00Z"),
        ("day", "Europe/Zurich", "2026-03-29T12:00:00Z", "day 2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("day", "Europe/Zurich", "2026-10-25T12:00:00Z", "day 2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("day", "Africa/Cairo", "2026-04-24T09:00:00Z", "day 2026-04-24", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        ("week", "UTC", "2027-01-02T00:00:00Z", "week 2026-W53", "2026-12-28T00:00Z", "2027-01-04T00:00Z"),
        ("month", "UTC", "2028-02-29T23:59:59Z", "month 2028-02", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        ("month", "America/New_York", "2026-12-01T04:59:59Z", "month 2026-11", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),
        ("quarter", "UTC", "2026-11-28T00:00:00Z", "quarter 2026-Q4", "2026-10-01T00:00Z", "2027-01-01T00:00Z"),
        ("year", "Asia/Kolkata", "2026-12-31T18:30:00Z", "year 2027", "2026-12-31T18:30Z", "2027-12-31T18:30Z"),
    ],
)  # fmt: skip
def test_a_calendar_span_has_a_name_and_its_bounds(window, zone, now, name, start, end):
    if len(start) < 10:
        start, end = now[:10] + start, now[:10] + end
    span = Window.parse(window, zone).at(us(now))
    assert (span.id, span.start_us, span.end_us) == (name, us(start), us(end))


@given(instants, st.sampled_from(ZONES), st.sampled_from(UNITS))
@example(us("2011-12-30T12:00:00+00:00"), "Pacific/Apia", "day")
@example(us("2026-03-29T00:30:00+00:00"), "America/Scoresbysund", "day")
def test_spans_follow_each_other_without_gap_or_overlap(now_us, zone, unit):
    window = Window.parse(unit, zone)
    span = window.at(now_us)
    assert span.start_us <= now_us < span.end_us
    assert window.at(span.start_us) == window.at(span.end_us - 1) == span
    following = window.at(span.end_us)
    assert following.start_us == span.end_us
    assert following.id != span.id
    assert window.at(span.start_us - 1).end_us == span.start_us


@given(instants, st.sampled_from(ZONES))
def test_a_day_begins_at_midnight_on_the_zones_clocks_or_where_they_jump_over_it(now_us, zone):
    span = Window.parse("day", zone).at(now_us)
    began = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=span.start_us)).astimezone(
        ZoneInfo(zone)
    )
    assert 22 <= (span.end_us - span.start_us) / HOUR_US <= 48
    assert (began.hour, began.minute) in {(0, 0), (1, 0)}


@given(instants, st.sampled_from(["1m", "90m", "24h", "7d", "30d"]))
def test_a_bucket_counts_until_all_of_it_is_outside_the_length(now_us, text):
    window = Window.parse(text)
    bucket = window.at(now_us)
    assert bucket.start_us <= now_us < bucket.end_us
    assert window.at(bucket.end_us).start_us == bucket.end_us
    # What was spent in it counts for at least the length, and at most a 48th of it longer.
    assert bucket.counts_until_us - bucket.start_us == window.rolling_us * 49 // 48
    assert bucket.counts_until_us - now_us > window.rolling_us


def test_a_lifetime_never_ends():
    window = Window.parse("lifetime")
    assert window.at(0) == window.at(us("2500-01-01T00:00:00+00:00"))


def test_the_hour_that_clocks_repeat_is_two_hours():
    window = Window.parse("hour", "Europe/Zurich")
    first = window.at(us("2026-10-25T00:30:00+00:00"))
    second = window.at(us("2026-10-25T01:30:00+00:00"))
    assert first.id != second.id


@pytest.mark.parametrize(
    ("window", "zone", "said"),
    [
        ("fortnight", "UTC", "is no window"),
        ("", "UTC", "is no window"),
        ("0h", "UTC", "is no window"),
        ("monthly", "UTC", "is no window"),
        ("30 d", "UTC", "is no window"),
        ("month", "Mars/Olympus", "is no time zone"),
        ("month", "", "is no time zone"),
        ("month", "../../etc/passwd", "is no time zone"),
    ],
)
def test_a_window_that_is_not_understood_never_becomes_another_one(window, zone, said):
    with pytest.raises(ConfigError, match=said):
        Window.parse(window, zone)
