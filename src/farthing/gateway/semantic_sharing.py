"""What one user's question may do for another's call: wordings, sightings, and a limit on floods.

Belongs to the semantic layer's thread; the event loop reads what is shared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from farthing.gateway.semantic_plan import Found, Plan
from farthing.levers.cache import SqliteAnswers
from farthing.levers.cache.semantic.flood import Floods
from farthing.levers.cache.semantic.shelf import Held
from farthing.levers.cache.semantic.sightings import Sightings
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import SemanticTables, SightingRow, WordingRow

__all__ = ["Sharing"]

_LOG = logging.getLogger("farthing")
# Approvals that hold for everyone: a person's word, and answers that were equal but for their form.
_FOR_ALL: Final = frozenset({"person", "cheap"})

Write = Callable[[Callable[[SqliteAnswers], object]], None]


class Sharing:
    """The rules between principals, with what they need to know."""

    def __init__(self, settings: SemanticSettings, write: Write) -> None:
        """`write` has rows written."""
        self._write = write
        self.sightings = Sightings(
            confirmations_min=settings.confirmations_min,
            is_second_needed=settings.admission == "second",
        )
        self._floods = Floods(settings.near_inserts_per_hour_max)
        self.wordings: dict[bytes, WordingRow] = {}
        self.held: Callable[[bytes], Held | None] = _nothing_held  # the shelf's, once there is one

    def wording(self, key: bytes, writer: str) -> WordingRow | None:
        """The approved wording under `key`, where this principal may have its answer."""
        row = self.wordings.get(key)
        if row is None:
            return None
        is_his = row.source in _FOR_ALL or row.writer == writer
        return row if is_his or self.sightings.is_shared(row.entry) else None

    def learn(self, row: WordingRow) -> None:
        """Take in a wording that was approved."""
        self.wordings[row.key] = row
        if row.source == "person":
            self.sightings.approve(row.entry)

    def part(self, key: bytes, entry: bytes) -> bool:
        """A wording must not have that answer; whether it had."""
        row = self.wordings.get(key)
        if row is None or row.entry != entry:
            return False
        del self.wordings[key]
        return True

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
            self._write(lambda answers: SemanticTables(answers).see(row))

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
        self.wordings.clear()


def _nothing_held(entry: bytes) -> None:
    del entry
