"""Coalescing: identical calls in flight share one upstream call.

The first of them leads; all that come while it runs follow. A stream is handed to each from its
first byte. K1 Whoever leaves, the others are served to the end. K2 When nobody is left, the
upstream call is dropped. K3 A leader that fails leaves the others to go on by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

__all__ = ["Broadcast", "CoalesceSettings", "Flight", "Flights", "Listener"]

_JOINABLE_BYTES_MAX: Final = 4_000_000  # a longer stream is not kept for whoever comes late


class CoalesceSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Coalescing: identical calls of one tenant that run at the same time share one."""

    mode: Annotated[
        Literal["off", "on"], Meta(description="Whether identical calls in flight share one.")
    ] = "off"
    temperature_max: Annotated[
        float,
        Meta(
            ge=0,
            description="Calls with a higher temperature want an answer of their own; a call that "
            "names none has the provider's, 1.",
        ),
    ] = 0.3


class Broadcast:
    """One stream for many listeners, each from the first byte, drawn on as the fastest needs it."""

    def __init__(
        self, source: AsyncIterator[bytes], is_expected: Callable[[], bool] = lambda: False
    ) -> None:
        """`is_expected` tells whether a listener is still to come."""
        self._source = source
        self._is_expected = is_expected
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._listeners = 0
        self._wanted = asyncio.Event()
        self._news: asyncio.Future[None] | None = None
        self._is_over = False
        self._is_dropped = False
        self._failure: BaseException | None = None
        self._pump = asyncio.create_task(self._run())

    @property
    def is_over(self) -> bool:
        """Whether its last byte is here, or it was dropped."""
        return self._is_over

    @property
    def is_joinable(self) -> bool:
        """Whether a new listener would get the whole stream; a dropped one takes time to end."""
        is_coming = not (self._is_over or self._is_dropped)
        return is_coming and self._bytes <= _JOINABLE_BYTES_MAX

    def listen(self) -> Listener:
        """The stream from its first byte."""
        self._listeners += 1
        return Listener(self)

    async def chunk(self, place: int) -> bytes | None:
        """The chunk at `place`; None behind the last."""
        while place >= len(self._chunks):
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                return None
            await self._more()
        return self._chunks[place]

    async def rest(self, place: int) -> bytes | None:
        """All from `place` on, once the stream is over; None where it failed."""
        while not self._is_over:
            await self._more()
        return None if self._failure is not None else b"".join(self._chunks[place:])

    async def ended(self) -> None:
        """Return when the stream is over."""
        await asyncio.wait([self._pump])

    async def leave(self) -> None:
        """A listener needs no more; with the last of them the stream is dropped."""
        self._listeners -= 1
        if self.drop_if_left():
            await self.ended()

    def drop_if_left(self) -> bool:
        """Drop the stream if nobody listens to it, nor will; whether that was so (K2)."""
        is_left = not (self._listeners or self._is_over or self._is_expected())
        if is_left:
            self._is_dropped = True
            self._pump.cancel()
        return is_left

    async def _run(self) -> None:
        source: Any = self._source
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                chunk = b""
                while chunk == b"":
                    chunk = await anext(source, None)
                if chunk is None:
                    return
                self._chunks.append(chunk)
                self._bytes += len(chunk)
                self._tell()
        except Exception as error:  # edge: told to all who listen
            self._failure = error
        finally:
            self._is_over = True
            await source.aclose()
            self._tell()

    async def _more(self) -> None:
        """Ask for the next bytes, and return when they are here or the stream is over."""
        self._wanted.set()
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        self._news = None


class Listener:
    """One listener's place in a `Broadcast`."""

    __slots__ = ("_broadcast", "_is_gone", "_place")

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._place = 0
        self._is_gone = False

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes."""
        chunk = await self._broadcast.chunk(self._place)
        if chunk is None:
            raise StopAsyncIteration
        self._place += 1
        return chunk

    async def rest(self) -> bytes | None:
        """All that is still to come, once the stream has ended; None where it failed."""
        return await self._broadcast.rest(self._place)

    async def aclose(self) -> None:
        """Listen no more."""
        if not self._is_gone:
            self._is_gone = True
            await self._broadcast.leave()


class Flight:
    """One upstream call that others may share.

    `answer` is what it comes to, once that is known; None where the others must go by themselves.
    """

    __slots__ = ("_followers", "answer", "begun_us", "call_id", "is_led", "task", "when_left")

    def __init__(self, call_id: str, task: asyncio.Task[Any], begun_us: int = 0) -> None:
        """`begun_us` is now on the monotonic clock."""
        self.call_id = call_id
        self.begun_us = begun_us
        self.task = task
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_led = True
        self.when_left: Callable[[], object] = lambda: None  # told when nobody waits any more
        self._followers = 0

    def land(self, answer: Any) -> None:
        """Tell all who wait what came of it; later tellings change nothing."""
        if not self.answer.done():
            self.answer.set_result(answer)

    async def lead(self) -> Any:
        """What the call comes to. If the leader leaves, it still sees to those who wait (K1).

        Raises:
            asyncio.CancelledError: the leader left; the call has ended, whole or dropped.
        """
        gone: asyncio.CancelledError | None = None
        while True:
            try:
                outcome = await asyncio.shield(self.task)
            except asyncio.CancelledError as error:
                if self.task.cancelled():
                    raise
                gone = error
                self.is_led = False
                if not self._followers:
                    self.task.cancel()
                continue
            if gone is not None:
                raise gone
            return outcome

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits for the answer."""
        return self._followers > 0

    async def follow(self) -> Any:
        """What the leader's call comes to, or None."""
        if self.answer.done():
            return self.answer.result()
        self._followers += 1
        has_left = True
        try:
            answer = await asyncio.shield(self.answer)
            has_left = False
        finally:
            self._followers -= 1
            if has_left and not self._followers:
                if not self.is_led:
                    self.task.cancel()
                self.when_left()
        return answer


class Flights:
    """The calls in flight that may be shared, by what they ask."""

    def __init__(self) -> None:
        self._flights: dict[tuple[bytes, bool], Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def find(self, key: tuple[bytes, bool]) -> Flight | None:
        """The flight that asks the same."""
        return self._flights.get(key)

    def add(self, key: tuple[bytes, bool], flight: Flight) -> None:
        """Let others share a flight."""
        self._flights[key] = flight

    def remove(self, key: tuple[bytes, bool], flight: Flight) -> None:
        """Let nobody else share it; those who do go on."""
        if self._flights.get(key) is flight:
            del self._flights[key]
