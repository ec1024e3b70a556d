"""The stage of coalescing: identical calls of one tenant that run at the same time share one.

The leader's entry bears the cost; each follower's says what it saved, and whose answer it shared.
Calls for a stream and for a whole answer share too:

- A whole answer is made from another's stream once its last event is in: never later than a call
  of its own would have ended. If the stream breaks off, its caller has seen nothing yet and goes by
  itself.
- A stream is made from another's whole answer only where that is expected by the time at which a
  stream of its own would begin, and is waited for no longer than that time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Final, cast

import msgspec

from farthing.call import UNATTRIBUTED
from farthing.clock import Clock
from farthing.codecs import NotReplayable, replayed
from farthing.gateway.asking import Asking
from farthing.gateway.cost_comment import comment_opening, cost_comment, is_cost_told
from farthing.gateway.headers import Headers, is_events
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.replaying import CACHE_HEADER, in_form
from farthing.gateway.settlement import Settlement
from farthing.gateway.shared_streams import (
    LEVER,
    FollowerStream,
    LeaderStream,
    PlainStream,
    book,
    has_failed,
)
from farthing.gateway.usage_asked import asking_usage, without_usage
from farthing.ledger import Entry
from farthing.levers import Broadcast, Flight, Flights
from farthing.levers.pace import Pace
from farthing.money import ZERO

__all__ = ["LEVER", "Coalesce"]

_TOLD: Final = (CACHE_HEADER, b"miss; coalesced")
_Key = tuple[bytes, bool]


class _Shared(msgspec.Struct, frozen=True):
    """What followers get: the leader's answer, and its account, for what it cost."""

    status: int
    headers: Headers
    body: bytes | Broadcast
    settlement: Settlement

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream's events, as they come or in one piece."""
        return is_events(self.headers)


