"""A refusal tells its arithmetic, in three sentences."""

import pytest
from budget_samples import NOON_US, a_budget

from farthing.budgets import Refused, Window
from farthing.budgets.window import FOREVER_US
from farthing.money import Money


def a_refusal(**changes):
    given = {
        "code": "budget_exceeded",
        "budget": "search",
        "key": "feature=search",
        "window": "month 2026-09",
        "action": "block",
        "limit": Money.usd("100"),
        "spent": Money.usd("99.58"),
        "reserved": Money(0),
        "needed": Money.usd("1.10"),
        "shortfall": Money.usd("0.68"),
        "resets_us": Window.parse("month").at(NOON_US).end_us,
    }
    return Refused(**{**given, **changes})


def test_what_is_exceeded_says_how_far_and_until_when():
    assert str(a_refusal()) == (
        "Budget 'search' (feature=search, month 2026-09) of 100.00 USD has spent 99.58; this call"
        " may cost up to 1.10, 0.68 more than is left. Nothing was sent and nothing was charged."
        " Ask for less output, raise the limit, or wait until 2026-10-01T00:00:00Z."
    )


def test_what_others_hold_stands_in_the_arithmetic():
    held = a_refusal(reserved=Money.usd("0.20"), shortfall=Money.usd("0.88"))
    assert held.limit + held.shortfall == held.spent + held.reserved + held.needed
    for told in (str(held), held.midway):
        assert "has spent 99.58 and holds 0.20 for other calls" in told
        assert "0.88 more than is left" in told


def test_what_is_busy_says_what_is_held_and_to_try_again():
    told = str(a_refusal(code="budget_busy", spent=Money.usd("50"), reserved=Money.usd("49.58")))
    assert "has spent 50.00 and holds 49.58 for other calls" in told
    assert told.endswith("Try again shortly: some of what is held comes back.")


def test_a_store_that_cant_be_asked_is_named():
    told = str(a_refusal(code="budget_busy", detail="The disk is full."))
    assert "can't be asked: The disk is full." in told


@pytest.mark.parametrize(
    ("resets_us", "said"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (Window.parse("month").at(NOON_US).end_us, "2026-10-01T00:00:00Z"),
        (FOREVER_US, ""),
    ],
)
def test_the_reset_is_an_instant_or_never(resets_us, said):
    refusal = a_refusal(resets_us=resets_us)
    assert refusal.resets_at == said
    assert ("wait until" in str(refusal)) == bool(said)


def test_only_exceeded_is_lasting(a_desk):
    assert a_refusal().is_lasting
    assert not a_refusal(code="budget_busy").is_lasting


def test_numbers_add_up_where_a_stream_asks_for_more(a_desk):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(200), 200)
    stream = desk.reserve(500)
    refused = desk.extend(stream, 400)
    assert refused.code == "budget_exceeded"
    assert (refused.spent, refused.needed, refused.shortfall) == (
        Money(200),
        Money(900),  # what it holds and what it asks for
        Money(100),
    )
    assert stream.held == Money(500)
