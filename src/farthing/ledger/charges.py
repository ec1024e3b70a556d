"""Where entries are charged: the accounts of budgets, moved in the transaction that posts them.

An entry names the accounts it is charged to. What it cost goes to their `committed` in the very
transaction that makes it part of the ledger, so that the two can't differ, and out of the lease
that its writer's run held for it. A lease is `granted - drained`: what the store handed out, less
what the ledger has since booked. A cost that no lease covers is booked all the same; the lease then
counts as granted what was drained, so that no lease is ever negative. Budgets decide; this books.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from farthing.ledger.entry import Entry

__all__ = ["SCHEMA", "apply", "release", "tell"]

SCHEMA: Final = """
CREATE TABLE budget_accounts (
    id TEXT PRIMARY KEY, budget TEXT NOT NULL, "key" TEXT NOT NULL, "window" TEXT NOT NULL,
    start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, rolling_us INTEGER NOT NULL,
    "limit" INTEGER NOT NULL, is_enforced INTEGER NOT NULL, thresholds TEXT NOT NULL,
    committed INTEGER NOT NULL, wanted_until_us INTEGER NOT NULL
);
CREATE INDEX budget_accounts_by_key ON budget_accounts (budget, "key", end_us);
CREATE INDEX budget_accounts_wanted ON budget_accounts (wanted_until_us);
CREATE TABLE budget_leases (
    account TEXT NOT NULL, holder TEXT NOT NULL, granted INTEGER NOT NULL, drained INTEGER NOT NULL,
    expires_us INTEGER NOT NULL, PRIMARY KEY (account, holder), CHECK (drained <= granted)
) WITHOUT ROWID;
CREATE INDEX budget_leases_by_holder ON budget_leases (holder);
CREATE TABLE budget_events (
    id INTEGER PRIMARY KEY, budget TEXT NOT NULL, "key" TEXT NOT NULL, "window" TEXT NOT NULL,
    kind TEXT NOT NULL, threshold INTEGER NOT NULL, at_us INTEGER NOT NULL,
    spent INTEGER NOT NULL, "limit" INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'new', tries INTEGER NOT NULL DEFAULT 0,
    next_try_us INTEGER NOT NULL DEFAULT 0, last_error TEXT NOT NULL DEFAULT '',
    UNIQUE (budget, "key", "window", kind, threshold)
);
CREATE INDEX budget_events_by_state ON budget_events (state, next_try_us);
"""
_MOST: Final = 2**63 - 1
_DECODE = msgspec.json.Decoder(tuple[int, ...]).decode


class _Charge:
    """What a batch moves on one account."""

    __slots__ = ("at_us", "cost")

    def __init__(self) -> None:
        self.cost = self.at_us = 0

    def add(self, cost: int, at_us: int) -> None:
        """Move so much more, at this instant or later."""
        self.cost += cost
        self.at_us = max(self.at_us, at_us)


def apply(connection: sqlite3.Connection, run: str, entries: Iterable[Entry]) -> None:
    """Charge entries that were just posted, within the transaction that posted them.

    `run` is the journal they come from, whose leases they use up; empty for none.
    """
    alike: dict[tuple[str, ...], _Charge] = {}  # calls that go to the same accounts, as most do
    for entry in entries:
        if entry.charges:
            charge = alike.get(entry.charges)
            if charge is None:
                charge = alike[entry.charges] = _Charge()
            charge.add(entry.cost.nanodollars, entry.started_us + entry.duration_us)
    charges: dict[str, _Charge] = {}
    for accounts, sum_of_all in alike.items():
        for account in accounts:
            charge = charges.get(account)
            if charge is None:
                charge = charges[account] = _Charge()
            charge.add(sum_of_all.cost, sum_of_all.at_us)
    for account, charge in charges.items():
        _book(connection, account, run, charge)


def release(connection: sqlite3.Connection, runs: Iterable[str]) -> None:
    """Return the leases of runs whose journals are drained to the end, their writers gone."""
    connection.executemany("DELETE FROM budget_leases WHERE holder = ?", [(run,) for run in runs])


def tell(connection: sqlite3.Connection, account_id: str, at_us: int) -> None:
    """Note each threshold that the account's spending has reached; each is told once a window.

    A rolling window has no end; there a threshold is told again once a whole length has passed.
    """
    account = _account(connection, account_id)
    if account is None or account.limit < 0:
        return  # charged before its budget was opened here: there is nothing to compare with
    now_us, spent = _spent(connection, account, at_us)
    for threshold in _DECODE(account.thresholds):
        is_reached = spent > 0 and spent * 100 >= threshold * account.limit
        if is_reached and not _was_told(connection, account, threshold, now_us):
            _note(connection, account, ("threshold", threshold), (now_us, spent))


class _Account(msgspec.Struct, frozen=True):
    """A row of `budget_accounts`, as far as charging needs it; limit -1: not known yet."""

    id: str
    budget: str
    key: str
    window: str
    end_us: int
    rolling_us: int
    limit: int
    is_enforced: int
    thresholds: str
    committed: int


def _account(connection: sqlite3.Connection, account_id: str) -> _Account | None:
    found = connection.execute(
        'SELECT id, budget, "key", "window", end_us, rolling_us, "limit", is_enforced, thresholds,'
        " committed FROM budget_accounts WHERE id = ?",
        (account_id,),
    ).fetchone()
    return None if found is None else _Account(*found)


def _book(connection: sqlite3.Connection, account_id: str, run: str, charge: _Charge) -> None:
    budget, _, rest = account_id.partition("/")
    window, _, key = rest.partition("/")
    connection.execute(
        "INSERT OR IGNORE INTO budget_accounts VALUES (?, ?, ?, ?, 0, 0, 0, -1, 0, '[]', 0, 0)",
        (account_id, budget, key, window),
    )
    account = _account(connection, account_id)
    assert account is not None  # noqa: S101 - inserted above
    connection.execute(
        "UPDATE budget_accounts SET committed = ? WHERE id = ?",
        (_saturated(account.committed + charge.cost), account_id),
    )
    uncovered = charge.cost - _drain(connection, account_id, run, charge.cost)
    if uncovered > 0 and account.is_enforced:
        _tell_overrun(connection, account, charge.at_us)
    tell(connection, account_id, charge.at_us)


def _drain(connection: sqlite3.Connection, account_id: str, run: str, cost: int) -> int:
    """Use up the run's lease, and note the cost where it has none; how much of it was covered."""
    if not run:
        return 0
    lease = (account_id, run)
    connection.execute("INSERT OR IGNORE INTO budget_leases VALUES (?, ?, 0, 0, 0)", lease)
    granted, before = connection.execute(
        "SELECT granted, drained FROM budget_leases WHERE account = ? AND holder = ?", lease
    ).fetchone()
    drained = _saturated(before + cost)
    connection.execute(
        "UPDATE budget_leases SET granted = ?, drained = ? WHERE account = ? AND holder = ?",
        (max(granted, drained), drained, *lease),
    )
    return min(cost, granted - before)


