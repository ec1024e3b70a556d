"""The outbox: which events are still to be told to whom, kept in the ledger's own file.

O1  An event is delivered once per target. It is claimed before it is sent; a worker that dies in
    between leaves the claim to run out, and the event is sent again under the same message id:
    on the wire that is at least once, and a receiver that keeps ids sees it once.
O2  A delivery ends: sent, or dead after so many tries. A try counts when it begins, so that an
    event whose sending kills the sender ends as well.
O3  What died is kept, with the last error, until it is retried by hand.

`budget_events` belongs to the ledger's schema, whose drainer fills it. Made here are
`budget_deliveries`, one row for each event and target, which an event's own columns sum up, and
`budget_event_details`, the words of events that have any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from farthing.budgets.alerts.event import AlertEvent, Delivery, DeliveryState
from farthing.money import Money

__all__ = ["Outbox", "Transactions", "add_event"]

Transactions = Callable[[], AbstractContextManager[sqlite3.Connection]]

_CLAIM_US: Final = 300_000_000
_ERROR_MOST: Final = 500
_TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS budget_deliveries (
    event INTEGER NOT NULL, target TEXT NOT NULL,
    state TEXT NOT NULL, tries INTEGER NOT NULL, next_try_us INTEGER NOT NULL,
    last_error TEXT NOT NULL DEFAULT '', sent_us INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (event, target)
) WITHOUT ROWID
""",
    "CREATE TABLE IF NOT EXISTS budget_event_details (event INTEGER PRIMARY KEY, detail TEXT NOT NULL)",
)
_EVENT: Final = (
    'e.id, e.budget, e."key", e."window", e.kind, e.threshold, e.at_us, e.spent, e."limit",'
    " COALESCE((SELECT detail FROM budget_event_details WHERE event = e.id), '')"
)
_DELIVERY: Final = "d.target, d.state, d.tries, d.next_try_us, d.last_error, d.sent_us"
_JOINED: Final = (
    f"SELECT {_EVENT}, {_DELIVERY} FROM budget_deliveries d JOIN budget_events e ON e.id = d.event"  # noqa: S608 - constants
)
_SUM_UP: Final = """
UPDATE budget_events SET
    state = CASE
        WHEN EXISTS (SELECT 1 FROM budget_deliveries WHERE event = :id AND state = 'pending')
            THEN 'new'
        WHEN EXISTS (SELECT 1 FROM budget_deliveries WHERE event = :id AND state = 'dead')
            THEN 'dead'
        ELSE 'sent' END,
    tries = (SELECT COALESCE(MAX(tries), 0) FROM budget_deliveries WHERE event = :id),
    next_try_us = (SELECT COALESCE(MIN(next_try_us), 0) FROM budget_deliveries
                   WHERE event = :id AND state = 'pending'),
    last_error = COALESCE((SELECT last_error FROM budget_deliveries
                           WHERE event = :id AND last_error <> '' LIMIT 1), '')
WHERE id = :id
"""


