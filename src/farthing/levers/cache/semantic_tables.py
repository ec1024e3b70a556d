"""What the semantic layer keeps beside the entries, in the same file.

Questions and their vectors stand sealed under their tenant's key, and so do the texts in the log.
Rows go with the entry that they belong to. Labels hold no text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from farthing.levers.cache.semantic.calibration import Judged
from farthing.levers.cache.store import SqliteAnswers

__all__ = [
    "PERSON",
    "ApartRow",
    "AskedRow",
    "CourseRow",
    "LabelRow",
    "QuestionRow",
    "SemanticTables",
    "SightingRow",
    "WordingRow",
]

PERSON: Final = "person"
_SAID_WRONG: Final = ": wrong"
_LOG_ROWS_MAX: Final = 200_000


class QuestionRow(msgspec.Struct, frozen=True, gc=False):
    """A stored question; `sealed` holds its text, vector, writer and what its answer says."""

    id: int
    entry: bytes
    tenant: bytes
    space: bytes
    sealed: bytes


class WordingRow(msgspec.Struct, frozen=True, gc=False):
    """A wording that may have an entry's answer: who says so, and who asked for that first."""

    id: int
    key: bytes
    entry: bytes
    source: str
    writer: str | None


class ApartRow(msgspec.Struct, frozen=True, gc=False):
    """A wording that must not have an entry's answer."""

    id: int
    key: bytes
    entry: bytes


class SightingRow(msgspec.Struct, frozen=True, gc=False):
    """A principal asked for an entry again; `answer` is what his agrees with, empty: he has none."""

    id: int
    entry: bytes
    tenant: bytes
    principal: str
    answer: bytes


class LabelRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One comparison, for the certificate of `course`."""

    course: bytes
    tenant: bytes
    features: tuple[float, ...]
    is_wrong: bool
    propensity: float
    is_serving: bool
    judge: str
    at_us: int
    call_id: str
    vetoes: tuple[str, ...] = ()

    @property
    def judged(self) -> Judged:
        """What the judge said of it, and a person where one did."""
        if not self.judge.startswith(PERSON):
            return Judged(self.is_wrong)
        return Judged(self.judge.endswith(_SAID_WRONG), self.is_wrong)


class CourseRow(msgspec.Struct, frozen=True, gc=False):
    """A namespace that is certified by itself."""

    course: bytes
    tenant: bytes
    feature: str
    model: str
    revision: int = 0
    stopped_us: int = 0
    stopped: str = ""


class AskedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A look-up as it is logged. `told` is JSON without any text of a question."""

    at_us: int
    call_id: str
    tenant: bytes
    user: bytes | None
    feature: str
    course: bytes
    key: bytes
    entry: bytes | None
    result: str
    guard: str
    cosine: float | None
    told: str
    sealed: bytes
    verdict: str = ""
    judge: str = ""
    id: int = 0


_ASKED: Final = (
    "at_us, call_id, tenant, user, feature, course, key, entry, result, guard, cosine, told,"
    " sealed, verdict, judge, id"
)
_LABEL: Final = (
    "id, course, tenant, features, is_wrong, propensity, is_serving, judge, at_us, call_id, vetoes"
)


