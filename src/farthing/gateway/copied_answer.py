"""An answer on its way to the client, of which a copy is handed on once its call has settled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from farthing.gateway.inbound import Inbound
from farthing.ledger import Entry
from farthing.wire import close_iterator

__all__ = ["CopiedStream", "WholeAnswer"]

_ROOM_BYTES: Final = 1_000_000  # of an answer; of a longer one nothing is handed on


class WholeAnswer:
    """A whole answer, until its call is settled."""

    __slots__ = ("_body", "_done")

    def __init__(self, body: bytes, done: Callable[[Entry, bytes], None]) -> None:
        self._body = body
        self._done = done

    def __call__(self, entry: Entry, ended_us: int) -> None:
        """The call has settled."""
        del ended_us
        self._done(entry, self._body)


class CopiedStream:
    """A stream on its way to the client, of which a copy is given to `done` once it has ended."""

    __slots__ = ("_chunks", "_done", "_inbound", "_is_over", "_room", "_source")

    def __init__(
        self,
        inbound: Inbound,
        source: AsyncIterator[bytes],
        done: Callable[[Entry, bytes], None],
    ) -> None:
        self._inbound = inbound
        self._source = source
        self._done = done
        self._chunks: list[bytes] = []
        self._room = _ROOM_BYTES
        self._is_over = False

    def __aiter__(self) -> CopiedStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for the client, as they are."""
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            self._ended()
            raise
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        return chunk

    async def aclose(self) -> None:
        """The client needs no more."""
        await close_iterator(self._source)
        self._ended()

    def _ended(self) -> None:
        entry = self._inbound.settlement.entry
        if entry is not None and self._room >= 0 and not self._is_over:
            self._is_over = True
            self._done(entry, b"".join(self._chunks))
