"""An upstream's answer, as it arrives."""

from __future__ import annotations

import asyncio
from typing import Protocol

from farthing.wire.errors import BadResponse, WireError
from farthing.wire.message import Header
from farthing.wire.pieces import Pieces

__all__ = ["Response", "Source"]

_CHUNKS_MOST = 64  # small ones are joined beyond this, since each costs more than its bytes


class Source(Protocol):
    """The connection an answer comes from, as the answer sees it."""

    def stop_reading(self) -> None:
        """Read no more until asked to."""

    def go_on_reading(self) -> None:
        """Read again."""

    def drop(self) -> None:
        """The answer is of no more interest: close the connection."""


class Response:
    """Status, headers (names lower-case) and a body to be read whole or chunk by chunk.

    Read it to its end or `close()` it: the connection returns to the pool when the whole message
    is in, and is dropped by an early close. An error of the exchange is raised once what had
    arrived before it has been read.
    """

    __slots__ = (
        "_is_stopped",
        "_source",
        "_waiter",
        "bytes_held",
        "bytes_high",
        "bytes_received",
        "chunks",
        "error",
        "headers",
        "is_head_request",
        "is_whole",
        "status",
    )

    def __init__(
        self,
        source: Source,
        arrival: asyncio.Future[None],
        bytes_high: int,
        *,
        is_head_request: bool,
    ) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.is_head_request = is_head_request
        self.is_whole = False
        self.error: WireError | None = None
        self.chunks: list[bytes] = []  # what arrived and was not read yet
        self.bytes_held = 0  # their length
        self.bytes_high = bytes_high  # when to stop reading
        self.bytes_received = 0
        self._source: Source | None = source
        self._is_stopped = False
        self._waiter: asyncio.Future[None] | None = arrival

    def header(self, name: bytes) -> bytes | None:
        """The value of the header `name` (lower-case), stripped; the first where repeated."""
        for known, value in self.headers:
            if known == name:
                return value.strip(b" \t")
        return None

    def whole(self, limit: int) -> bytes | None:
        """The whole body where all of it is here already, at most `limit` bytes; else None."""
        if self.is_whole and self.bytes_held <= limit:
            return self._take()
        return None

    async def read(self, limit: int) -> bytes:
        """What is left of the body, whole.

        Raises:
            BadResponse: it is longer than `limit` bytes; the connection is dropped.
            WireError: the exchange failed.
        """
        if self.is_whole:
            if self.bytes_held > limit:
                raise self._too_long(limit)
            return self._take()
        declared = self.header(b"content-length")
        if self.error is None and declared is not None and int(declared) > limit:
            raise self._too_long(limit)
        return await self._gather(limit)

    async def _gather(self, limit: int) -> bytes:
        pieces = Pieces()
        async for chunk in self:
            pieces.append(chunk)
            if pieces.length > limit:
                raise self._too_long(limit)
        return pieces.take()

    def _take(self) -> bytes:
        chunks = self.chunks
        self.bytes_held = 0
        if len(chunks) == 1:
            return chunks.pop()
        self.chunks = []
        return b"".join(chunks)

    def _too_long(self, limit: int) -> BadResponse:
        self.close()
        return BadResponse(
            f"The answer (status {self.status}) is longer than the {limit} bytes allowed. "
            "The rest was not read and the connection was dropped; the request was acted on. "
            "Raise the limit on answers if they are meant to be this long.",
            may_have_run=True,
        )

    def __aiter__(self) -> Response:
        return self

    async def __anext__(self) -> bytes:
        """The bytes that have arrived since the last, waiting for the first of them."""
        while not self.bytes_held:
            if self.error is not None:
                raise self.error
            if self.is_whole:
                raise StopAsyncIteration
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        chunk = self._take()
        if self._is_stopped:
            self._is_stopped = False
            if self._source is not None:
                self._source.go_on_reading()
        return chunk

    async def aclose(self) -> None:
        """Close, where an iterator is asked to."""
        self.close()

    def close(self) -> None:
        """Be done with it: drops the connection unless the whole message is in."""
        source = self._source
        self._source = None
        if source is not None:
            source.drop()

    # What the connection calls.

    def settle(self) -> None:
        """A read's worth of chunks was added: bound what is held, and let the reader look."""
        if len(self.chunks) > _CHUNKS_MOST:
            self.chunks = [b"".join(self.chunks)]
        if self.bytes_held > self.bytes_high and not self._is_stopped and self._source is not None:
            self._is_stopped = True
            self._source.stop_reading()
        self.wake()

    def complete(self) -> None:
        """The whole message is in; the connection has no more to do with it."""
        self.is_whole = True
        self._source = None

    def fail(self, error: WireError) -> None:
        """The exchange ended in an error."""
        self.error = error
        self._source = None
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
