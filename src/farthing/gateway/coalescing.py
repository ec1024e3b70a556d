"""The stage of coalescing: identical calls of one tenant that run at the same time share one.

The leader's entry bears the cost; each follower's says what it saved, and whose answer it shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

import msgspec

from farthing.call import AttemptStatus
from farthing.clock import Clock
from farthing.codecs import StreamReader
from farthing.gateway.asking import Asking
from farthing.gateway.caching import asking_usage
from farthing.gateway.cost_comment import comment_opening, cost_comment, is_cost_told
from farthing.gateway.headers import Headers
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.settlement import Settlement
from farthing.ledger import CallStatus, Entry, LeverMove
from farthing.levers import Broadcast, Flight, Flights
from farthing.levers.coalesce import Listener
from farthing.money import ZERO, Money, total
from farthing.wire import close_iterator

__all__ = ["LEVER", "Coalesce"]

LEVER: Final = "coalesce"
_Key = tuple[bytes, bool]


class _Shared(msgspec.Struct, frozen=True):
    """What followers get: the leader's answer, and its account, for what it cost."""

    status: int
    headers: Headers
    body: bytes | Broadcast
    settlement: Settlement


class Coalesce:
    """Lets calls that ask the same share one answer while it comes."""

    def __init__(self, asking: Asking, clock: Clock, stream_cost: str) -> None:
        self._asking = asking
        self._clock = clock
        self._stream_cost = stream_cost
        self._flights = Flights()

    async def __call__(self, inbound: Inbound, proceed: Proceed) -> Outcome:
        """Serve the call by one that runs already, or let others share it."""
        inbound = self._asking.ask(inbound, self._clock.now_us())
        asked = inbound.asked
        if asked is None or asked.prints is None or asked.why_not_shared:
            return await proceed(inbound)
        key = (asked.prints.key, inbound.view.is_streamed)
        flight = self._flights.find(key)
        if flight is not None and _is_joinable(flight):
            shared: _Shared | None = await flight.follow()
            if shared is None:
                return await proceed(inbound)
            return self._followed(inbound, flight, shared)
        return await self._led(inbound, proceed, key)

    async def _led(self, inbound: Inbound, proceed: Proceed, key: _Key) -> Outcome:
        is_hiding = inbound.view.is_streamed and not inbound.view.wants_usage
        seen = asking_usage(inbound) if is_hiding else inbound

        async def send() -> Outcome:
            return await proceed(seen)

        flight = Flight(inbound.call.id, asyncio.create_task(send()))
        self._flights.add(key, flight)
        settlement = inbound.settlement

        def settled(entry: Entry, ended_us: int) -> None:
            """The leader's call has ended: nobody else can join, and who waits goes on."""
            del ended_us
            self._flights.remove(key, flight)
            flight.land(_landed(flight, entry, settlement))

        settlement.listeners.append(settled)
        try:
            outcome: Outcome = await flight.lead()
        except asyncio.CancelledError:
            await self._handed_over(flight, settlement)
            raise
        if isinstance(outcome.body, bytes):
            return outcome
        broadcast = self._broadcast(flight, outcome, settlement)
        told = is_cost_told(self._stream_cost, inbound.caller)
        reader = inbound.codec.stream(inbound.view) if is_hiding else None
        outcome.body = _LeaderStream(broadcast.listen(), inbound, reader, is_cost_told=told)
        return outcome

    def _broadcast(self, flight: Flight, outcome: Outcome, settlement: Settlement) -> Broadcast:
        """Give the stream to all who wait and to all who come."""
        assert not isinstance(outcome.body, bytes)  # noqa: S101 - the callers looked
        source = _Plain(outcome.body, settlement, flight.call_id)
        broadcast = Broadcast(source, lambda: flight.is_waited_for)
        flight.when_left = broadcast.drop_if_left
        shared = _Shared(outcome.status, list(outcome.headers), broadcast, settlement)
        flight.land(shared)
        return broadcast

    async def _handed_over(self, flight: Flight, settlement: Settlement) -> None:
        """The leader left; where others wait, its call was seen to its end (K1)."""
        if flight.task.cancelled() or flight.task.exception() is not None:
            return
        outcome: Outcome = flight.task.result()
        if isinstance(outcome.body, bytes):
            return  # who waits is told when the leader's account closes
        broadcast = self._broadcast(flight, outcome, settlement)
        broadcast.drop_if_left()
        while not broadcast.is_over:
            try:
                await broadcast.ended()
            except asyncio.CancelledError:
                continue  # it is gone already; the others are not

    def _followed(self, inbound: Inbound, flight: Flight, shared: _Shared) -> Outcome:
        note = f"shared the answer to {flight.call_id}"
        headers = [*shared.headers, (b"x-farthing-cache", b"miss; coalesced")]
        if isinstance(shared.body, bytes):
            entry = shared.settlement.entry
            worth = None if entry is None else _worth(entry)
            _book(inbound.settlement, worth, note)
            return Outcome(status=shared.status, headers=headers, body=shared.body)
        reader = None
        if not inbound.view.wants_usage:
            reader = inbound.codec.stream(inbound.view)
        told = is_cost_told(self._stream_cost, inbound.caller)
        stream = _FollowerStream(shared.body.listen(), inbound, reader, is_cost_told=told)
        stream.follow(shared.settlement, note)
        return Outcome(status=shared.status, headers=headers, body=stream)


