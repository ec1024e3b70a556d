"""The stage of the exact cache: gives an answer again, or keeps the one that comes.

A hit reaches no provider and no budget. What comes is kept when it is whole, and not before: a
JSON answer once its call has settled, a stream once its last event has passed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import Final

import msgspec

from farthing.call import Call
from farthing.clock import Clock
from farthing.codecs import Answer, Content, NotReplayable, StreamReader, inspect
from farthing.errors import CallerError
from farthing.gateway.asking import Asking
from farthing.gateway.cost_comment import comment_opening, cost_comment, is_cost_told
from farthing.gateway.headers import Headers, first
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.pricer import Pricer
from farthing.gateway.targets import Target, protocol_of
from farthing.ledger import Entry, LeverMove
from farthing.levers.cache import Answers, Asked, Found, Stored, Tried, tried_of, why_not_keep
from farthing.money import ZERO, Money
from farthing.wire import close_iterator

__all__ = ["LEVER", "ExactCache", "NotCached"]

LEVER: Final = "exact-cache"
_HEADER: Final = b"x-farthing-cache"
_KEPT_HEADERS: Final = frozenset({b"content-type", b"openai-version"})
_FORMS: Final = {True: b"text/event-stream; charset=utf-8", False: b"application/json"}
_REQUEST_ID: Final = {"anthropic": b"request-id", "openai": b"x-request-id"}


class NotCached(CallerError):
    """The caller takes only what is stored, and nothing is."""

    code = "not_cached"
    status = 504


class ExactCache:
    """Serves calls from the answers to equal ones."""

    def __init__(
        self, answers: Answers, asking: Asking, pricer: Pricer, clock: Clock, stream_cost: str
    ) -> None:
        self._answers = answers
        self._asking = asking
        self._pricer = pricer
        self._clock = clock
        self._stream_cost = stream_cost

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
        found = self._answers.find(asked, now_us)
        if found is None:
            self._answers.count(asked.feature, "miss", "", now_us)
            return self._passed(inbound, proceed, asked, "miss")
        if asked.rules.mode == "shadow":
            self._answers.count(asked.feature, "shadow", "", now_us)
            return self._passed(inbound, proceed, asked, "miss; shadow would have hit")
        return self._served(inbound, proceed, asked, found)

    async def _served(
        self, inbound: Inbound, proceed: Proceed, asked: Asked, found: Found
    ) -> Outcome:
        now_us = self._clock.now_us()
        stored = found.answer.stored
        call = inbound.call
        try:
            cut = found.answer.cut(inbound.codec, inbound.view)
        except NotReplayable as error:
            self._answers.count(asked.feature, "miss", "another form", now_us)
            told = f"miss; stored in another form: {error}"
            return await self._passed(inbound, proceed, asked, told)
        body = cut.put_together(call.id[5:].encode(), now_us // 1_000_000)
        worth = self._worth(call, stored)
        age_s = max(0, now_us - stored.created_us) // 1_000_000
        inbound.settlement.moved(
            LeverMove(lever=LEVER, saved=worth or ZERO, spent=ZERO),
            f"served from the answer to {stored.call_id}, {age_s} s old",
            is_known=worth is not None,
        )
        self._answers.used(asked.prints.key if asked.prints else b"", now_us)
        self._answers.count(
            asked.feature, "hit-exact", "" if found.is_same_text else "plain", now_us
        )
        if call.is_streamed and is_cost_told(self._stream_cost, inbound.caller):
            body += cost_comment(call.id, str(ZERO))
        return Outcome(status=200, headers=_headers(inbound, found, age_s), body=body)

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
        started_us = inbound.call.started_us
        outcome = await proceed(seen)
        headers = tuple(pair for pair in outcome.headers if pair[0] in _KEPT_HEADERS)
        keep = partial(self._keep, asked, headers, started_us)
        if isinstance(outcome.body, bytes):
            whole = outcome.body

            def settled(entry: Entry, ended_us: int) -> None:
                del ended_us
                keep(entry, whole, is_stream=False)

            inbound.settlement.listeners.append(settled)
        else:
            reader = None if seen is inbound else inbound.codec.stream(inbound.view)
            room = self._answers.entry_bytes_max
            outcome.body = _Recorded(inbound, outcome.body, reader, keep, room)
        _tell(outcome, told)
        return outcome

    def _keep(
        self,
        asked: Asked,
        headers: tuple[tuple[bytes, bytes], ...],
        started_us: int,
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
        try:
            content = inspect(entry.endpoint, body, is_stream=is_stream)
            reason = why_not_keep(entry, asked.target, content, asked.rules.tool_ttl_s)
        except NotReplayable as error:
            reason = str(error)
        if reason or asked.prints is None:
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
        )
        if content.calls_tools:  # tools act: only the very same words may call them again
            asked = msgspec.structs.replace(
                asked, prints=msgspec.structs.replace(asked.prints, plain_key=b"")
            )
        self._answers.keep(asked, stored, started_us)

    def _worth(self, call: Call, stored: Stored) -> Money | None:
        """What the call would have cost; None where there is no price."""
        age_us = call.started_us - stored.created_us
        worth = ZERO
        for tried in stored.tried:
            answer = Answer(
                usage=_repeated(tried, age_us).usage,
                terms=tried.terms,
                model_served=tried.served,
                provider_cost=tried.provider_cost,
            )
            cost = self._pricer.settle(call, Target(tried.provider, tried.model), answer).cost
            if cost is None:
                return None
            worth += cost
        return worth


class _Recorded:
    """A stream on its way to the client, of which a copy is kept once it has ended well."""

    __slots__ = (
        "_chunks",
        "_inbound",
        "_is_over",
        "_keep",
        "_marker",
        "_reader",
        "_room",
        "_source",
    )

    def __init__(
        self,
        inbound: Inbound,
        source: AsyncIterator[bytes],
        reader: StreamReader | None,
        keep: partial[None],
        room: int,
    ) -> None:
        """`reader` hides what the client did not ask for; no more than `room` bytes are kept."""
        self._inbound = inbound
        self._source = source
        self._reader = reader
        self._keep = keep
        self._chunks: list[bytes] = []
        self._room = room
        self._marker = comment_opening(inbound.call.id)
        self._is_over = False

    def __aiter__(self) -> _Recorded:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for the client; never empty."""
        while not self._is_over:
            chunk = await anext(self._source, b"")
            shown = self._seen(chunk) if chunk else self._ended()
            if shown:
                return shown
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """The client needs no more; some stop at the last event, and then the answer is whole."""
        is_early = not self._is_over
        self._is_over = True
        await close_iterator(self._source)
        if is_early:
            self._kept()

    def _seen(self, chunk: bytes) -> bytes:
        """Note the bytes, but for the comment that tells the cost, which is this call's own."""
        comment = b""
        if self._inbound.settlement.entry is not None:
            own = chunk.find(self._marker)
            if own >= 0:
                chunk, comment = chunk[:own], chunk[own:]
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        if self._reader is None:
            return chunk + comment
        shown = self._reader.feed(chunk)
        return shown + self._tail() + comment if comment else shown

    def _tail(self) -> bytes:
        """What the reader still holds."""
        reader, self._reader = self._reader, None
        return b"" if reader is None else reader.close()[0]

    def _ended(self) -> bytes:
        self._is_over = True
        tail = self._tail()
        self._kept()
        return tail

    def _kept(self) -> None:
        entry = self._inbound.settlement.entry
        if entry is not None and self._room >= 0:
            self._keep(entry, b"".join(self._chunks), is_stream=True)


