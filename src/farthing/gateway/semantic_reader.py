"""What the semantic layer reads off the event loop: embed, scan, decide, follow what others wrote.

It owns the embedder, the questions at hand and a connection of its own, and is used by one thread,
a worker's or another process's. It reads what all workers wrote about once a second, and loads a
space in small pieces when somebody first asks in it, so that no look-up waits for another space's
questions; until a space is whole, it finds nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec

from farthing.clock import Clock
from farthing.gateway.semantic_acts import News, Ready, Renewed
from farthing.gateway.semantic_courses import Courses
from farthing.gateway.semantic_judge import answer_mark, said_of
from farthing.gateway.semantic_log import asked_row
from farthing.gateway.semantic_plan import Found, Plan
from farthing.gateway.semantic_sharing import Sharing
from farthing.levers.cache import (
    CacheStoreError,
    SqliteAnswers,
    Stored,
    TenantKeys,
    Vault,
    cache_file,
)
from farthing.levers.cache.entry import decode_stored
from farthing.levers.cache.seal import BadSeal, Sealer
from farthing.levers.cache.semantic import Embedder, Lookup, sign
from farthing.levers.cache.semantic import Rules as DecisionRules
from farthing.levers.cache.semantic.shelf import (
    QUESTION_PLACE,
    Held,
    Question,
    Shelf,
    packed,
    unpacked,
)
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import (
    CourseRow,
    QuestionRow,
    SemanticTables,
)

__all__ = ["Hands", "SemanticReader"]

_LOG = logging.getLogger("farthing")
_PIECE: Final = 200  # rows that are loaded between two look-ups
_NEWS_MAX: Final = 2_000
_TIDY_US: Final = 3_600_000_000
_DAY_US: Final = 86_400_000_000


class Hands(Protocol):
    """What carries the layer does for it."""

    def later(self, work: Callable[[], object]) -> object:
        """Do something behind what waits."""
        ...

    def write(self, write: Callable[[SqliteAnswers], object]) -> None:
        """Have rows written, soon."""
        ...

    def write_with(self, entry: bytes, write: Callable[[SqliteAnswers], bool]) -> None:
        """The same, once the entry is there that they belong to; again where it gives False."""
        ...

    def tell(self, news: News) -> None:
        """Tell the event loop."""
        ...


class _Marks(msgspec.Struct):
    """The last row of each table that has been read."""

    questions: int = 0
    wordings: int = 0
    apart: int = 0
    sightings: int = 0


class SemanticReader:
    """All methods are called in one thread; they may block."""

    def __init__(
        self,
        settings: SemanticSettings,
        directory: Path,
        clock: Clock,
        make_embedder: Callable[[], Embedder],
        hands: Hands,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._path = cache_file(directory)
        self._vault = Vault(directory / "cache-keys")
        self._make_embedder = make_embedder
        self._hands = hands
        self._sealer = Sealer()
        self.sharing = Sharing(settings, hands.write_with, hands.tell)
        self._counts: dict[bytes, tuple[CourseRow, Counter[str]]] = {}
        self._same: deque[bytes] = deque()  # asked for afresh, and answered as before
        self._marks = _Marks()
        self._purged = 0
        self._tidied_us = 0

    def begin(self) -> None:
        """Load the embedder, then what is stored, last used first."""
        self._embedder = self._make_embedder()
        self._answers = SqliteAnswers(self._path)
        self._tables = SemanticTables(self._answers)
        room, hands = self._settings.index_entries_max, self._hands
        self._shelf = Shelf(self._embedder.dimensions, room, self.sharing.sightings)
        self.sharing.held = self._shelf.held
        self.courses = Courses(self._settings, self._tables, hands.later, hands.write, hands.tell)
        self._embedder.embed(["Warm up."])
        sign("Warm up.")
        self._begin_again()
        hands.tell(Ready())

    def close(self) -> None:
        """Hand over what was counted and close the connection."""
        self._write_counts()
        self._answers.close()

    def _begin_again(self) -> None:
        """Read afresh: at the start, and after something was purged."""
        self._purged = self._answers.last_purge()
        self._shelf.clear()
        self.sharing.clear()
        self._marks = _Marks(questions=self._tables.last_question())
        self._follow_wordings()
        room = self._settings.index_entries_max
        owners = {keys.tenant_mark: keys for keys in self._vault.tenants()}
        for space, tenant, count in self._tables.spaces(self._embedder.identity):
            room -= count
            if room >= 0 and tenant in owners:
                self._hands.later(partial(self._load_unless_here, space, owners[tenant]))

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
        position = self.courses.follow(plan)
        standing = position.standing
        rules = DecisionRules(
            mode=plan.mode,
            scorer=standing.scorer,
            threshold=standing.threshold,
            is_uncertified_allowed=plan.rules.is_uncertified_allowed and not standing.breaches,
            near_min=self._settings.near_min,
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
            self.count(plan.course, {"not_indexed": 1})
            return
        vector = self._embedder.embed([plan.text])[0] if found is None else found.vector
        held = Held(plan.key, plan.text, plan.writer, answer)
        if self._shelf.state(plan.space) is not None:
            self._shelf.add(plan.space, held, vector)
        row = QuestionRow(0, plan.key, plan.keys.tenant_mark, plan.space, b"")
        said = Question(text=plan.text, vector=packed(vector), writer=plan.writer, answer=answer)
        self._keep(row, plan.keys, said)

    def _sealed(self, row: QuestionRow, keys: TenantKeys, question: Question) -> QuestionRow:
        plain, place = msgspec.msgpack.encode(question), QUESTION_PLACE + row.entry
        sealed = self._sealer.seal(keys.payload_key, plain, place)
        return msgspec.structs.replace(row, sealed=sealed)

    def _keep(self, row: QuestionRow, keys: TenantKeys, question: Question) -> None:
        kept, identity = self._sealed(row, keys, question), self._embedder.identity

        def write(answers: SqliteAnswers) -> bool:
            SemanticTables(answers).keep_question(kept, identity)
            return True

        self._hands.write_with(row.entry, write)

    def answer(self, entry: bytes, keys: TenantKeys) -> Stored | None:
        """The answer that is stored under a key; None: there is none by now."""
        return self._stored(self._answers, entry, keys)

    def _stored(self, answers: SqliteAnswers, entry: bytes, keys: TenantKeys) -> Stored | None:
        try:
            row = answers.find(entry, self._clock.now_us())
            if row is None:
                return None
            return decode_stored(self._sealer.open(keys.payload_key, row[1], row[0]))
        except (CacheStoreError, BadSeal, msgspec.DecodeError):
            return None

    def renewed(self, act: Renewed) -> None:
        """Another answer may have come to a stored question.

        Until it is seen which, nobody's agreement speaks of it.
        """
        held = self._shelf.held(act.entry)
        if held is not None:
            self.sharing.sightings.stored(held.entry, held.writer, b"")
        self._hands.write_with(act.entry, partial(self._write_renewed, act))

    def _write_renewed(self, act: Renewed, answers: SqliteAnswers) -> bool:
        """Where rows are written, once the answer is: have the question stand by what it says."""
        tables, identity, keys = SemanticTables(answers), self._embedder.identity, act.keys
        row = tables.question(act.entry, identity)
        question = None if row is None else self._opened(row, keys)
        if row is None or question is None:
            return True
        stored = self._stored(answers, act.entry, keys)
        if stored is None or stored.call_id != act.call_id:
            return False
        mark = answer_mark(keys, said_of(act.endpoint, stored))
        if mark == question.answer:
            self._same.append(act.entry)
            return True
        told = msgspec.structs.replace(question, answer=mark)
        tables.keep_question(self._sealed(row, keys, told), identity)
        return True

    def _follow_same(self) -> None:
        while self._same:
            held = self._shelf.held(self._same.popleft())
            if held is not None:
                self.sharing.sightings.stored(held.entry, held.writer, held.answer)

    def drop(self, entry: bytes) -> None:
        """Forget a question whose answer is gone."""
        self._shelf.remove(entry)

    # Noting.

    def log(self, plan: Plan, call_id: str, found: Found | None, result: str) -> None:
        """Note a look-up; what its texts say is sealed."""
        row = asked_row(plan, call_id, found, result, self._clock.now_us(), self._sealer)
        self._hands.write(lambda answers: SemanticTables(answers).add_asked(row))

    def count(self, course: CourseRow, amounts: dict[str, int]) -> None:
        """Add to the account of a course."""
        self._counts.setdefault(course.course, (course, Counter()))[1].update(amounts)

    def _write_counts(self) -> None:
        day = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC).date().isoformat()
        for course, amounts in self._counts.values():
            self._hands.write(partial(_count, day, course, dict(amounts)))
        self._counts.clear()

    def _tidy(self, now_us: int) -> None:
        """Have what is too old taken from the log, once an hour."""
        if self._tidied_us <= now_us < self._tidied_us + _TIDY_US:
            return
        self._tidied_us = now_us
        before_us = now_us - self._settings.log_days * _DAY_US
        self._hands.write(lambda answers: SemanticTables(answers).tidy(before_us))

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
        self._hands.later(partial(self._load_piece, space, keys, rows[-1].id))
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
        self._tidy(now_us)
        try:
            if self._answers.last_purge() != self._purged:
                self._begin_again()
            self._follow_questions()
            self._follow_wordings()
            self._follow_same()
            self.courses.follow_labels()
            self.courses.follow_all(now_us)
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
        rows = self._tables.wordings(self._marks.wordings)
        for at in range(0, len(rows), _PIECE):
            self.sharing.learn(rows[at : at + _PIECE])
        if rows:
            self._marks.wordings = rows[-1].id
            self._shelf.same.update((row.key, row.entry) for row in rows)
        for row in self._tables.apart(self._marks.apart):
            self._marks.apart = row.id
            self._shelf.apart.add((row.key, row.entry))
            self.sharing.part(row.key, row.entry)
            if self._shelf.same.get(row.key) == row.entry:
                del self._shelf.same[row.key]
        for row in self._tables.sightings(self._marks.sightings):
            self._marks.sightings = row.id
            self.sharing.sightings.note(row.entry, row.principal, row.answer)


def _count(day: str, course: CourseRow, amounts: dict[str, int], answers: SqliteAnswers) -> None:
    SemanticTables(answers).count(day, course, amounts)