def _is_joinable(flight: Flight) -> bool:
    if not flight.answer.done():
        return True
    shared = flight.answer.result()
    return (
        isinstance(shared, _Shared)
        and isinstance(shared.body, Broadcast)
        and shared.body.is_joinable
    )


def _landed(flight: Flight, entry: Entry, settlement: Settlement) -> _Shared | None:
    """A whole answer that followers may have; None where they must go by themselves (K3)."""
    if not flight.task.done() or flight.task.cancelled() or flight.task.exception() is not None:
        return None
    outcome: Outcome = flight.task.result()
    is_good = 200 <= outcome.status < 300 and isinstance(outcome.body, bytes)
    if not is_good or (entry.attempts and entry.attempts[-1].status is not AttemptStatus.OK):
        return None
    return _Shared(outcome.status, list(outcome.headers), cast("bytes", outcome.body), settlement)


def _worth(entry: Entry) -> Money | None:
    """What a call of the follower's own would have cost; None where nobody knows."""
    costs = [a.cost for a in entry.attempts if a.status is AttemptStatus.OK]
    if not costs:
        return entry.baseline
    known = [cost for cost in costs if cost is not None]
    return total(tuple(known)) if len(known) == len(costs) else None


def _book(settlement: Settlement, worth: Money | None, note: str) -> None:
    move = LeverMove(lever=LEVER, saved=worth or ZERO, spent=ZERO)
    settlement.moved(move, note, is_known=worth is not None)


class _Plain:
    """The leader's stream without the comment on its cost, which is the leader's own."""

    __slots__ = ("_marker", "_settlement", "_source")

    def __init__(self, source: AsyncIterator[bytes], settlement: Settlement, call_id: str) -> None:
        self._source = source
        self._settlement = settlement
        self._marker = comment_opening(call_id)

    def __aiter__(self) -> _Plain:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._source)
        if self._settlement.entry is not None:
            chunk = chunk.partition(self._marker)[0]
        return chunk

    async def aclose(self) -> None:
        await close_iterator(self._source)


class _LeaderStream:
    """One client's view of a shared stream, with its own comment on the cost at the end."""

    def __init__(
        self,
        listener: Listener,
        inbound: Inbound,
        reader: StreamReader | None,
        *,
        is_cost_told: bool,
    ) -> None:
        self._listener = listener
        self._inbound = inbound
        self._reader = reader
        self._is_cost_told = is_cost_told
        self._is_over = False

    def __aiter__(self) -> _LeaderStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for this client; never empty."""
        while not self._is_over:
            chunk = await anext(self._listener, None)
            if chunk is None:
                shown = self._ended()
            else:
                shown = chunk if self._reader is None else self._reader.feed(chunk)
            if shown:
                return shown
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """This client needs no more."""
        is_early = not self._is_over
        self._is_over = True
        await self._listener.aclose()
        if is_early:
            self._left()

    def _ended(self) -> bytes:
        self._is_over = True
        tail = b"" if self._reader is None else self._reader.close()[0]
        self._settle()
        if not self._is_cost_told:
            return tail
        return tail + cost_comment(self._inbound.call.id, self._inbound.settlement.cost_told)

    def _settle(self) -> None:
        """The leader's account closes with the upstream stream."""

    def _left(self) -> None:
        """The same."""


class _FollowerStream(_LeaderStream):
    """A follower's view; its account closes with it."""

    def follow(self, leader: Settlement, note: str) -> None:
        """Whose answer it shares."""
        self._leader = leader
        self._note = note

    def _settle(self) -> None:
        settlement, entry = self._inbound.settlement, self._leader.entry
        if entry is None or (
            entry.attempts[-1:] and entry.attempts[-1].status is not AttemptStatus.OK
        ):
            settlement.close(CallStatus.ERROR, f"{self._note}, which failed")
            return
        _book(settlement, _worth(entry), self._note)
        settlement.close(CallStatus.OK)

    def _left(self) -> None:
        self._inbound.settlement.close(CallStatus.CANCELLED, "the client went away")
