"""Request heads that came before: an SDK sends the same bytes each time, but for the length.

A head is remembered once the parser has accepted it, under its own bytes without the digits of its
`content-length`. When those bytes come again, together with a whole body of the length they name,
there is nothing left to parse: the parser would say of them what it said before. Whatever is not
that plain (a body in several reads, a pipeline, chunks, `Expect`, HTTP/1.0) goes to the parser.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farthing.wire.message import Header, Request

__all__ = ["KnownHeads", "Seen"]

_HEADS_MOST = 1024
_HEAD_BYTES_MOST = 8192
_DIGITS_MOST = 12
_END = b"\r\n\r\n"
_LENGTH, _LENGTH_LOWER = b"\r\nContent-Length: ", b"\r\ncontent-length: "
_LENGTH_BYTES = len(_LENGTH)


class _Known(msgspec.Struct, frozen=True):
    method: str
    target: str
    headers: list[Header]
    named: dict[bytes, bytes]
    memo: dict[str, Any]


class Seen(msgspec.Struct, frozen=True):
    """One whole request that may be known: the head's bytes less its length, and the body."""

    key: bytes
    body: bytes


class KnownHeads:
    """The heads that one server knows; bounded, and forgotten all at once when it is full."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, _Known] = {}

    def look(self, data: bytes) -> Seen | None:
        """The parts of `data` if it is one whole request of the plain kind; else None."""
        end = data.find(_END, 0, _HEAD_BYTES_MOST)
        if end < 0:
            return None
        start = data.find(_LENGTH, 0, end)
        if start < 0:
            start = data.find(_LENGTH_LOWER, 0, end)
            if start < 0:
                return None
        start += _LENGTH_BYTES
        stop = data.find(b"\r\n", start, end + 2)
        digits = data[start:stop]
        if not digits.isdigit() or len(digits) > _DIGITS_MOST:
            return None
        if int(digits) != len(data) - end - 4:
            return None
        return Seen(data[:start] + data[stop:end], data[end + 4 :])

    def request(self, seen: Seen, peer: str) -> Request | None:
        """The request, if its head is known."""
        known = self._heads.get(seen.key)
        if known is None:
            return None
        return Request(
            method=known.method,
            target=known.target,
            headers=known.headers,
            body=seen.body,
            peer=peer,
            is_kept_alive=True,
            is_http_10=False,
            named=known.named,
            memo=known.memo,
        )

    def learn(self, seen: Seen, request: Request) -> None:
        """Remember the head of `request`, which the parser made of just these bytes."""
        named = request.named
        if (
            not request.is_kept_alive
            or request.is_http_10
            or b"transfer-encoding" in named
            or b"expect" in named
            or b"upgrade" in named
            or request.body != seen.body
        ):
            return
        if len(self._heads) >= _HEADS_MOST:
            self._heads.clear()
        self._heads[seen.key] = _Known(
            request.method, request.target, request.headers, named, request.memo
        )
