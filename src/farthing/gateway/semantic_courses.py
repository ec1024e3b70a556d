"""The courses that a worker follows: labels folded as they come, accounts looked at, news told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from farthing.gateway.semantic_acts import News, Placed
from farthing.gateway.semantic_plan import Plan, Position
from farthing.levers.cache import SqliteAnswers
from farthing.levers.cache.semantic.course import Course
from farthing.levers.cache.semantic.earning import earned, why_not_serve
from farthing.levers.cache.semantic_labels import course_of, label_of
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import CourseRow, LabelRow, SemanticTables

__all__ = ["Courses"]

_LOG = logging.getLogger("farthing")
_PIECE: Final = 200  # labels that are folded between two look-ups
_RECKON_US: Final = 60_000_000

Later = Callable[[Callable[[], object]], object]
Write = Callable[[Callable[[SqliteAnswers], object]], None]


class _Running(msgspec.Struct):
    """A course that is followed: its labels up to the common mark are folded."""

    plan: Plan
    row: CourseRow
    course: Course
    waiting: list[LabelRow]
    is_ready: bool = False
    reckoned_us: int = -_RECKON_US


class Courses:
    """Belongs to the semantic layer; the event loop is told where each course stands."""

    def __init__(
        self,
        settings: SemanticSettings,
        tables: SemanticTables,
        later: Later,
        write: Write,
        tell: Callable[[News], object],
    ) -> None:
        """`later` puts work behind what waits; `write` has rows written."""
        self._settings = settings
        self._tables = tables
        self._later = later
        self._write = write
        self._tell = tell
        self._running: dict[bytes, _Running] = {}
        self._label = tables.last_label()  # the latest that has been read
        self.positions: dict[bytes, Position] = {}

    @property
    def rows(self) -> list[CourseRow]:
        """The courses that are followed."""
        return [running.row for running in self._running.values()]

    def follow(self, plan: Plan) -> Position:
        """Where the course of a plan stands; it is followed from now on."""
        running = self._running.get(plan.course.course)
        if running is None:
            running = _Running(plan, plan.course, Course(plan.terms), [])
            self._running[plan.course.course] = running
            self._write(lambda answers: SemanticTables(answers).note_course(plan.course))
            self._fold_from_start(running)
        return self.positions.get(running.row.course, Position())

    def _fold_from_start(self, running: _Running) -> None:
        stored = self._tables.labels(running.row.course, self._label)
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

    def follow_labels(self) -> None:
        """Take in the labels that came since."""
        for number, row in self._tables.new_labels(self._label):
            self._label = number
            running = self._running.get(row.course)
            if running is not None:
                running.waiting.append(row)
        for running in self._running.values():
            if running.waiting and running.is_ready:
                self._fold_piece(running)

    def follow_all(self, now_us: int) -> None:
        """See which courses were set back or stopped, and look at the account of each."""
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
            position = Position(standing, running.row.stopped)
            if position != before:
                self.positions[running.row.course] = position
                self._tell(Placed(running.row.course, position))
