"""The accounts and leases in the ledger's SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from farthing.budgets.account import Account
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.store import LEASE_TTL_US, Ask, Grant
from farthing.budgets.window import Span
from farthing.ledger import SqliteStore
from farthing.ledger.charges import tell
from farthing.ledger.layout import Layout
from farthing.money import Money

__all__ = ["SqliteBudgets"]

_WANTED_US: Final = 1_000_000
_LEASED: Final = (
    "(SELECT COALESCE(SUM(granted - drained), 0) FROM budget_leases WHERE account = id)"
)
_NONE: Final = (0, 0)
_PASSED: Final = (
    "CREATE TABLE IF NOT EXISTS budget_passed"
    " (account TEXT PRIMARY KEY, calls INTEGER NOT NULL, cost INTEGER NOT NULL) WITHOUT ROWID"
)
_HOLDING: Final = (
    "(SELECT COUNT(*) FROM budget_leases"
    " WHERE account = id AND granted > drained AND holder <> :holder)"
)
_STATE: Final = (
    f'SELECT end_us, rolling_us, "limit", committed, {_LEASED}, {_HOLDING}, wanted_until_us'  # noqa: S608 - constants
    " FROM budget_accounts"
)
_OPEN: Final = """
INSERT INTO budget_accounts VALUES (
    :id, :budget, :key, :window, :start_us, :end_us, :rolling_us, :limit, :is_enforced, :thresholds,
    0, 0
) ON CONFLICT (id) DO UPDATE SET start_us = :start_us, end_us = :end_us, rolling_us = :rolling_us,
    "limit" = iif("limit" < 0, :limit, "limit"),
    is_enforced = iif("limit" < 0, :is_enforced, is_enforced),
    thresholds = iif("limit" < 0, :thresholds, thresholds)
WHERE "limit" < 0 OR start_us <> :start_us OR end_us <> :end_us
"""


class _Bucket(msgspec.Struct, frozen=True):
    """A row of an account's window: itself, and in a rolling window the buckets beside it."""

    end_us: int
    rolling_us: int
    limit: int
    committed: int
    leased: int
    other_holders: int
    wanted_until_us: int