def _tell_overrun(connection: sqlite3.Connection, account: _Account, at_us: int) -> None:
    """A cost came that no lease covered; it is told where it takes the account over its limit."""
    now_us, spent = _spent(connection, account, at_us)
    (leased,) = connection.execute(
        "SELECT COALESCE(SUM(granted - drained), 0) FROM budget_leases WHERE account = ?",
        (account.id,),
    ).fetchone()
    if spent + leased > account.limit >= 0:
        _note(connection, account, ("overrun", 0), (now_us, spent))


def _spent(connection: sqlite3.Connection, account: _Account, at_us: int) -> tuple[int, int]:
    """What the account's window has spent, and the instant at which that is so.

    For a bucket of a rolling window that is the latest instant known at which the bucket counts,
    so that a late entry meets all that was spent since.
    """
    if not account.rolling_us:
        spent = connection.execute(
            "SELECT committed FROM budget_accounts WHERE id = ?", (account.id,)
        ).fetchone()[0]
        return at_us, spent
    buckets = connection.execute(
        "SELECT start_us, end_us, committed FROM budget_accounts"
        ' WHERE budget = ? AND "key" = ? AND rolling_us = ? AND start_us < ? AND end_us > ?',
        (
            account.budget,
            account.key,
            account.rolling_us,
            account.end_us + account.rolling_us,
            account.end_us - account.rolling_us,
        ),
    ).fetchall()
    now_us = max(at_us, *(start_us for start_us, _, _ in buckets))
    since_us = now_us - account.rolling_us
    return now_us, sum(committed for _, end_us, committed in buckets if end_us > since_us)


def _was_told(
    connection: sqlite3.Connection, account: _Account, threshold: int, now_us: int
) -> bool:
    """Whether a rolling window told the threshold within its own length before now."""
    if not account.rolling_us:
        return False
    found = connection.execute(
        "SELECT 1 FROM budget_events WHERE budget = ? AND \"key\" = ? AND kind = 'threshold'"
        " AND threshold = ? AND at_us > ?",
        (account.budget, account.key, threshold, now_us - account.rolling_us),
    ).fetchone()
    return found is not None


def _note(
    connection: sqlite3.Connection,
    account: _Account,
    what: tuple[str, int],
    seen: tuple[int, int],
) -> None:
    """Add an event, unless its window has it. `what`: kind, threshold; `seen`: at_us, spent."""
    connection.execute(
        'INSERT OR IGNORE INTO budget_events (budget, "key", "window", kind, threshold, at_us,'
        ' spent, "limit") VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        (account.budget, account.key, account.window, *what, *seen, account.limit),
    )


def _saturated(amount: int) -> int:
    """The amount as a 64-bit column can hold it; too much stays too much, and never turns over."""
    return max(-_MOST, min(_MOST, amount))
