"""A budget that can't be understood refuses to start; nothing is guessed."""

import msgspec
import pytest

from farthing.budgets import BudgetSettings, account_id, check_names
from farthing.budgets.window import Window
from farthing.errors import ConfigError
from farthing.money import Money


def a_budget(**changes):
    given = {"name": "team", "scope": "all", "amount_usd": "100", "window": "month"}
    return msgspec.convert({**given, **changes}, BudgetSettings)


def test_an_amount_is_exact():
    assert a_budget(amount_usd="0.000000001").limit == Money(1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"window": "fortnight"}, "is no window"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"scope": "featur=a"}, "did you mean 'feature'"),
        ({"amount_usd": "0.0000000001"}, "regex"),
        ({"amount_usd": "-1"}, "regex"),
        ({"amount_usd": 1.5}, "Expected `str`"),
        ({"at_limit": "downgrade"}, "go together"),
        ({"downgrade_to": "gpt-4o-mini"}, "go together"),
        ({"thresholds": [50, 50]}, "stands twice"),
        ({"thresholds": [0]}, ">= 1"),
        ({"name": "a/b"}, "regex"),
        ({"at_limit": "explode"}, "Invalid enum value"),
        ({"limit": "1"}, "unknown field"),
    ],
)
def test_a_fault_is_told(changes, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        a_budget(**changes)


def test_two_budgets_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="Two budgets are named 'team'"):
        check_names([a_budget(), a_budget(window="day")])


@pytest.mark.parametrize(
    ("changes", "is_enforced"),
    [
        ({}, True),
        ({"at_limit": "throttle"}, True),
        ({"at_limit": "notify"}, False),
        ({"mode": "shadow"}, False),
        ({"mode": "off"}, False),
    ],
)
def test_only_a_budget_that_is_on_and_does_more_than_notify_holds_calls_back(changes, is_enforced):
    assert a_budget(**changes).is_enforced is is_enforced


def test_an_accounts_name_can_be_taken_apart():
    span = Window.parse("24h").at(1_800_000_000_000_000)
    parts = account_id("team", "user=a/b c", span).split("/", 2)
    assert parts == ["team", span.id, "user=a/b c"]
