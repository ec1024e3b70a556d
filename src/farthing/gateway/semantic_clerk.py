"""Does what the event loop asks of the semantic layer, and tells what came of it.

Look-ups that no call may be served by are closed here at once. The latest are remembered, so that
the loop speaks of each by its number and neither vectors nor what was near travel back to it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from farthing.clock import Clock
from farthing.gateway.semantic_acts import (
    Act,
    Again,
    Answered,
    Closed,
    Counted,
    Follow,
    Followed,
    Gone,
    Judged,
    Logged,
    Look,
    Renewed,
    Verdict,
)
from farthing.gateway.semantic_compare import Comparer
from farthing.gateway.semantic_plan import Found
from farthing.gateway.semantic_reader import Hands, SemanticReader
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import SemanticTables, WordingRow

__all__ = ["QUEUED_MAX", "Clerk"]

_LOG = logging.getLogger("farthing")
QUEUED_MAX: Final = 64  # look-ups that wait; more would be late, and their texts fill memory
_REMEMBERED_MAX: Final = 2_048  # look-ups whose calls are under way; each some kB


class _Looked(msgspec.Struct):
    """A look-up, and what was found (None: it failed). `is_open`: what became of it will be told."""

    look: Look
    found: Found | None
    is_open: bool


class Clerk:
    """All methods are called in one thread; they may block."""

    def __init__(
        self, reader: SemanticReader, settings: SemanticSettings, clock: Clock, hands: Hands
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._hands = hands
        self._comparer = Comparer(reader, settings, clock, hands)
        self._looked: OrderedDict[int, _Looked] = OrderedDict()
        self._doing: dict[type, Callable[[Any], object]] = {
            Look: self._look,
            Closed: self._closed,
            Logged: self._logged,
            Counted: lambda act: reader.count(act.course, act.amounts),
            Answered: self._answered,
            Judged: self._comparer.judged,
            Renewed: reader.renewed,
            Again: lambda act: reader.sharing.asked_again(act.entry, act.tenant, act.principal),
            Gone: lambda act: reader.drop(act.entry),
            Follow: self._follow,
        }

    def do(self, act: Act) -> None:
        """Do one thing. One that fails is told of and stops no other."""
        try:
            self._doing[type(act)](act)
        except Exception:  # edge: what follows a look-up must not end the look-ups
            _LOG.exception("the semantic cache could not do its work (%s)", type(act).__name__)

    def no_room(self, look: Look) -> None:
        """Answer a look-up that there is no time for."""
        if look.is_awaited:
            self._hands.tell(Verdict(look.number, "unavailable"))
        self._reader.log(look.plan, look.call_id, None, "no room")

    def _look(self, look: Look) -> None:
        try:
            found = self._reader.look(look.plan)
        except Exception:  # edge: an embedder of the user's may raise anything; it is a miss
            _LOG.exception("a semantic look-up failed; the call goes on without it")
            found = None
        verdict = _verdict(look.number, found, self._settings.near_min)
        looked = _Looked(look, found, is_open=look.is_awaited and not verdict.why_not)
        self._looked[look.number] = looked
        if len(self._looked) > _REMEMBERED_MAX:
            self._looked.popitem(last=False)
        if look.is_awaited:
            self._hands.tell(verdict)
        if not looked.is_open:
            self._hands.later(lambda: self._log(looked, is_served=False))

    def _closed(self, act: Closed) -> None:
        looked = self._looked.get(act.number)
        if looked is None or not looked.is_open:
            return
        looked.is_open = False
        self._log(looked, is_served=act.is_served)
        if act.is_served:
            del self._looked[act.number]
            self._approve(looked)

    def _approve(self, looked: _Looked) -> None:
        """A call was served: its words have that answer from now on."""
        chosen = looked.found and looked.found.looked and looked.found.looked.chosen
        if chosen is None:
            return
        plan, now_us = looked.look.plan, self._clock.now_us()
        row = WordingRow(0, plan.key, chosen.entry, "semantic", chosen.writer)
        tenant = plan.keys.tenant_mark
        self._hands.write(lambda answers: SemanticTables(answers).approve(row, tenant, now_us))
        self._reader.sharing.watch(chosen.entry)

    def _log(self, looked: _Looked, *, is_served: bool) -> None:
        look, found = looked.look, looked.found
        result = "hit-semantic" if is_served else _result(found, is_check=look.is_check)
        self._reader.log(look.plan, look.call_id, found, result)
        if found is not None:
            amounts = {"lookups": 1, "look_us": found.took_us}
            self._reader.count(look.plan.course, amounts)

    def _logged(self, act: Logged) -> None:
        self._reader.log(act.plan, act.call_id, None, act.result)

    def _answered(self, act: Answered) -> None:
        self._closed(Closed(act.number, is_served=False))  # where word of that is still to come
        looked = self._looked.pop(act.number, None)
        self._comparer.answered(act, None if looked is None else looked.found)

    def _follow(self, act: Follow) -> None:
        del act
        self._reader.follow(self._clock.now_us())
        self._hands.tell(Followed())


def _verdict(number: int, found: Found | None, near_min: float) -> Verdict:
    """What the event loop hears of a look-up."""
    looked = None if found is None else found.looked
    if looked is None:
        why_not = "unavailable" if found is None else found.why_not.replace(" ", "-")
        return Verdict(number, why_not)
    evidence, chosen = looked.decision.evidence, looked.chosen
    if chosen is None or evidence is None or looked.decision.action != "serve":
        return Verdict(number, looked.decision.told)
    if evidence.cosine < near_min:
        return Verdict(number, "nothing-near")
    return Verdict(number, "", chosen.entry, chosen.writer)


def _result(found: Found | None, *, is_check: bool) -> str:
    """A look-up that served nothing, in a word."""
    if found is None:
        return "no room"
    if found.looked is None:
        return found.why_not
    decision = found.looked.decision
    if decision.action == "serve":
        return "checked" if is_check else "too slow"
    if decision.entry is None:
        return "vetoed" if decision.comparison is not None else "nothing near"
    return "near" if decision.action == "judge" else "apart"
