"""The stage of the exact cache: gives an answer again, or keeps the one that comes.

A hit reaches no provider and no budget. What comes is kept when it is whole, and not before: a
JSON answer once its call has settled, a stream once its last event has passed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from farthing.call import UNATTRIBUTED, Attempt
from farthing.clock import Clock
from farthing.codecs import Content, NotReplayable, inspect
from farthing.errors import CallerError
from farthing.evidence import Mode
from farthing.gateway.asking import Asking
from farthing.gateway.comparing import Comparer, Pairing
from farthing.gateway.cost_comment import comment_opening
from farthing.gateway.headers import first, is_events
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.recorded_stream import RecordedStream
from farthing.gateway.replaying import CACHE_HEADER, Replayer
from farthing.gateway.usage_asked import asking_usage, without_usage
from farthing.ledger import Entry
from farthing.levers.cache import (
    Answers,
    Asked,
    Found,
    Stored,
    place_in,
    taken_of,
    tried_of,
    why_not_keep,
)

__all__ = ["LEVER", "ExactCache", "NotCached"]

LEVER: Final = "exact-cache"
_VERSION: Final = "hits"  # what is judged of it
_KEPT_HEADERS: Final = frozenset({b"content-type", b"openai-version"})

Kept = Callable[[Entry, Asked, Stored], None]
Given = Callable[[Inbound, Asked, Stored], None]


class NotCached(CallerError):
    """The caller takes only what is stored, and nothing is."""

    code = "not_cached"
    status = 504


class ExactCache:
    """Serves calls from the answers to equal ones."""

    def __init__(self, answers: Answers, asking: Asking, replayer: Replayer, clock: Clock) -> None:
        self._answers = answers
        self._asking = asking
        self._replayer = replayer
        self._clock = clock
        self.comparer: Comparer | None = None  # where hits are compared with fresh answers
        self.listeners: list[Kept] = []  # told of each answer that was kept, tool calls apart
        self.given: list[Given] = []  # told of each call that was served to the very same words

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call from the cache, or from what lies behind.

        Raises:
            NotCached: the caller said only-if-cached, and it is not.
        """
        now_us = self._clock.now_us()
        inbound = self._asking.ask(inbound, now_us)
        asked = inbound.asked
        assert asked is not None  # noqa: S101 - `ask` gives it
        reason = asked.verdict.why_not_served
        if reason:
            self._answers.count(asked.feature, "bypass", _class_of(reason), now_us)
            return self._passed(inbound, proceed, asked, f"bypass; {reason}")
        found, as_found = self._find(asked, now_us)
        if found is None:
            self._answers.count(asked.feature, "miss", "", now_us)
            return self._passed(inbound, proceed, asked, "miss")
        if asked.rules.mode == "shadow" or not self._may_serve(asked):
            self._answers.count(asked.feature, "shadow", "", now_us)
            return self._passed(inbound, proceed, asked, "miss; shadow would have hit")
        return self._served(inbound, proceed, as_found, found)

    def _find(self, asked: Asked, now_us: int) -> tuple[Found | None, Asked]:
        """What may be served, and the call as it was found by.

        Where a policy would serve it, the incumbent's answer serves as well: none is better.
        """
        found = self._answers.find(asked, now_us)
        if found is not None or asked.own is None:
            return found, msgspec.structs.replace(asked, would=()) if asked.would else asked
        own = msgspec.structs.replace(asked, prints=asked.own)
        found = self._answers.find(own, now_us)
        return found, asked if found is None else own

    async def _served(
        self, inbound: Inbound, proceed: Proceed, asked: Asked, found: Found
    ) -> Outcome:
        now_us = self._clock.now_us()
        told = b"hit-exact" if found.is_same_text else b"hit-exact; plain wording"
        try:
            outcome = self._replayer.give(
                inbound, found.answer, lever=LEVER, told=told, now_us=now_us, would=asked.would
            )
        except NotReplayable as error:
            self._answers.count(asked.feature, "miss", "another form", now_us)
            told_ = f"miss; stored in another form: {error}"
            return await self._passed(inbound, proceed, inbound.asked or asked, told_)
        self._answers.used(asked.prints.key if asked.prints else b"", now_us)
        if found.is_same_text:
            for hear in self.given:
                hear(inbound, asked, found.answer.stored)
        plain = "" if found.is_same_text else "plain"
        self._answers.count(asked.feature, "hit-exact", plain, now_us)
        if self.comparer is None:
            return outcome
        pairing = Pairing(
            lever=LEVER,
            scope=asked.feature or UNATTRIBUTED,
            version=_VERSION,
            candidate=inbound.call.model,
            reference=inbound.call.model,
            is_candidate_served=True,
            begins=Mode.ON,
        )
        return self.comparer.follow(inbound, outcome, pairing)

    def _may_serve(self, asked: Asked) -> bool:
        """Whether the evidence allows hits for the feature; it may not, once harm was shown."""
        if self.comparer is None:
            return True
        scope = asked.feature or UNATTRIBUTED
        return self.comparer.mode(LEVER, scope, _VERSION, Mode.ON) is Mode.ON

    async def _passed(self, inbound: Inbound, proceed: Proceed, asked: Asked, told: str) -> Outcome:
        """Serve the call from what lies behind, and keep what comes where that is allowed."""
        if asked.directives.is_only_if_cached:
            raise NotCached(
                "No answer to this is in the cache, and the request said only-if-cached. Nothing "
                "was sent and nothing was charged. Leave that directive out to ask the provider."
            )
        if asked.verdict.why_not_kept or asked.prints is None:
            outcome = await proceed(inbound)
            _tell(outcome, told)
            return outcome
        seen = inbound
        if inbound.view.is_streamed and not inbound.view.wants_usage:
            seen = asking_usage(inbound)
        outcome = await proceed(seen)
        headers = tuple(pair for pair in outcome.headers if pair[0] in _KEPT_HEADERS)
        keep = partial(self._keep, inbound, asked, headers)
        if isinstance(outcome.body, bytes):
            whole, is_stream = outcome.body, is_events(outcome.headers)

            def settled(entry: Entry, ended_us: int) -> None:
                del ended_us
                events = whole.partition(comment_opening(entry.call_id))[0] if is_stream else whole
                keep(entry, events, is_stream=is_stream)

            inbound.settlement.listeners.append(settled)
            if is_stream and seen is not inbound:
                outcome.body = without_usage(inbound, whole)
        else:
            reader = None if seen is inbound else inbound.codec.stream(inbound.view)
            room = self._answers.entry_bytes_max
            outcome.body = RecordedStream(inbound, outcome.body, reader, keep, room)
        _tell(outcome, told)
        return outcome

    def _taken(self, inbound: Inbound, asked: Asked, entry: Entry) -> tuple[Attempt | None, Asked]:
        """The try whose answer may be given again, and the call as that is found by."""
        routed, routing = inbound.routed, self._asking.routing
        if routed is None or routing is None:
            return taken_of(entry, asked.target), asked
        taken = routing.taken_by(routed, entry.endpoint)
        if taken is None:
            return None, asked
        if taken.is_own and asked.own is not None:
            asked = msgspec.structs.replace(asked, prints=asked.own)
        return taken.attempt, asked

    def _keep(
        self,
        inbound: Inbound,
        asked: Asked,
        headers: tuple[tuple[bytes, bytes], ...],
        entry: Entry,
        body: bytes,
        *,
        is_stream: bool,
    ) -> None:
        """Keep an answer, if it is one to give again."""
        now_us = self._clock.now_us()
        if not entry.attempts:
            return  # another cache's, or another call's
        content = Content()
        taken, asked = self._taken(inbound, asked, entry)
        try:
            content = inspect(entry.endpoint, body, is_stream=is_stream)
            reason = why_not_keep(entry, taken, content, asked.rules.tool_ttl_s)
        except NotReplayable as error:
            reason = str(error)
        if reason or asked.prints is None or taken is None:
            self._answers.count(asked.feature, "not kept", _class_of(reason), now_us)
            return
        ttl_s = asked.verdict.ttl_s
        if content.calls_tools:
            ttl_s = min(ttl_s, asked.rules.tool_ttl_s)
        stored = Stored(
            call_id=entry.call_id,
            created_us=now_us,
            expires_us=self._answers.expires_us(asked.prints.key, ttl_s, now_us),
            is_stream=is_stream,
            body=body,
            headers=headers,
            tried=tried_of(entry),
            answered=place_in(entry, taken),
        )
        if content.calls_tools:  # tools act: only the very same words may call them again
            asked = msgspec.structs.replace(
                asked, prints=msgspec.structs.replace(asked.prints, plain_key=b"")
            )
        self._answers.keep(asked, stored, inbound.call.started_us)
        if not content.calls_tools:
            for hear in self.listeners:
                hear(entry, asked, stored)


def _tell(outcome: Outcome, told: str) -> None:
    """Say what the cache did, unless what lies behind has said more."""
    if first(outcome.headers, CACHE_HEADER) is None:
        outcome.headers.append((CACHE_HEADER, told.encode("latin-1", "replace")))


def _class_of(reason: str) -> str:
    """A reason without what differs from call to call, for counting."""
    if reason.startswith("x-farthing-cache:"):
        return "an unknown directive"
    if reason.startswith("sampled"):
        return "sampled"
    return reason[:60]
