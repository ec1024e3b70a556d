import msgspec
import pytest
from alert_doubles import DAY_US, HOUR_US, NOON_US, usd

from farthing.budgets.pace import instant_text, percent_text, share_tenths, status_of
from farthing.budgets.standing import Standing
from farthing.budgets.window import FOREVER_US

DAY = Standing(
    budget="b",
    scope="all",
    key="all",
    window="day 2026-11-13",
    start_us=NOON_US - 12 * HOUR_US,
    end_us=NOON_US + 12 * HOUR_US,
    limit=usd("24"),
    spent=usd("12"),
    reserved=usd("1"),
)
STEADY = [usd("1").nanodollars] * 48


def on(**changes):
    return msgspec.structs.replace(DAY, **changes)


def test_a_steady_day_reaches_its_limit_when_it_ends_and_not_before():
    status = status_of(DAY, STEADY, NOON_US)
    assert (str(status.burn_hour), str(status.burn_day), str(status.free)) == (
        "1.00", "24.00", "11.00",
    )  # fmt: skip
    assert status.exhausted_us is None
    assert str(status.forecast.expected) == "24.00"


def test_the_money_is_gone_when_the_last_day_goes_on_as_it_was():
    status = status_of(on(limit=usd("15")), STEADY, NOON_US)
    assert status.exhausted_us == NOON_US + 3 * HOUR_US


def test_with_less_than_a_day_to_learn_from_the_last_hour_counts():
    status = status_of(on(limit=usd("14")), [0, 0, usd("1").nanodollars], NOON_US)
    assert status.exhausted_us == NOON_US + 2 * HOUR_US


def test_a_limit_that_is_reached_is_reached_now():
    status = status_of(on(spent=usd("30")), STEADY, NOON_US)
    assert status.exhausted_us == NOON_US
    assert status.share_tenths == 1250


def test_nothing_spent_is_nothing_claimed():
    status = status_of(on(spent=usd("0")), [], NOON_US)
    assert status.exhausted_us is None
    assert (status.forecast.basis, status.forecast.expected) == ("none", None)


@pytest.mark.parametrize("open_ended", [{"is_rolling": True}, {"end_us": FOREVER_US}])
def test_a_window_without_an_end_has_a_pace_and_no_forecast(open_ended):
    status = status_of(on(limit=usd("15"), **open_ended), STEADY, NOON_US)
    assert status.exhausted_us == NOON_US + 3 * HOUR_US
    assert status.forecast.basis == "none"
    assert status.document()["ends"] is None


def test_a_rolling_window_is_exhausted_within_its_length_or_not_at_all():
    rolling = on(is_rolling=True, start_us=NOON_US - DAY_US, end_us=NOON_US, limit=usd("60"))
    assert status_of(rolling, STEADY, NOON_US).exhausted_us is None


def test_the_document_has_money_as_texts_and_instants_in_utc():
    told = status_of(on(limit=usd("15")), STEADY, NOON_US).document()
    assert told == {
        "budget": "b",
        "key": "all",
        "window": "day 2026-11-13",
        "starts": "2026-11-13T00:00:00Z",
        "ends": "2026-11-14T00:00:00Z",
        "mode": "on",
        "at_limit": "block",
        "limit_usd": "15.00",
        "spent_usd": "12.00",
        "reserved_usd": "1.00",
        "free_usd": "2.00",
        "would_have_been_refused": {"calls": 0, "cost_usd": "0.00"},
        "spent_share": 0.8,
        "burn": {"last_hour_usd": "1.00", "last_day_usd": "24.00"},
        "exhausted_at": "2026-11-13T15:00:00Z",
        "forecast": {
            "basis": "history",
            "expected_usd": "24.00",
            "low_usd": told["forecast"]["low_usd"],
            "high_usd": told["forecast"]["high_usd"],
            "coverage": 0.8,
        },
    }
    msgspec.json.encode(told)


def test_shares_are_rounded_half_to_even_and_a_limit_of_nothing_is_used_up():
    assert [share_tenths(usd(spent), usd("1")) for spent in ("0.8415", "0.8425", "2")] == [
        842, 842, 2000,
    ]  # fmt: skip
    assert share_tenths(usd("0"), usd("0")) == 1000
    assert (percent_text(842), percent_text(1000)) == ("84.2 %", "100.0 %")
    assert instant_text(NOON_US + 999_999) == "2026-11-13T12:00:00Z"
