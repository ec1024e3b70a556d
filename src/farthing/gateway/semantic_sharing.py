"""What one user's question may do for another's call: wordings, sightings, and a limit on floods.

Belongs to the semantic layer; the event loop is told what of it decides about its calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from farthing.gateway.semantic_acts import Cleared, News, Parted, Shared, Worded
from farthing.gateway.semantic_board import FOR_ALL
from farthing.gateway.semantic_plan import Found, Plan
from farthing.levers.cache import SqliteAnswers
from farthing.levers.cache.semantic.flood import Floods
from farthing.levers.cache.semantic.shelf import Held
from farthing.levers.cache.semantic.sightings import Sightings
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import SemanticTables, SightingRow, WordingRow

__all__ = ["Sharing"]

_LOG = logging.getLogger("farthing")

WriteWith = Callable[[bytes, Callable[[SqliteAnswers], bool]], None]


class Sharing:
    """The rules between principals, with what they need to know."""

    def __init__(
        self, settings: SemanticSettings, write_with: WriteWith, tell: Callable[[News], object]
    ) -> None:
        """`write_with` has a row written that needs an entry; `tell` tells the event loop."""
        self._write_with = write_with
        self._tell = tell
        self._watched: dict[bytes, bool] = {}  # entries that wordings have: told as shared?
        self.sightings = Sightings(
            confirmations_min=settings.confirmations_min,
            is_second_needed=settings.admission == "second",
            changed=self._look_again,
        )
        self._floods = Floods(settings.near_inserts_per_hour_max)
        self.held: Callable[[bytes], Held | None] = _nothing_held  # the shelf's, once there is one

    def learn(self, rows: Sequence[WordingRow]) -> None:
        """Take in wordings that were approved."""
        self._tell(Worded(tuple(rows)))
        for row in rows:
            if row.source == "person":
                self.sightings.approve(row.entry)
            if row.source not in FOR_ALL:
                self.watch(row.entry)

    def watch(self, entry: bytes) -> None:
        """Tell from now on whether an entry is shared, for a wording has it."""
        self._watched.setdefault(entry, False)
        self._look_again(entry)

    def part(self, key: bytes, entry: bytes) -> None:
        """A wording must not have that answer."""
        self._tell(Parted(key, entry))

    def _look_again(self, entry: bytes) -> None:
        told = self._watched.get(entry)
        is_shared = self.sightings.is_shared(entry)
        if told is not None and told is not is_shared:
            self._watched[entry] = is_shared
            self._tell(Shared(entry, is_shared))

    def asked_again(self, entry: bytes, tenant: bytes, principal: str) -> None:
        """Somebody asked in an entry's very words, and was given its answer."""
        held = self.held(entry)
        if held is not None:
            self._sighted(held, tenant, principal, held.answer)

    def asked_alike(self, plan: Plan, other: Held, answers: tuple[bytes, bytes]) -> None:
        """A question was near `other`; `answers`, its own and the other's, agree if not empty."""
        tenant = plan.keys.tenant_mark
        self._sighted(other, tenant, plan.writer, answers[1])
        own = self.held(plan.key)
        if own is not None:
            self._sighted(own, tenant, other.writer, answers[0])

    def _sighted(self, held: Held, tenant: bytes, principal: str, answer: bytes) -> None:
        if self.sightings.wants(held.entry, principal, answer):
            self.sightings.note(held.entry, principal, answer)
            row = SightingRow(0, held.entry, tenant, principal, answer)
            self._write_with(held.entry, partial(_see, row))

    def may_keep(self, plan: Plan, found: Found | None, now_us: int) -> bool:
        """Whether a question may stand in the index; says in the log why not."""
        looked = None if found is None else found.looked
        own_alike = None if looked is None else looked.own_alike
        if self._floods.admits(plan.space, plan.writer, own_alike, now_us):
            return True
        if self._floods.is_to_tell(plan.space, plan.writer, now_us):
            _LOG.warning(
                "one user or key stores many questions that say nearly the same for feature %s: "
                "further ones are found in the very same words only. Raise "
                "cache.semantic.near_inserts_per_hour_max if that is meant",
                plan.course.feature or "unattributed",
            )
        return False

    def clear(self) -> None:
        """Forget what is to be read again."""
        self._watched.clear()
        self._tell(Cleared())


def _see(row: SightingRow, answers: SqliteAnswers) -> bool:
    SemanticTables(answers).see(row)
    return True


def _nothing_held(entry: bytes) -> None:
    del entry
