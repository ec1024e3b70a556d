"""What the semantic layer does off the event loop, in one thread: embed, scan, compare, follow.

The thread owns the embedder, the questions at hand and a connection of its own. It reads what all
workers wrote about once a second, and loads a space in small pieces when somebody first asks in it,
so that no look-up waits for another space's questions; until a space is whole, it finds nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from farthing.clock import Clock
from farthing.gateway.semantic_log import asked_row
from farthing.gateway.semantic_plan import Found, Plan, Position
from farthing.gateway.semantic_sharing import Sharing
from farthing.levers.cache import CacheStoreError, SqliteAnswers, TenantKeys, Vault, cache_file
from farthing.levers.cache.seal import BadSeal, Sealer
from farthing.levers.cache.semantic import Embedder, Lookup, sign
from farthing.levers.cache.semantic import Rules as DecisionRules
from farthing.levers.cache.semantic.course import Course
from farthing.levers.cache.semantic.earning import earned, why_not_serve
from farthing.levers.cache.semantic.shelf import (
    QUESTION_PLACE,
    Held,
    Question,
    Shelf,
    packed,
    unpacked,
)
from farthing.levers.cache.semantic_labels import course_of, label_of
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import (
    CourseRow,
    LabelRow,
    QuestionRow,
    SemanticTables,
)

__all__ = ["SemanticReader"]

_LOG = logging.getLogger("farthing")
_PIECE: Final = 200  # rows that are loaded, or labels folded, between two look-ups
_NEWS_MAX: Final = 2_000
_RECKON_US: Final = 60_000_000

Later = Callable[[Callable[[], object]], None]
Write = Callable[[Callable[[SqliteAnswers], object]], None]


class _Running(msgspec.Struct):
    """A course that is followed: its labels up to the common mark are folded."""

    plan: Plan
    row: CourseRow
    course: Course
    waiting: list[LabelRow]
    is_ready: bool = False
    reckoned_us: int = -_RECKON_US


class _Marks(msgspec.Struct):
    """The last row of each table that has been read."""

    questions: int = 0
    wordings: int = 0
    apart: int = 0
    labels: int = 0
    sightings: int = 0


class SemanticReader:
    """All methods are called in the one thread; they may block."""

    def __init__(
        self,
        settings: SemanticSettings,
        directory: Path,
        clock: Clock,
        make_embedder: Callable[[], Embedder],
        later: Later,
        write: Write,
    ) -> None:
        """`later` puts work at the end of this thread's queue; `write` has rows written."""
        self._settings = settings
        self._clock = clock
        self._path = cache_file(directory)
        self._vault = Vault(directory / "cache-keys")
        self._make_embedder = make_embedder
        self._later = later
        self._write = write
        self._sealer = Sealer()
        self._running: dict[bytes, _Running] = {}
        self.positions: dict[bytes, Position] = {}  # read by the event loop
        self.sharing = Sharing(settings, write)  # what is shared in it, too
        self._counts: dict[bytes, tuple[CourseRow, Counter[str]]] = {}
        self._marks = _Marks()
        self._purged = 0

    def begin(self) -> None:
        """Load the embedder, then what is stored, last used first."""
        self._embedder = self._make_embedder()
        self._answers = SqliteAnswers(self._path)
        self._tables = SemanticTables(self._answers)
        room = self._settings.index_entries_max
        self._shelf = Shelf(self._embedder.dimensions, room, self.sharing.sightings)
        self.sharing.held = self._shelf.held
        self._embedder.embed(["Warm up."])
        sign("Warm up.")
        self._begin_again()

    def close(self) -> None:
        """Hand over what was counted and close the connection."""
        self._write_counts()
        self._answers.close()

    def _begin_again(self) -> None:
        """Read afresh: at the start, and after something was purged."""
        self._purged = self._answers.last_purge()
        self._shelf.clear()
        self.sharing.clear()
        self._marks = _Marks(
            questions=self._tables.last_question(),
            labels=self._marks.labels or self._tables.last_label(),
        )
        self._follow_wordings()
        room = self._settings.index_entries_max
        owners = {keys.tenant_mark: keys for keys in self._vault.tenants()}
        for space, tenant, count in self._tables.spaces(self._embedder.identity):
            room -= count
            if room >= 0 and tenant in owners:
                self._later(partial(self._load_unless_here, space, owners[tenant]))

    # Look-ups.

    def look(self, plan: Plan) -> Found:
        """What is near a question, and what to do with it."""
        begun_us = self._clock.monotonic_us()
        (vector,) = self._embedder.embed([plan.text])
        state = self._shelf.state(plan.space)
        if state is None:
            state = self._load(plan.space, plan.keys)
        if not state:
            return Found(vector=vector, why_not="warming up")
        running = self._follow(plan)
        position = self.positions.get(running.row.course, Position())
        standing = position.standing
        rules = DecisionRules(
            mode=plan.mode,
            scorer=standing.scorer,
            threshold=standing.threshold,
            is_uncertified_allowed=plan.rules.is_uncertified_allowed and not standing.breaches,
            cosine_min=self._settings.near_min,
            grey_cosine_min=self._settings.near_min,
            is_veto_learnt=plan.terms.is_veto_learnt and not standing.is_fitted,
        )
        lookup = Lookup(signature=sign(plan.text), writer=plan.writer)
        looked = self._shelf.look(plan.space, plan.key, lookup, vector, rules)
        took_us = self._clock.monotonic_us() - begun_us
        return Found(vector=vector, looked=looked, position=position, took_us=took_us)

    def keep(self, plan: Plan, found: Found | None, answer: bytes) -> None:
        """Have a question whose answer was just stored; `answer` stands for what that says."""
        is_new = self._shelf.held(plan.key) is None
        if is_new and not self.sharing.may_keep(plan, found, self._clock.now_us()):
            self.count(plan, {"not_indexed": 1})
            return
        vector = self._embedder.embed([plan.text])[0] if found is None else found.vector
        held = Held(plan.key, plan.text, plan.writer, answer)
        if self._shelf.state(plan.space) is not None:
            self._shelf.add(plan.space, held, vector)
        row = QuestionRow(0, plan.key, plan.keys.tenant_mark, plan.space, b"")
        said = Question(text=plan.text, vector=packed(vector), writer=plan.writer, answer=answer)
        self._keep(row, plan.keys, said)

    def _keep(self, row: QuestionRow, keys: TenantKeys, question: Question) -> None:
        plain, place = msgspec.msgpack.encode(question), QUESTION_PLACE + row.entry
        sealed = self._sealer.seal(keys.payload_key, plain, place)
        kept, identity = msgspec.structs.replace(row, sealed=sealed), self._embedder.identity
        self._write(lambda answers: SemanticTables(answers).keep_question(kept, identity))

    def replace(self, entry: bytes, keys: TenantKeys, mark: Callable[[], bytes]) -> None:
        """Another answer, for which `mark` stands, came to a stored question without a look-up."""
        row = self._tables.question(entry, self._embedder.identity)
        question = None if row is None else self._opened(row, keys)
        if row is not None and question is not None and question.answer != (answer := mark()):
            self._keep(row, keys, msgspec.structs.replace(question, answer=answer))

    def drop(self, entry: bytes) -> None:
        """Forget a question whose answer is gone."""
        self._shelf.remove(entry)

    # Noting.

    def log(self, plan: Plan, call_id: str, found: Found | None, result: str) -> None:
        """Note a look-up; what its texts say is sealed."""
        row = asked_row(plan, call_id, found, result, self._clock.now_us(), self._sealer)
        self._write(lambda answers: SemanticTables(answers).add_asked(row))

    def count(self, plan: Plan, amounts: dict[str, int]) -> None:
        """Add to the account of a course."""
        course = plan.course
        self._counts.setdefault(course.course, (course, Counter()))[1].update(amounts)

    def _write_counts(self) -> None:
        day = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC).date().isoformat()
        for course, amounts in self._counts.values():
            self._write(partial(_count, day, course, dict(amounts)))
        self._counts.clear()

    # Loading.

    def _load_unless_here(self, space: bytes, keys: TenantKeys) -> None:
        if self._shelf.state(space) is None:
            self._load(space, keys)

    def _load(self, space: bytes, keys: TenantKeys) -> bool:
        """Begin to load a space; whether it is whole already."""
        self._shelf.begin(space)
        return self._load_piece(space, keys, 0)

    def _load_piece(self, space: bytes, keys: TenantKeys, after: int) -> bool:
        if self._shelf.state(space) is None:
            return False  # dropped meanwhile
        rows = self._tables.questions(space, self._embedder.identity, after, _PIECE)
        for row in rows:
            self._put(row, keys)
        if len(rows) < _PIECE:
            self._shelf.complete(space)
            return True
        self._later(partial(self._load_piece, space, keys, rows[-1].id))
        return False

    def _put(self, row: QuestionRow, keys: TenantKeys) -> None:
        question = self._opened(row, keys)
        if question is None:
            return
        held = Held(row.entry, question.text, question.writer, question.answer)
        if self._shelf.held(row.entry) != held:  # it may have another answer, another asker now
            self._shelf.add(row.space, held, unpacked(question.vector))

    def _opened(self, row: QuestionRow, keys: TenantKeys) -> Question | None:
        """A stored question; None where its key is gone, or it is not ours."""
        try:
            plain = self._sealer.open(keys.payload_key, row.sealed, QUESTION_PLACE + row.entry)
            return msgspec.msgpack.decode(plain, type=Question)
        except (BadSeal, msgspec.DecodeError):
            return None

    # Following what all workers write.

    def follow(self, now_us: int) -> None:
        """Take in what was written since; called about once a second."""
        self._write_counts()
        try:
            if self._answers.last_purge() != self._purged:
                self._begin_again()
            self._follow_questions()
            self._follow_wordings()
            self._follow_labels()
            self._follow_courses(now_us)
        except CacheStoreError as error:
            _LOG.warning("the semantic cache could not be followed: %s", error)

    def _follow_questions(self) -> None:
        news = self._tables.new_questions(self._embedder.identity, self._marks.questions, _NEWS_MAX)
        if not news:
            return
        self._marks.questions = news[-1].id
        owners: dict[bytes, TenantKeys] | None = None
        for row in news:
            if self._shelf.state(row.space) is None:
                continue
            if owners is None:
                owners = {keys.tenant_mark: keys for keys in self._vault.tenants()}
            if row.tenant in owners:
                self._put(row, owners[row.tenant])

    def _follow_wordings(self) -> None:
        for row in self._tables.wordings(self._marks.wordings):
            self._marks.wordings = row.id
            self.sharing.learn(row)
            self._shelf.same[row.key] = row.entry
        for row in self._tables.apart(self._marks.apart):
            self._marks.apart = row.id
            self._shelf.apart.add((row.key, row.entry))
            if self.sharing.part(row.key, row.entry):
                self._shelf.same.pop(row.key, None)
        for row in self._tables.sightings(self._marks.sightings):
            self._marks.sightings = row.id
            self.sharing.sightings.note(row.entry, row.principal, row.answer)

    def _follow(self, plan: Plan) -> _Running:
        """The course of a plan, followed from now on."""
        running = self._running.get(plan.course.course)
        if running is None:
            running = _Running(plan, plan.course, Course(plan.terms), [])
            self._running[plan.course.course] = running
            self._write(lambda answers: SemanticTables(answers).note_course(plan.course))
            self._fold_from_start(running)
        return running

    def _fold_from_start(self, running: _Running) -> None:
        stored = self._tables.labels(running.row.course, self._marks.labels)
        running.course = course_of(running.plan.terms, stored)
        running.waiting = stored
        running.is_ready = False
        self._fold_piece(running)

    def _fold_piece(self, running: _Running) -> None:
        piece, running.waiting = running.waiting[:_PIECE], running.waiting[_PIECE:]
        for row in piece:
            running.course.take(label_of(row, running.course))
        if running.waiting:
            self._later(partial(self._fold_piece, running))
            return
        running.is_ready = True
        self._place(running)

    def _follow_labels(self) -> None:
        for number, row in self._tables.new_labels(self._marks.labels):
            self._marks.labels = number
            running = self._running.get(row.course)
            if running is not None:
                running.waiting.append(row)
        for running in self._running.values():
            if running.waiting and running.is_ready:
                self._fold_piece(running)

    def _follow_courses(self, now_us: int) -> None:
        rows = {row.course: row for row in self._tables.courses()} if self._running else {}
        for running in self._running.values():
            row = rows.get(running.row.course, running.row)
            is_stale = row.revision != running.row.revision
            running.row = row
            if is_stale:
                self._fold_from_start(running)
            if now_us >= running.reckoned_us + _RECKON_US:
                running.reckoned_us = now_us
                self._reckon(running, now_us)
            self._place(running)

    def _reckon(self, running: _Running, now_us: int) -> None:
        """Look at the account; stop, or go on."""
        settings, rules = self._settings, running.plan.rules
        since = datetime.fromtimestamp(now_us / 1e6, UTC).date() - timedelta(settings.net_days - 1)
        counts = self._tables.account(running.row.course, since.isoformat())
        account = earned(counts, error=rules.delta, loss=rules.loss, sampling=settings.sampling)
        why = why_not_serve(account, error=rules.delta, days=settings.net_days)
        course = running.row.course
        if bool(why) == bool(running.row.stopped):
            return
        if why:
            _LOG.warning(
                "the semantic cache stops for feature %s: %s",
                running.row.feature or "unattributed",
                why,
            )
        running.row = msgspec.structs.replace(running.row, stopped=why, stopped_us=now_us)
        self._write(lambda answers: SemanticTables(answers).stop(course, now_us, why))

    def _place(self, running: _Running) -> None:
        """Tell the event loop where a course stands."""
        if running.is_ready:
            before = self.positions.get(running.row.course)
            standing = running.course.standing
            if before is not None and standing.breaches > before.standing.breaches:
                _LOG.warning(
                    "answers that the semantic cache served for feature %s were wrong more often "
                    "than %.2g %%: it is back in shadow",
                    running.row.feature or "unattributed",
                    running.plan.rules.delta * 100,
                )
            self.positions[running.row.course] = Position(standing, running.row.stopped)


def _count(day: str, course: CourseRow, amounts: dict[str, int], answers: SqliteAnswers) -> None:
    SemanticTables(answers).count(day, course, amounts)