def asking_usage(inbound: Inbound) -> Inbound:
    """The same call as if its client had asked for usage in its stream."""
    view = inbound.view
    return msgspec.structs.replace(
        inbound,
        body=inbound.codec.write_request(inbound.body, view, view.model),
        view=msgspec.structs.replace(view, wants_usage=True, has_stream_options=True),
    )


_SHORT_US: Final = 300_000_000
_LONG_US: Final = 3_600_000_000


def _repeated(tried: Tried, age_us: int) -> Tried:
    """What the same call again would use: what it wrote to the provider's cache it would read."""
    usage = tried.usage
    read_5m = usage.cache_write_5m if age_us < _SHORT_US else 0
    read_1h = usage.cache_write_1h if age_us < _LONG_US else 0
    if not (read_5m or read_1h):
        return tried
    usage = msgspec.structs.replace(
        usage,
        cache_read=usage.cache_read + read_5m + read_1h,
        cache_write_5m=usage.cache_write_5m - read_5m,
        cache_write_1h=usage.cache_write_1h - read_1h,
    )
    return msgspec.structs.replace(tried, usage=usage)


def _headers(inbound: Inbound, found: Found, age_s: int) -> Headers:
    stored = found.answer.stored
    is_streamed = inbound.call.is_streamed
    headers = list(stored.headers)
    if stored.is_stream != is_streamed:
        headers = [pair for pair in headers if pair[0] != b"content-type"]
        headers.append((b"content-type", _FORMS[is_streamed]))
    if is_streamed:
        headers.append((b"x-accel-buffering", b"no"))
    told = b"hit-exact" if found.is_same_text else b"hit-exact; plain wording"
    headers += (
        (_REQUEST_ID[protocol_of(inbound.call.endpoint)], inbound.call.id.encode()),
        (b"age", b"%d" % age_s),
        (_HEADER, told),
    )
    if stored.tried:
        paid = stored.tried[0]
        headers.append((b"x-farthing-model", f"{paid.provider}/{paid.model}".encode()))
    return headers


def _tell(outcome: Outcome, told: str) -> None:
    """Say what the cache did, unless what lies behind has said more."""
    if first(outcome.headers, _HEADER) is None:
        outcome.headers.append((_HEADER, told.encode("latin-1", "replace")))


def _class_of(reason: str) -> str:
    """A reason without what differs from call to call, for counting."""
    if reason.startswith("x-farthing-cache:"):
        return "an unknown directive"
    if reason.startswith("sampled"):
        return "sampled"
    return reason[:60]