class SqliteBudgets:
    """A `BudgetStore` in the ledger's folder; used by one thread at a time."""

    def __init__(self, directory: Path, *, busy_timeout_ms: int = 2000) -> None:
        self._layout = Layout(directory)
        self._store = SqliteStore(self._layout.store, busy_timeout_ms=busy_timeout_ms)

    def tend(self, holder: str, asks: Sequence[Ask], now_us: int) -> list[Grant]:
        """Do what is asked, in one transaction; one answer an ask, in their order."""
        with self._store.transaction() as connection:
            return [_tend(connection, holder, ask, now_us) for ask in asks]

    def wanted(self, now_us: int) -> set[tuple[str, str]]:
        """The budgets and keys for whose money some holder waits."""
        found = self._query(
            'SELECT DISTINCT budget, "key" FROM budget_accounts WHERE wanted_until_us > :now_us',
            {"now_us": now_us},
        )
        return {(budget, key) for budget, key in found}

    def heartbeat(self, holder: str, now_us: int) -> None:
        """Say that the holder lives; its leases last for `LEASE_TTL_US` from now."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE budget_leases SET expires_us = ? WHERE holder = ?",
                (now_us + LEASE_TTL_US, holder),
            )

    def configure(self, budgets: Sequence[BudgetSettings], now_us: int) -> list[str]:
        """Give the accounts that count now the limits and thresholds of their budgets as set.

        What was committed stays. A limit that is lowered to what was spent tells its thresholds.
        """
        accounts: list[str] = []
        with self._store.transaction() as connection:
            for budget in budgets:
                given = {**_terms(budget), "now_us": now_us}
                changed = connection.execute(
                    'UPDATE budget_accounts SET "limit" = :limit, is_enforced = :is_enforced,'
                    " thresholds = :thresholds WHERE budget = :budget"
                    " AND end_us + rolling_us > :now_us"
                    ' AND ("limit" <> :limit OR is_enforced <> :is_enforced'
                    " OR thresholds <> :thresholds) RETURNING id",
                    given,
                ).fetchall()
                for (account,) in changed:
                    tell(connection, account, now_us)
                    accounts.append(account)
        return accounts

    def accounts(self, now_us: int, budget: str = "") -> list[Account]:
        """The accounts that count at an instant, of one budget or all, by budget, key and time."""
        found = self._query(
            'SELECT id, budget, "key", "window", start_us, end_us, rolling_us, "limit",'  # noqa: S608 - constants
            f" committed, {_LEASED} FROM budget_accounts"
            " WHERE end_us + rolling_us > :now_us AND (:budget = '' OR budget = :budget)"
            ' ORDER BY budget, "key", start_us',
            {"now_us": now_us, "budget": budget},
        )
        passed = self._passed()
        return [
            Account(
                id=row[0],
                budget=row[1],
                key=row[2],
                span=Span(*row[3:7]),
                limit=Money(row[7]),
                committed=Money(row[8]),
                leased=Money(row[9]),
                passed_calls=passed.get(row[0], _NONE)[0],
                passed=Money(passed.get(row[0], _NONE)[1]),
            )
            for row in found
        ]

    def note_passed(self, passed: Mapping[str, tuple[int, int]]) -> None:
        """Add to the calls, and their cost in nanodollars, that accounts would have refused."""
        with self._store.transaction() as connection:
            connection.execute(_PASSED)
            connection.executemany(
                "INSERT INTO budget_passed VALUES (?, ?, ?) ON CONFLICT (account)"
                " DO UPDATE SET calls = calls + excluded.calls, cost = cost + excluded.cost",
                [(account, *counts) for account, counts in passed.items()],
            )

    def _passed(self) -> dict[str, tuple[int, int]]:
        if not self._query("SELECT 1 FROM sqlite_master WHERE name = 'budget_passed'", {}):
            return {}
        found = self._query("SELECT account, calls, cost FROM budget_passed", {})
        return {account: (calls, cost) for account, calls, cost in found}

    def sweep(self, now_us: int) -> list[str]:
        """Return what lapsed leases hold whose holders left no journal; the holders' names.

        A holder whose journal is still there is the drainer's business, alive or dead: it returns
        the lease once it has booked what the journal holds. A journal is made before its run's
        first lease, so a holder without one can't be about to begin.
        """
        lapsed = self._query(
            "SELECT DISTINCT holder FROM budget_leases WHERE expires_us <= :now_us",
            {"now_us": now_us},
        )
        holders = [str(holder) for (holder,) in lapsed]
        journals = self._layout.segments() if holders else {}
        gone = [holder for holder in holders if holder not in journals]
        if gone:
            with self._store.transaction() as connection:
                connection.executemany(
                    "DELETE FROM budget_leases WHERE holder = ? AND expires_us <= ?",
                    [(holder, now_us) for holder in gone],
                )
        return gone

    def prune(self, before_us: int) -> int:
        """Drop accounts that stopped counting before an instant and have no lease; how many.

        Leases that are used up are dropped with them. An account that was charged and never opened
        here stays: nobody knows yet when its window ends.
        """
        with self._store.transaction() as connection:
            connection.execute(
                "DELETE FROM budget_leases WHERE granted = drained AND account IN"
                " (SELECT id FROM budget_accounts WHERE end_us + rolling_us < ?)",
                (before_us,),
            )
            connection.execute(_PASSED)
            connection.execute(
                "DELETE FROM budget_passed WHERE account IN"
                " (SELECT id FROM budget_accounts WHERE end_us + rolling_us < ?)",
                (before_us,),
            )
            return connection.execute(
                'DELETE FROM budget_accounts WHERE end_us + rolling_us < ? AND "limit" >= 0'
                " AND NOT EXISTS (SELECT 1 FROM budget_leases WHERE account = id)",
                (before_us,),
            ).rowcount

    def close(self) -> None:
        """Free the connection; another call opens it again."""
        self._store.close()

    def _query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return list(self._store.query(sql, parameters))


def _tend(connection: sqlite3.Connection, holder: str, ask: Ask, now_us: int) -> Grant:
    span = ask.span
    connection.execute(
        _OPEN,
        {
            "id": ask.id,
            "key": ask.key,
            "window": span.id,
            "start_us": span.start_us,
            "end_us": span.end_us,
            "rolling_us": span.rolling_us,
            **_terms(ask.budget),
        },
    )
    if ask.back:
        connection.execute(
            "UPDATE budget_leases SET granted = max(drained, granted - ?)"
            " WHERE account = ? AND holder = ?",
            (ask.back.nanodollars, ask.id, holder),
        )
    if ask.want:
        _lease(connection, holder, ask, now_us)
    return _look(connection, holder, ask, now_us)


def _lease(connection: sqlite3.Connection, holder: str, ask: Ask, now_us: int) -> None:
    buckets = _window(connection, holder, ask, now_us)
    limit = buckets[0].limit
    free = limit - sum(bucket.committed + bucket.leased for bucket in buckets)
    is_wanted = any(bucket.wanted_until_us > now_us for bucket in buckets)
    holders = 1 + max(bucket.other_holders for bucket in buckets)
    granted = _portion(free, ask, 0 if is_wanted else free // (2 * holders))
    connection.execute(
        "INSERT INTO budget_leases VALUES (:account, :holder, :granted, 0, :expires_us)"
        " ON CONFLICT (account, holder)"
        " DO UPDATE SET granted = granted + :granted, expires_us = :expires_us",
        {
            "account": ask.id,
            "holder": holder,
            "granted": granted,
            "expires_us": now_us + LEASE_TTL_US,
        },
    )
    if ask.need.nanodollars > granted and holders > 1:
        connection.execute(
            "UPDATE budget_accounts SET wanted_until_us = ? WHERE id = ?",
            (now_us + _WANTED_US, ask.id),
        )


def _portion(free: int, ask: Ask, share: int) -> int:
    """What is granted: all that is needed where that is free, and a share of the rest."""
    if free <= 0 or free < ask.least.nanodollars:
        return 0
    return min(free, max(ask.need.nanodollars, min(ask.want.nanodollars, share)))


def _window(connection: sqlite3.Connection, holder: str, ask: Ask, now_us: int) -> list[_Bucket]:
    """The account, and in a rolling window the buckets beside it that count; itself first."""
    sql = f"{_STATE} WHERE id = :id"
    given: dict[str, Any] = {"id": ask.id, "holder": holder}
    own = [_Bucket(*row) for row in connection.execute(sql, given)]
    if not ask.span.rolling_us:
        return own
    beside = connection.execute(
        f'{_STATE} WHERE budget = :budget AND "key" = :key AND rolling_us = :rolling_us'
        " AND end_us + rolling_us > :now_us AND id <> :id ORDER BY end_us",
        {
            **given,
            "budget": ask.budget.name,
            "key": ask.key,
            "rolling_us": ask.span.rolling_us,
            "now_us": now_us,
        },
    )
    return own + [_Bucket(*row) for row in beside]


def _look(connection: sqlite3.Connection, holder: str, ask: Ask, now_us: int) -> Grant:
    buckets = _window(connection, holder, ask, now_us)
    granted, drained = connection.execute(
        "SELECT granted, drained FROM budget_leases WHERE account = ? AND holder = ?",
        (ask.id, holder),
    ).fetchone() or (0, 0)
    limit = buckets[0].limit
    return Grant(
        id=ask.id,
        granted=Money(granted),
        drained=Money(drained),
        limit=Money(limit),
        spent=Money(sum(bucket.committed for bucket in buckets)),
        leased=Money(sum(bucket.leased for bucket in buckets)),
        resets_us=_resets_us(buckets, ask, limit),
        is_wanted=any(bucket.wanted_until_us > now_us for bucket in buckets),
    )


def _resets_us(buckets: Sequence[_Bucket], ask: Ask, limit: int) -> int:
    """When the window will have made room for what is needed, if nobody spends any more."""
    if not ask.span.rolling_us:
        return ask.span.end_us
    excess = sum(b.committed + b.leased for b in buckets) + ask.least.nanodollars - limit
    at_us = ask.span.counts_until_us
    for bucket in sorted(buckets, key=lambda b: b.end_us):
        at_us = bucket.end_us + bucket.rolling_us
        excess -= bucket.committed + bucket.leased
        if excess <= 0:
            break
    return at_us


def _terms(budget: BudgetSettings) -> dict[str, Any]:
    return {
        "budget": budget.name,
        "limit": budget.limit.nanodollars,
        "is_enforced": int(budget.is_enforced),
        "thresholds": msgspec.json.encode(budget.thresholds).decode(),
    }
