import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.budgets.forecast import forecast_end
from farthing.money import Money

CENT = 10_000_000


def usd(amount):
    return Money.usd(amount)


def dollars(*hours):
    return [round(hour * 10**9) for hour in hours]


def test_a_steady_spender_is_forecast_exactly():
    found = forecast_end(usd("10"), dollars(*[1] * 72), 24)
    assert found.basis == "history"
    assert str(found.expected) == "34.00"
    assert found.low <= found.expected <= found.high


def test_the_hours_of_the_day_are_respected():
    day = [0] * 12 + [1] * 12  # nights are free
    found = forecast_end(usd("0"), dollars(*day * 5), 12)
    assert str(found.expected) == "0.00"
    assert str(forecast_end(usd("0"), dollars(*day * 5), 18).expected) == "6.00"


def test_when_days_are_left_the_last_week_counts_with_its_weekend():
    week = [1] * 24 * 5 + [0] * 24 * 2
    found = forecast_end(usd("0"), dollars(*week * 2), 7 * 24)
    assert str(found.expected) == "60.00"  # the mean of a week of Sundays and a week like the last


def test_part_of_an_hour_counts_in_part():
    assert str(forecast_end(usd("1"), dollars(*[2] * 24), 0.5).expected) == "2.00"


def test_at_the_start_nothing_is_claimed_beyond_what_is_spent():
    for hours in ([], dollars(5), dollars(5, 5), [0] * 40):
        found = forecast_end(usd("5"), hours, 100)
        assert (found.basis, found.expected, str(found.low), found.high) == (
            "none", None, "5.00", None,
        )  # fmt: skip


def test_some_hours_give_a_pace_with_a_wide_interval():
    found = forecast_end(usd("6"), dollars(1, 2, 3), 10)
    assert (found.basis, str(found.expected)) == ("pace", "26.00")
    assert found.low < usd("12")
    assert found.high > usd("80")


def test_a_window_that_is_over_ends_at_what_was_spent():
    found = forecast_end(usd("7"), dollars(*[1] * 30), 0)
    assert (found.basis, found.expected, found.low, found.high) == ("over",) + (usd("7"),) * 3


def test_a_bursty_spender_has_a_wider_interval_than_a_steady_one():
    steady = forecast_end(usd("0"), dollars(*[1] * 240), 24)
    bursts = [24 if hour % 57 == 0 else 0 for hour in range(240)]
    bursty = forecast_end(usd("0"), dollars(*bursts), 24)
    assert bursty.high.nanodollars > 3 * steady.high.nanodollars


@settings(max_examples=80)
@given(
    spent=st.integers(0, 10**13),
    hours=st.lists(st.integers(0, 10**12) | st.just(0), max_size=200),
    left=st.floats(0, 800),
)
def test_a_forecast_is_never_below_what_is_spent_and_lies_in_its_interval(spent, hours, left):
    found = forecast_end(Money(spent), hours, left)
    assert found.low >= Money(spent)
    if found.expected is not None:
        assert found.low <= found.expected <= found.high


@pytest.mark.parametrize("times", [2, 1000])
def test_the_unit_of_money_does_not_matter(times):
    hours = [(hour * 7919) % 13 * CENT for hour in range(120)]
    one = forecast_end(Money(0), hours, 50)
    more = forecast_end(Money(0), [hour * times for hour in hours], 50)
    assert more.high.nanodollars == pytest.approx(one.high.nanodollars * times, rel=1e-6)
