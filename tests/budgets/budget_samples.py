"""Budgets, entries and little worlds for tests of budgets. Sums are in nanodollars."""

import tempfile
from pathlib import Path

from farthing.budgets import BudgetSettings
from farthing.call import Attempt, AttemptStatus, Endpoint, Pricing
from farthing.ledger import CallStatus, Entry
from farthing.money import Money

NOON_US = 1_788_264_000_000_000  # 2026-09-01T12:00:00Z
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US


class SteppingClock:
    """A clock that stands still until it is moved; both kinds of time move together."""

    def __init__(self, now_us=NOON_US):
        self.at_us = now_us

    def now_us(self):
        return self.at_us

    def monotonic_us(self):
        return self.at_us


def a_budget(name="team", nanodollars=1_000, **changes):
    given = {
        "name": name,
        "scope": "all",
        "amount_usd": str(Money(nanodollars)),
        "window": "day",
    }
    return BudgetSettings(**{**given, **changes})


def an_entry(call_id, cost, charges, **changes):
    """A settled entry that cost so much, charged to these accounts; cost None: unpriced."""
    attempt = Attempt(
        number=1,
        provider="openai",
        model="gpt-4o",
        status=AttemptStatus.OK,
        pricing=Pricing.CARD,
        cost=None if cost is None else Money(cost),
    )
    given = {
        "call_id": call_id,
        "endpoint": Endpoint.OPENAI_CHAT,
        "model": "gpt-4o",
        "is_streamed": False,
        "status": CallStatus.OK,
        "started_us": NOON_US,
        "attempts": (attempt,),
        "charges": tuple(charges),
    }
    return Entry(**{**given, **changes})


def a_folder():
    """A fresh folder for one example; hypothesis runs many within one test."""
    in_memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None)