class SemanticTables:
    """Reads and writes; writing within a transaction of the connection's owner."""

    def __init__(self, answers: SqliteAnswers) -> None:
        self._db: sqlite3.Connection = answers.connection

    def keep_question(self, row: QuestionRow, embedder: str) -> None:
        """Keep a question, if its answer is still there."""
        self._db.execute(
            "INSERT OR REPLACE INTO questions (entry, tenant, space, embedder, sealed)"
            " SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM entries WHERE key = ?1)",
            (row.entry, row.tenant, row.space, embedder, row.sealed),
        )

    def approve(self, row: WordingRow, tenant: bytes, at_us: int) -> None:
        """Let a wording have an entry's answer, as long as that is there; its id is given here."""
        writer = None if row.writer is None else bytes.fromhex(row.writer)
        self._db.execute(
            "INSERT OR REPLACE INTO wordings (key, entry, tenant, source, at_us, writer)"
            " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM entries WHERE key = ?2)"
            " AND NOT EXISTS (SELECT 1 FROM apart WHERE key = ?1 AND entry = ?2)",
            (row.key, row.entry, tenant, row.source, at_us, writer),
        )

    def see(self, row: SightingRow) -> None:
        """Note that a principal asked for an entry again, as long as that is there."""
        self._db.execute(
            "INSERT OR IGNORE INTO sightings (entry, tenant, principal, answer)"
            " SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM entries WHERE key = ?1)",
            (row.entry, row.tenant, bytes.fromhex(row.principal), row.answer),
        )

    def part(self, key: bytes, entry: bytes, tenant: bytes, at_us: int) -> None:
        """Never give that wording that answer."""
        self._db.execute("DELETE FROM wordings WHERE key = ? AND entry = ?", (key, entry))
        self._db.execute(
            "INSERT OR IGNORE INTO apart (key, entry, tenant, at_us) VALUES (?, ?, ?, ?)",
            (key, entry, tenant, at_us),
        )

    def reunite(self, key: bytes, entry: bytes) -> None:
        """Take back that a pair was kept apart; whoever holds copies reads them again."""
        gone = self._db.execute("DELETE FROM apart WHERE key = ? AND entry = ?", (key, entry))
        if gone.rowcount:
            self._db.execute("INSERT INTO purges (at_us) VALUES (0)")  # covers no answer

    def add_label(self, row: LabelRow) -> None:
        """Record a comparison; what it proves is derived from all of them in order."""
        self._db.execute(
            "INSERT INTO labels (course, tenant, features, is_wrong, propensity, is_serving, judge,"
            " at_us, call_id, vetoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.course, row.tenant, msgspec.json.encode(row.features).decode(), row.is_wrong,
                row.propensity, row.is_serving, row.judge, row.at_us, row.call_id,
                msgspec.json.encode(row.vetoes).decode(),
            ),
        )  # fmt: skip

    def relabel(self, call_id: str, *, is_wrong: bool) -> None:
        """A person's word in place of a judge's; whoever folded the labels folds them again.

        What the judge had said stays beside it: "person over JUDGE: wrong".
        """
        self._db.execute(
            "UPDATE labels SET is_wrong = ?1, judge = CASE WHEN judge LIKE ?3 THEN judge"
            " ELSE ?4 || judge || (CASE WHEN is_wrong THEN ?5 ELSE ': right' END) END"
            " WHERE call_id = ?2",
            (is_wrong, call_id, f"{PERSON}%", f"{PERSON} over ", _SAID_WRONG),
        )
        self._db.execute(
            "UPDATE courses SET revision = revision + 1 WHERE course IN"
            " (SELECT course FROM labels WHERE call_id = ?)",
            (call_id,),
        )

    def add_asked(self, row: AskedRow) -> None:
        """Log a look-up."""
        self._db.execute(
            "INSERT INTO asked (at_us, call_id, tenant, user, feature, course, key, entry, result,"
            " guard, cosine, verdict, judge, told, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.at_us, row.call_id, row.tenant, row.user, row.feature, row.course, row.key,
                row.entry, row.result, row.guard, row.cosine, row.verdict, row.judge, row.told,
                row.sealed,
            ),
        )  # fmt: skip

    def tell_verdict(self, call_id: str, verdict: str, judge: str) -> None:
        """What the comparison of a look-up's answers came to."""
        self._db.execute(
            "UPDATE asked SET verdict = ?, judge = ? WHERE call_id = ?", (verdict, judge, call_id)
        )

    def count(self, day: str, course: CourseRow, amounts: Mapping[str, int]) -> None:
        """Add to an account: counts, and sums in nanodollars."""
        self._db.executemany(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET amount = amount + excluded.amount",
            [(day, course.course, course.tenant, course.feature, n, v) for n, v in amounts.items()],
        )

    def note_course(self, row: CourseRow) -> None:
        """Have a row for a course."""
        self._db.execute(
            "INSERT OR IGNORE INTO courses (course, tenant, feature, model) VALUES (?, ?, ?, ?)",
            (row.course, row.tenant, row.feature, row.model),
        )

    def stop(self, course: bytes, at_us: int, why: str) -> None:
        """Note that a course stops serving (`why` empty: that it goes on)."""
        self._db.execute(
            "UPDATE courses SET stopped_us = ?, stopped = ? WHERE course = ?", (at_us, why, course)
        )

    def tidy(self, before_us: int) -> None:
        """Drop the log before an instant, and what is too much of it."""
        self._db.execute("DELETE FROM asked WHERE at_us < ?", (before_us,))
        self._db.execute(
            "DELETE FROM asked WHERE id <= (SELECT MAX(id) FROM asked) - ?", (_LOG_ROWS_MAX,)
        )

    # Reading.

    def has_entry(self, entry: bytes) -> bool:
        """Whether the answer is there that rows belong to."""
        found = self._db.execute("SELECT 1 FROM entries WHERE key = ?", (entry,))
        return found.fetchone() is not None

    def spaces(self, embedder: str) -> list[tuple[bytes, bytes, int]]:
        """Spaces with their tenants and how many questions they hold, those used last first."""
        return self._db.execute(
            "SELECT space, tenant, COUNT(*) FROM questions WHERE embedder = ?"
            " GROUP BY space, tenant ORDER BY MAX(id) DESC",
            (embedder,),
        ).fetchall()

    def questions(self, space: bytes, embedder: str, after: int, most: int) -> list[QuestionRow]:
        """Questions of a space, by id."""
        rows = self._db.execute(
            "SELECT id, entry, tenant, space, sealed FROM questions"
            " WHERE space = ? AND embedder = ? AND id > ? ORDER BY id LIMIT ?",
            (space, embedder, after, most),
        )
        return [QuestionRow(*row) for row in rows]

    def questions_of(self, tenant: bytes, embedder: str) -> list[QuestionRow]:
        """All questions of a tenant."""
        rows = self._db.execute(
            "SELECT id, entry, tenant, space, sealed FROM questions"
            " WHERE tenant = ? AND embedder = ? ORDER BY id",
            (tenant, embedder),
        )
        return [QuestionRow(*row) for row in rows]

    def question(self, entry: bytes, embedder: str) -> QuestionRow | None:
        """The question of an entry."""
        row = self._db.execute(
            "SELECT id, entry, tenant, space, sealed FROM questions"
            " WHERE entry = ? AND embedder = ?",
            (entry, embedder),
        ).fetchone()
        return None if row is None else QuestionRow(*row)

    def new_questions(self, embedder: str, after: int, most: int) -> list[QuestionRow]:
        """Questions that came after an id."""
        rows = self._db.execute(
            "SELECT id, entry, tenant, space, sealed FROM questions"
            " WHERE id > ? AND embedder = ? ORDER BY id LIMIT ?",
            (after, embedder, most),
        )
        return [QuestionRow(*row) for row in rows]

    def last_question(self) -> int:
        """The latest id."""
        return self._db.execute("SELECT COALESCE(MAX(id), 0) FROM questions").fetchone()[0]

    def wordings(self, after: int) -> list[WordingRow]:
        """Approved wordings that came after an id."""
        rows = self._db.execute(
            "SELECT id, key, entry, source, writer FROM wordings WHERE id > ? ORDER BY id", (after,)
        )
        return [
            WordingRow(number, key, entry, source, None if writer is None else writer.hex())
            for number, key, entry, source, writer in rows
        ]

    def sightings(self, after: int) -> list[SightingRow]:
        """Sightings that came after an id."""
        rows = self._db.execute(
            "SELECT id, entry, tenant, principal, answer FROM sightings WHERE id > ? ORDER BY id",
            (after,),
        )
        return [
            SightingRow(number, entry, tenant, principal.hex(), answer)
            for number, entry, tenant, principal, answer in rows
        ]

    def apart(self, after: int) -> list[ApartRow]:
        """Pairs kept apart that came after an id."""
        rows = self._db.execute(
            "SELECT id, key, entry FROM apart WHERE id > ? ORDER BY id", (after,)
        )
        return [ApartRow(*row) for row in rows]

    def labels(self, course: bytes, until: int) -> list[LabelRow]:
        """The labels of a course up to an id, in order."""
        rows = self._db.execute(
            f"SELECT {_LABEL} FROM labels WHERE course = ? AND id <= ? ORDER BY id",  # noqa: S608
            (course, until),
        )
        return [_label(row) for _, *row in rows]

    def new_labels(self, after: int) -> list[tuple[int, LabelRow]]:
        """Labels of all courses after an id, in order."""
        rows = self._db.execute(
            f"SELECT {_LABEL} FROM labels WHERE id > ? ORDER BY id",  # noqa: S608 - ours
            (after,),
        )
        return [(number, _label(row)) for number, *row in rows]

    def last_label(self) -> int:
        """The latest id."""
        return self._db.execute("SELECT COALESCE(MAX(id), 0) FROM labels").fetchone()[0]

    def courses(self) -> list[CourseRow]:
        """All courses."""
        rows = self._db.execute(
            "SELECT course, tenant, feature, model, revision, stopped_us, stopped FROM courses"
        )
        return [CourseRow(*row) for row in rows]

    def account(self, course: bytes, since_day: str) -> dict[str, int]:
        """What a course counted since a day."""
        return dict(
            self._db.execute(
                "SELECT name, SUM(amount) FROM accounts WHERE course = ? AND day >= ? GROUP BY 1",
                (course, since_day),
            ).fetchall()
        )

    def asked(self, where: str, values: Sequence[object], most: int) -> list[AskedRow]:
        """Logged look-ups that meet a condition (SQL, ours), latest first."""
        rows = self._db.execute(
            f"SELECT {_ASKED} FROM asked WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608
            (*values, most),
        )
        names = [name.strip() for name in _ASKED.split(",")]
        return [AskedRow(**dict(zip(names, row, strict=True))) for row in rows]


def _label(row: Sequence[object]) -> LabelRow:
    told = dict(zip(LabelRow.__struct_fields__, row, strict=True))
    return msgspec.convert(
        told | {name: msgspec.json.decode(str(told[name])) for name in ("features", "vetoes")},
        LabelRow,
        strict=False,
        builtin_types=(bytes,),
    )
