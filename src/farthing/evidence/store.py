"""Comparisons, feedback and the levers' states in `evidence.sqlite`, shared by all processes.

V1  A comparison is stored once: the same lever, scope, call and judge again changes nothing.
V2  A state never changes without a line in the trail, in the same transaction.
V3  A day's spending never exceeds its cap: what an ask may cost is taken before it is sent. What
    was taken stands if its process dies, as the ledger books such a call.

No text of calls is kept here, but what people write with their feedback. Methods block, may be
called from any thread, and make the file when first something is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from farthing.evidence.comparison import Evidence
from farthing.evidence.file import EvidenceFile, EvidenceStoreError
from farthing.evidence.ladder import Mode, State
from farthing.money import ZERO, Money

__all__ = ["FILE_NAME", "Change", "Compared", "EvidenceStore", "EvidenceStoreError", "Feedback"]

FILE_NAME: Final = "evidence.sqlite"
_DAY_US: Final = 86_400_000_000


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison as it is stored: the evidence, which answers it is of, the mode at that time.

    `id` is 0 until it is stored, and rises in the order in which they came.
    """

    evidence: Evidence
    version: str = ""
    mode: Mode = Mode.SHADOW
    candidate_call: str = ""
    reference_call: str = ""
    reason: str = ""
    id: int = 0

    @property
    def is_served(self) -> bool:
        """Whether the caller got the candidate's answer."""
        return self.candidate_call == self.evidence.call != self.reference_call


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the trail: what changed, by whom (`ladder`, or a person's command) and why."""

    at_us: int
    lever: str
    scope: str
    before: str
    after: str
    actor: str
    reason: str


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of a call: 0 bad to 1 good."""

    call_id: str
    tenant: str
    feature: str
    score: float
    comment: str
    at_us: int


class EvidenceStore:
    """One connection to the file in a data folder."""

    def __init__(self, directory: Path) -> None:
        self._file = EvidenceFile(directory / FILE_NAME)
        self._read, self._writing = self._file.read, self._file.writing

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._file.exists

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._file.close()

    # Comparisons.

    def add(self, compared: Compared) -> bool:
        """Store a comparison; whether it is new (V1)."""
        one = compared.evidence
        with self._writing() as db:
            cursor = db.execute(
                "INSERT INTO comparisons (lever, scope, version, mode, call_id, candidate_call,"
                " reference_call, judge, score, reference, probability, cost_nanodollars, at_us,"
                " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (
                    one.lever,
                    one.feature,
                    compared.version,
                    compared.mode,
                    one.call,
                    compared.candidate_call,
                    compared.reference_call,
                    one.judge,
                    one.score,
                    one.reference,
                    one.probability,
                    one.cost.nanodollars,
                    one.at_us,
                    compared.reason[:500],
                ),
            )
            return cursor.rowcount > 0

    def comparisons(
        self, lever: str, scope: str, *, after: int = 0, version: str | None = None
    ) -> list[Compared]:
        """The comparisons of a lever and scope with an id above `after`, in order."""
        condition = "" if version is None else " AND version = ?"
        rows = self._read(
            "SELECT id, version, mode, candidate_call, reference_call, reason, call_id, lever,"  # noqa: S608 - a constant
            " scope, judge, score, reference, probability, cost_nanodollars, at_us"
            f" FROM comparisons WHERE lever = ? AND scope = ? AND id > ?{condition} ORDER BY id",
            (lever, scope, after, *(() if version is None else (version,))),
        )
        return [_compared(row) for row in rows]

    def latest(self) -> int:
        """The id of the last comparison; 0 before the first."""
        rows = self._read("SELECT COALESCE(MAX(id), 0) FROM comparisons", ())
        return int(rows[0][0]) if rows else 0

    def scopes(self) -> list[tuple[str, str]]:
        """The levers and scopes of which anything is known."""
        rows = self._read(
            "SELECT lever, scope FROM comparisons UNION SELECT lever, scope FROM states"
            " ORDER BY lever, scope",
            (),
        )
        return [(str(lever), str(scope)) for lever, scope in rows]

    # States.

    def states(self) -> list[State]:
        """All states that were ever set."""
        rows = self._read(f"SELECT {_STATE} FROM states ORDER BY lever, scope", ())  # noqa: S608 - a constant
        return [_state(row) for row in rows]

    def change(self, lever: str, scope: str, how: Callable[[State], State], actor: str) -> State:
        """Set a state to what `how` makes of it, with a line in the trail (V2).

        `how` runs while no other process can change it; the same object back changes nothing.
        """
        with self._writing() as db:
            row = db.execute(
                f"SELECT {_STATE} FROM states WHERE lever = ? AND scope = ?",  # noqa: S608 - a constant
                (lever, scope),
            ).fetchone()
            before = State(lever=lever, scope=scope) if row is None else _state(row)
            after = how(before)
            if after is before:
                return before
            db.execute(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    lever,
                    scope,
                    after.mode,
                    after.version,
                    after.generation,
                    after.watched_from,
                    after.mode_from,
                    after.since_us,
                    after.reason,
                ),
            )
            told = "" if row is None else before.mode.value
            change = Change(
                at_us=after.since_us,
                lever=lever,
                scope=scope,
                before=told,
                after=after.mode,
                actor=actor,
                reason=after.reason,
            )
            _note(db, change)
        return after

    def trail(self, *, lever: str = "", scope: str = "", latest: int = 100) -> list[Change]:
        """The latest changes, the newest first."""
        rows = self._read(
            "SELECT at_us, lever, scope, before, after, actor, reason FROM trail"
            " WHERE (? = '' OR lever = ?) AND (? = '' OR scope = ?) ORDER BY id DESC LIMIT ?",
            (lever, lever, scope, scope, latest),
        )
        return [Change(**dict(zip(Change.__struct_fields__, row, strict=True))) for row in rows]

    # The one switch.

    @property
    def is_stopped(self) -> bool:
        """Whether every lever is stopped."""
        rows = self._read("SELECT is_stopped FROM switch", ())
        return bool(rows and rows[0][0])

    def stop(self, *, is_stopped: bool, now_us: int, actor: str, reason: str) -> bool:
        """Stop every lever, or let them go on; whether that is a change."""
        with self._writing() as db:
            (before,) = db.execute("SELECT is_stopped FROM switch").fetchone()
            if bool(before) == is_stopped:
                return False
            db.execute("UPDATE switch SET is_stopped = ?", (int(is_stopped),))
            told = ("stopped", "running") if before else ("running", "stopped")
            change = Change(
                at_us=now_us,
                lever="*",
                scope="*",
                before=told[0],
                after=told[1],
                actor=actor,
                reason=reason,
            )
            _note(db, change)
        return True

    # Money of its own.

    def take(self, most: Money, cap: Money, now_us: int) -> bool:
        """Take what an ask may cost from the day's cap; False: it has no room, nothing is taken."""
        with self._writing() as db:
            spent = _spent(db, now_us)
            if spent + most.nanodollars > cap.nanodollars:
                return False
            _set_spent(db, now_us, spent + most.nanodollars)
        return True

    def give_back(self, taken: Money, cost: Money, now_us: int) -> None:
        """An ask ended that had `taken` on the day of `now_us`, and cost `cost`."""
        with self._writing() as db:
            _set_spent(db, now_us, _spent(db, now_us) + (cost - taken).nanodollars)

    def spent(self, now_us: int) -> Money:
        """What was spent, or may be by what runs, on the day (UTC) of `now_us`."""
        rows = self._read("SELECT nanodollars FROM spent WHERE day = ?", (now_us // _DAY_US,))
        return Money(int(rows[0][0])) if rows else ZERO

    # Feedback and labels.

    def note_feedback(self, given: Feedback) -> None:
        """Keep what somebody said of a call; the last word counts."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(given),
            )

    def feedback(self, feature: str | None = None) -> list[Feedback]:
        """What was said, oldest first."""
        rows = self._read(
            "SELECT call_id, tenant, feature, score, comment, at_us FROM feedback"
            " WHERE (? IS NULL OR feature = ?) ORDER BY at_us, call_id",
            (feature, feature),
        )
        return [Feedback(**dict(zip(Feedback.__struct_fields__, row, strict=True))) for row in rows]

    def label(self, comparison: int, *, is_good: bool, now_us: int) -> None:
        """Keep a person's word on a comparison: whether the candidate is as good or better."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (comparison, int(is_good), now_us)
            )

    def labels(self) -> dict[int, bool]:
        """The labels by comparison."""
        rows = self._read("SELECT comparison, is_good FROM labels", ())
        return {int(comparison): bool(is_good) for comparison, is_good in rows}


_STATE: Final = "lever, scope, mode, version, generation, watched_from, mode_from, since_us, reason"


def _state(row: tuple[Any, ...]) -> State:
    named: dict[str, Any] = dict(zip(_STATE.split(", "), row, strict=True))
    mode = Mode(named.pop("mode"))
    return State(mode=mode, **named)


def _compared(row: tuple[Any, ...]) -> Compared:
    (number, version, mode, candidate, reference_call, reason, *rest) = row
    call, lever, scope, judge, score, reference, probability, cost, at_us = rest
    return Compared(
        id=number,
        version=version,
        mode=Mode(mode),
        candidate_call=candidate,
        reference_call=reference_call,
        reason=reason,
        evidence=Evidence(
            call=call,
            lever=lever,
            feature=scope,
            judge=judge,
            score=score,
            reference=reference,
            probability=probability,
            cost=Money(cost),
            at_us=at_us,
        ),
    )


def _note(db: sqlite3.Connection, change: Change) -> None:
    db.execute(
        "INSERT INTO trail (at_us, lever, scope, before, after, actor, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(change),
    )


def _spent(db: sqlite3.Connection, now_us: int) -> int:
    row = db.execute("SELECT nanodollars FROM spent WHERE day = ?", (now_us // _DAY_US,)).fetchone()
    return 0 if row is None else int(row[0])


def _set_spent(db: sqlite3.Connection, now_us: int, nanodollars: int) -> None:
    db.execute("INSERT OR REPLACE INTO spent VALUES (?, ?)", (now_us // _DAY_US, nanodollars))