class Coalesce:
    """Lets calls that ask the same share one answer while it comes."""

    def __init__(self, asking: Asking, clock: Clock, stream_cost: str) -> None:
        self._asking = asking
        self._clock = clock
        self._stream_cost = stream_cost
        self._flights = Flights()
        self.pace = Pace()

    @property
    def is_idle(self) -> bool:
        """Whether no call runs that others may share."""
        return not len(self._flights)

    async def __call__(self, inbound: Inbound, proceed: Proceed) -> Outcome:
        """Serve the call by one that runs already, or let others share it."""
        inbound = self._asking.ask(inbound, self._clock.now_us())
        asked = inbound.asked
        if asked is None or asked.prints is None or asked.why_not_shared:
            return await proceed(inbound)
        print_, is_streamed = asked.prints.key, inbound.view.is_streamed
        key = (print_, is_streamed)
        flight = self._joinable(key)
        other = None if flight is not None else self._joinable((print_, not is_streamed))
        if other is not None:
            with self._waiting(inbound.settlement):
                outcome = await self._in_other_form(inbound, other)
            if outcome is not None:
                return outcome
            flight = self._joinable(key)
        if flight is None:
            return await self._led(inbound, proceed, key)
        with self._waiting(inbound.settlement):
            shared: _Shared | None = await flight.follow()
        if shared is None:
            return await proceed(inbound)
        return self._followed(inbound, flight, shared)

    @contextlib.contextmanager
    def _waiting(self, settlement: Settlement) -> Generator[None]:
        ended = self._waits(settlement)
        try:
            yield
        finally:
            ended()

    def _waits(self, settlement: Settlement) -> Callable[[], None]:
        """Count what passes until it is called as a provider's time: it is no time of ours."""
        begun_us = self._clock.monotonic_us()

        def ended() -> None:
            settlement.upstream_us += self._clock.monotonic_us() - begun_us

        return ended

    def _joinable(self, key: _Key) -> Flight | None:
        """The flight that others can still join."""
        flight = self._flights.find(key)
        if flight is None or not flight.answer.done():
            return flight
        shared = flight.answer.result()
        is_open = (
            isinstance(shared, _Shared)
            and isinstance(shared.body, Broadcast)
            and shared.body.is_joinable
        )
        return flight if is_open else None

    async def _led(self, inbound: Inbound, proceed: Proceed, key: _Key) -> Outcome:
        is_hiding = inbound.view.is_streamed and not inbound.view.wants_usage
        seen = asking_usage(inbound) if is_hiding else inbound

        async def send() -> Outcome:
            return await proceed(seen)

        begun_us = self._clock.monotonic_us()
        flight = Flight(inbound.call.id, asyncio.create_task(send()), begun_us)
        self._flights.add(key, flight)
        settlement = inbound.settlement

        def settled(entry: Entry, ended_us: int) -> None:
            """The leader's call has ended: nobody else can join, and who waits goes on."""
            self._flights.remove(key, flight)
            landed = _landed(flight, entry, settlement)
            if landed is not None:
                self.pace.note(_kind(inbound), ended_us - begun_us, is_streamed=False)
            flight.land(landed)

        settlement.listeners.append(settled)
        try:
            outcome: Outcome = await flight.lead()
        except asyncio.CancelledError:
            await self._handed_over(flight, settlement)
            raise
        if isinstance(outcome.body, bytes):
            own = list(outcome.headers)  # what other stages tell the leader is not for the others
            body = outcome.body
            if is_hiding and is_events(outcome.headers):
                body = without_usage(inbound, body)
            return msgspec.structs.replace(outcome, body=body, headers=own)
        self.pace.note(_kind(inbound), self._clock.monotonic_us() - begun_us, is_streamed=True)
        broadcast = self._broadcast(flight, outcome, settlement)
        told = is_cost_told(self._stream_cost, inbound.caller)
        reader = inbound.codec.stream(inbound.view) if is_hiding else None
        outcome.body = LeaderStream(broadcast.listen(), inbound, reader, is_cost_told=told)
        return outcome

    def _broadcast(self, flight: Flight, outcome: Outcome, settlement: Settlement) -> Broadcast:
        """Give the stream to all who wait and to all who come."""
        assert not isinstance(outcome.body, bytes)  # noqa: S101 - the callers looked
        source = PlainStream(outcome.body, settlement, flight.call_id)
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
        """The answer in the form in which it comes."""
        note = _note(flight)
        headers = [*shared.headers, _TOLD]
        if isinstance(shared.body, bytes):
            if shared.is_stream:
                made = self._made_over(inbound, flight, shared, shared.body)
                if made is not None:
                    return made
            book(inbound.settlement, shared.settlement.entry, note)
            return Outcome(status=shared.status, headers=headers, body=shared.body)
        reader = None
        if not inbound.view.wants_usage:
            reader = inbound.codec.stream(inbound.view)
        told = is_cost_told(self._stream_cost, inbound.caller)
        stream = FollowerStream(shared.body.listen(), inbound, reader, is_cost_told=told)
        stream.follow(shared.settlement, note)
        inbound.settlement.closing += (self._waits(inbound.settlement),)
        return Outcome(status=shared.status, headers=headers, body=stream)

    async def _in_other_form(self, inbound: Inbound, flight: Flight) -> Outcome | None:
        """The answer of a flight in the other form; None where the call must go by itself (K3)."""
        patience_s: float | None = None
        if inbound.view.is_streamed:
            elapsed_us = self._clock.monotonic_us() - flight.begun_us
            patience_us = self.pace.patience_us(_kind(inbound), elapsed_us)
            if patience_us is None:
                return None
            patience_s = patience_us / 1_000_000
        try:
            async with asyncio.timeout(patience_s):
                shared: _Shared | None = await flight.follow()
        except TimeoutError:
            return None
        if shared is None:
            return None
        body = shared.body
        if isinstance(body, Broadcast):
            listener = body.listen()
            try:
                body = await listener.rest()
            finally:
                await listener.aclose()
        if body is None or has_failed(shared.settlement.entry):
            return None
        return self._made_over(inbound, flight, shared, body)

    def _made_over(
        self, inbound: Inbound, flight: Flight, shared: _Shared, body: bytes
    ) -> Outcome | None:
        """The whole of an answer in the form that the call asks for; None: it has none."""
        call, view = inbound.call, inbound.view
        try:
            cut = replayed(inbound.codec, view, body, is_stream=shared.is_stream)
        except NotReplayable:
            return None
        given = cut.put_together(call.id[5:].encode(), self._clock.now_us() // 1_000_000)
        book(inbound.settlement, shared.settlement.entry, _note(flight))
        if view.is_streamed and is_cost_told(self._stream_cost, inbound.caller):
            given += cost_comment(call.id, str(ZERO))
        headers = in_form(shared.headers, is_streamed=view.is_streamed)
        return Outcome(status=shared.status, headers=[*headers, _TOLD], body=given)


def _kind(inbound: Inbound) -> tuple[str, str]:
    return inbound.call.attribution.feature or UNATTRIBUTED, inbound.call.model


def _note(flight: Flight) -> str:
    return f"shared the answer to {flight.call_id}"


def _landed(flight: Flight, entry: Entry, settlement: Settlement) -> _Shared | None:
    """A whole answer that followers may have; None where they must go by themselves (K3)."""
    if not flight.task.done() or flight.task.cancelled() or flight.task.exception() is not None:
        return None
    outcome: Outcome = flight.task.result()
    is_good = outcome.is_good and isinstance(outcome.body, bytes)
    if not is_good or has_failed(entry):
        return None
    body = cast("bytes", outcome.body)
    if is_events(outcome.headers):  # a vote's answer, streamed in one piece
        body = body.partition(comment_opening(flight.call_id))[0]
    return _Shared(outcome.status, list(outcome.headers), body, settlement)
