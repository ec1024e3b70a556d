"""A stream on its way to the client, of which a copy is kept once it has ended well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from farthing.codecs import StreamReader
from farthing.gateway.cost_comment import comment_opening
from farthing.gateway.inbound import Inbound
from farthing.wire import close_iterator

__all__ = ["RecordedStream"]


class RecordedStream:
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

    def __aiter__(self) -> RecordedStream:
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
