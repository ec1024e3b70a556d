"""Answers that came compressed although none were asked for, made plain so that they can be read.

The client gets them plain too, without the header: it was not told that they may be compressed.
An encoding that is not read here goes on as it came; its usage is estimated, and the entry says so.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

from farthing.compression import HTTP_WINDOW_LOG, gunzip, unzstd
from farthing.gateway.headers import Headers, first
from farthing.wire import BadResponse

__all__ = ["PlainChunks", "drop_encoding", "is_gzipped", "plain_body"]

_ENCODING: Final = b"content-encoding"
_GZIPPED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_CHUNK_BYTES_MOST: Final = 1 << 20


def _encoding(headers: Headers) -> bytes:
    return (first(headers, _ENCODING) or b"").strip().lower()


def is_gzipped(headers: Headers) -> bool:
    """Whether an answer with these headers has a body that `PlainChunks` reads."""
    return _encoding(headers) in _GZIPPED


def drop_encoding(headers: Headers) -> None:
    """Take the header out: the body is plain now."""
    headers[:] = [pair for pair in headers if pair[0] != _ENCODING]


def plain_body(headers: Headers, body: bytes, bytes_max: int) -> bytes:
    """The body, unpacked if its header names an encoding that is read here, which then goes.

    A body that can't be unpacked is left as it is, with its header.
    """
    encoding = _encoding(headers)
    try:
        if encoding in _GZIPPED:
            body = gunzip(body, bytes_max)
        elif encoding == b"zstd":
            body = unzstd(body, bytes_max, window_log_most=HTTP_WINDOW_LOG)
        else:
            return body
    except ValueError:
        return body
    drop_encoding(headers)
    return body


class PlainChunks:
    """A stream's chunks, unpacked as they come: gzip or zlib."""

    __slots__ = ("_chunks", "_inflater")

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._inflater = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header

    def __aiter__(self) -> PlainChunks:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes; never empty.

        Raises:
            BadResponse: the data is broken, or breaks off.
        """
        while True:
            packed = self._inflater.unconsumed_tail
            if not packed:
                packed = await anext(self._chunks, b"")
            if not packed:
                if not self._inflater.eof:
                    raise _broken("it breaks off")
                raise StopAsyncIteration
            try:
                plain = self._inflater.decompress(packed, _CHUNK_BYTES_MOST)
            except zlib.error as error:
                raise _broken(str(error)) from error
            if plain:
                return plain


def _broken(why: str) -> BadResponse:
    return BadResponse(
        f"The compressed stream can't be unpacked: {why}. What had come before was passed on; the "
        "request was acted on. Send it again if running it twice does no harm.",
        may_have_run=True,
    )
