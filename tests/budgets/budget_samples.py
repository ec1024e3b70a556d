"""Budgets, entries and little worlds for tests of budgets. Sums are in nanodollars."""

import tempfile
from pathlib import Path

from farthing.budgets import BudgetSettings, Purse, SqliteBudgets, Wait
from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.ledger import CallStatus, Entry, SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch, Checkpoint, Position
from farthing.money import Money

NOON_US = 1_788_264_000_000_000  # 2026-09-01T12:00:00Z
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
NOBODY = Attribution()


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


class Desk:
    """One worker with its purse, the store it leases from, and the ledger that books its calls."""

    def __init__(self, directory, budgets, run="worker-0", clock=None):
        self.clock = clock or SteppingClock()
        self.run = run
        self.purse = Purse(budgets)
        self.store = SqliteBudgets(directory)
        self.ledger = SqliteStore(Layout(directory).store)
        self.store.configure(budgets, self.clock.now_us())
        self.count = 0

    def reserve(self, nanodollars, attribution=NOBODY, model="gpt-4o"):
        """A reservation, or the refusal after the store was asked once."""

        def given():
            return self.purse.reserve(attribution, model, Money(nanodollars), self.clock.now_us())

        return self._asked(given)

    def extend(self, reservation, nanodollars):
        return self._asked(lambda: reservation.extend(Money(nanodollars), self.clock.now_us()))

    def tend(self, asks):
        now_us = self.clock.now_us()
        self.purse.apply(asks, self.store.tend(self.run, asks, now_us), now_us)

    def tidy(self):
        self.tend(self.purse.tidy(self.clock.now_us()))

    def give_back(self):
        self.tend(self.purse.give_back(self.store.wanted(self.clock.now_us())))

    def settle(self, reservation, nanodollars, *, is_posted=True):
        """End a call: the entry goes to the ledger, and the reservation is settled."""
        self.count += 1
        entry = an_entry(
            f"{self.run}-{self.count}",
            nanodollars,
            reservation.charges,
            started_us=self.clock.now_us(),
        )
        reservation.settle(entry.cost)
        if is_posted:
            self.post([entry])
        return entry

    def post(self, entries):
        place = Checkpoint(run=self.run, resume=Position(), read=Position())
        return self.ledger.post(Batch(entries=entries, checkpoint=place))

    def die(self):
        """What the drainer does when all of a dead run's journal is booked."""
        self.ledger.forget([self.run])

    def account(self, budget="team", key="all"):
        now_us = self.clock.now_us()
        found = [a for a in self.store.accounts(now_us, budget) if a.key == key]
        return found[-1]

    def sums(self, budget="team", key="all"):
        account = self.account(budget, key)
        return account.committed.nanodollars, account.leased.nanodollars

    def events(self, kind="threshold"):
        return list(
            self.ledger.query(
                'SELECT threshold, spent, "limit", "window" FROM budget_events'
                " WHERE kind = ? ORDER BY id",
                (kind,),
            )
        )

    def close(self):
        self.store.close()
        self.ledger.close()

    def _asked(self, given):
        first = given()
        if not isinstance(first, Wait):
            return first
        self.tend(self.purse.asks([first], self.clock.now_us()))
        second = given()
        return second.busy(self.clock.now_us()) if isinstance(second, Wait) else second