class Outbox:
    """Reads and marks events; any number of processes may, each with its own connection.

    `transaction` gives the connection within a transaction of its own that takes the write lock
    at once (`BEGIN IMMEDIATE`), as `SqliteStore.transaction` does.
    """

    def __init__(self, transaction: Transactions) -> None:
        self._transaction = transaction
        with transaction() as connection:
            for table in _TABLES:
                connection.execute(table)

    def add(self, event: AlertEvent) -> bool:
        """Note an event, unless its window has it already; whether it is new."""
        with self._transaction() as connection:
            return add_event(connection, event)

    def spread(self, targets_of: Callable[[AlertEvent], Sequence[str]]) -> int:
        """Make the deliveries of new events; how many events were new.

        An event that no target is to hear of is kept in state `muted`.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_EVENT} FROM budget_events e WHERE e.state = 'new' AND NOT EXISTS"  # noqa: S608 - constants
                " (SELECT 1 FROM budget_deliveries d WHERE d.event = e.id) ORDER BY e.id"
            ).fetchall()
            for event in map(_event, rows):
                targets = targets_of(event)
                connection.executemany(
                    "INSERT OR IGNORE INTO budget_deliveries (event, target, state, tries,"
                    " next_try_us) VALUES (?, ?, 'pending', 0, 0)",
                    [(event.id, target) for target in targets],
                )
                if not targets:
                    connection.execute(
                        "UPDATE budget_events SET state = 'muted',"
                        " last_error = 'no alert target hears of this budget' WHERE id = ?",
                        (event.id,),
                    )
            return len(rows)

    def claim(self, now_us: int, most: int = 100) -> list[Delivery]:
        """Take deliveries that are due; nobody else gets them for five minutes."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"{_JOINED} WHERE d.state = 'pending' AND d.next_try_us <= ?"
                " ORDER BY d.next_try_us, e.id, d.target LIMIT ?",
                (now_us, most),
            ).fetchall()
            connection.executemany(
                "UPDATE budget_deliveries SET tries = tries + 1, next_try_us = ?"
                " WHERE event = ? AND target = ?",
                [(now_us + _CLAIM_US, row[0], row[10]) for row in rows],
            )
        return [_delivery((*row[:12], row[12] + 1, now_us + _CLAIM_US, *row[14:])) for row in rows]

    def mark_sent(self, delivery: Delivery, now_us: int, note: str = "") -> None:
        """The target took it; `note` says what to know all the same."""
        self._mark(delivery, DeliveryState.SENT, 0, note, now_us)

    def mark_failed(self, delivery: Delivery, error: str, next_try_us: int | None) -> None:
        """The try failed; None: there will be no other."""
        if next_try_us is None:
            self._mark(delivery, DeliveryState.DEAD, 0, error, 0)
        else:
            self._mark(delivery, DeliveryState.PENDING, next_try_us, error, 0)

    def postpone(self, delivery: Delivery, next_try_us: int) -> None:
        """Give a claimed delivery back untried."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE budget_deliveries SET tries = tries - 1, next_try_us = ?"
                " WHERE event = ? AND target = ? AND state = 'pending' AND tries = ?",
                (next_try_us, delivery.event.id, delivery.target, delivery.tries),
            )
            connection.execute(_SUM_UP, {"id": delivery.event.id})

    def deliveries(self, state: DeliveryState | None = None, most: int = 1000) -> list[Delivery]:
        """The latest deliveries, the latest event first; of one state only, where it is given."""
        condition = "" if state is None else f" WHERE d.state = '{state.value}'"
        with self._transaction() as connection:
            rows = connection.execute(
                f"{_JOINED}{condition} ORDER BY e.id DESC, d.target LIMIT ?", (most,)
            ).fetchall()
        return [_delivery(row) for row in rows]

    def dead_letters(self, most: int = 1000) -> list[Delivery]:
        """What could not be delivered; see `retry`."""
        return self.deliveries(DeliveryState.DEAD, most)

    def muted(self, most: int = 1000) -> list[AlertEvent]:
        """Events that no target was to hear of, the latest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_EVENT} FROM budget_events e WHERE e.state = 'muted'"  # noqa: S608 - constants
                " ORDER BY e.id DESC LIMIT ?",
                (most,),
            ).fetchall()
        return [_event(row) for row in rows]

    def retry(self, now_us: int, target: str = "") -> int:
        """Make dead deliveries (of one target, where it is named) due again; how many."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT event, target FROM budget_deliveries WHERE state = 'dead'"
                " AND (? = '' OR target = ?)",
                (target, target),
            ).fetchall()
            connection.executemany(
                "UPDATE budget_deliveries SET state = 'pending', tries = 0, next_try_us = ?"
                " WHERE event = ? AND target = ?",
                [(now_us, *row) for row in rows],
            )
            for event_id in {row[0] for row in rows}:
                connection.execute(_SUM_UP, {"id": event_id})
            return len(rows)

    def next_due_us(self) -> int | None:
        """When the next delivery is due; None: none is under way."""
        with self._transaction() as connection:
            (due_us,) = connection.execute(
                "SELECT MIN(next_try_us) FROM budget_deliveries WHERE state = 'pending'"
            ).fetchone()
        return due_us

    def _mark(
        self, delivery: Delivery, state: DeliveryState, next_try_us: int, error: str, sent_us: int
    ) -> None:
        """Only the latest claim may; one that had run out changes nothing."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE budget_deliveries SET state = ?, next_try_us = ?, last_error = ?,"
                " sent_us = ? WHERE event = ? AND target = ? AND state = 'pending' AND tries = ?",
                (
                    state.value,
                    next_try_us,
                    error[:_ERROR_MOST],
                    sent_us,
                    delivery.event.id,
                    delivery.target,
                    delivery.tries,
                ),
            )
            connection.execute(_SUM_UP, {"id": delivery.event.id})


def add_event(connection: sqlite3.Connection, event: AlertEvent) -> bool:
    """Note an event within a transaction, unless its window has it already; whether it is new."""
    done = connection.execute(
        'INSERT OR IGNORE INTO budget_events (budget, "key", "window", kind, threshold, at_us,'
        ' spent, "limit", state, tries, next_try_us, last_error)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'new', 0, 0, '')",
        (
            event.budget,
            event.key,
            event.window,
            str(event.kind),
            event.threshold,
            event.at_us,
            event.spent.nanodollars,
            event.limit.nanodollars,
        ),
    )
    if done.rowcount != 1:
        return False
    if event.detail:
        connection.execute(
            "INSERT OR REPLACE INTO budget_event_details VALUES (?, ?)",
            (done.lastrowid, event.detail),
        )
    return True


def _event(row: Sequence[object]) -> AlertEvent:
    return AlertEvent(
        id=_whole(row[0]),
        budget=str(row[1]),
        key=str(row[2]),
        window=str(row[3]),
        kind=str(row[4]),
        threshold=_whole(row[5]),
        at_us=_whole(row[6]),
        spent=Money(_whole(row[7])),
        limit=Money(_whole(row[8])),
        detail=str(row[9]),
    )


def _delivery(row: Sequence[object]) -> Delivery:
    return Delivery(
        event=_event(row),
        target=str(row[10]),
        state=DeliveryState(str(row[11])),
        tries=_whole(row[12]),
        next_try_us=_whole(row[13]),
        last_error=str(row[14]),
        sent_us=_whole(row[15]),
    )


def _whole(cell: object) -> int:
    assert isinstance(cell, int)  # noqa: S101 - the columns are integers
    return cell
