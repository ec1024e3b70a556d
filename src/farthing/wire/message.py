"""What travels: a request as received, a reply to be sent, and the lines of a head.

The wire owns the framing headers (`content-length`, `transfer-encoding`, and `connection`, and
on requests `host`): those handed in are left out and the right ones written, so that no caller
can make a message that two parsers read differently.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import msgspec

from farthing.wire.errors import BadHeader

__all__ = [
    "Header",
    "Refuse",
    "Reply",
    "Request",
    "encode_headers",
    "encode_lines",
    "plain_refusal",
    "status_line",
]

Header = tuple[bytes, bytes]

_NAME = itemgetter(0)
_LINE = b": ".join
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_FRAMING_AND_HOST = _FRAMING | {b"host"}
_STATUS_LINES = MappingProxyType(
    {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A complete request. Header names are lower-case; `target` is the raw path and query.

    `content-length` is left out of the headers: it is the body's. `peer` is the client's address,
    empty on a unix socket. `is_kept_alive` says that the client wants the connection to stay open.
    `headers`, `named` and `memo` are shared by requests whose heads are equal: the first two are
    never changed, `memo` is where a reader keeps what it derived from the head.
    """

    method: str
    target: str
    headers: list[Header]
    body: bytes
    peer: str
    is_kept_alive: bool
    is_http_10: bool
    named: dict[bytes, bytes]
    memo: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    @property
    def path(self) -> str:
        """The target up to its query."""
        return self.target.partition("?")[0]

    def header(self, name: bytes) -> bytes | None:
        """The value of the header `name` (lower-case), stripped; the last where repeated."""
        value = self.named.get(name)
        return None if value is None else value.strip(b" \t")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: whole, or an iterator that is sent chunk by chunk and always closed.

    A `connection: close` header closes the connection after the reply.
    """

    status: int
    headers: Sequence[Header] = ()
    body: bytes | AsyncIterator[bytes] = b""


Refuse = Callable[[int, str, str], Reply]
"""Makes the reply for a request that never reached the handler, or whose handler failed.

Given the status, the reason in words, and the request's target ("" when it could not be read).
"""


def plain_refusal(status: int, reason: str, target: str) -> Reply:
    """A refusal in plain text."""
    del target
    return Reply(
        status=status,
        headers=[(b"content-type", b"text/plain; charset=utf-8")],
        body=reason.encode() + b"\n",
    )


def encode_headers(headers: Sequence[Header], *, is_request: bool = False) -> bytes:
    """The header lines, each with its CRLF, framing headers left out.

    Raises:
        BadHeader: a name or value holds CR, LF or NUL, or a name is not in lower case.
    """
    return encode_lines(headers, _FRAMING_AND_HOST if is_request else _FRAMING)[0]


def encode_lines(
    headers: Sequence[Header], owned: frozenset[bytes] = _FRAMING
) -> tuple[bytes, bool]:
    """The lines without the headers that are `owned` here, and whether there were such.

    Raises:
        BadHeader: as `encode_headers`.
    """
    names = list(map(_NAME, headers))
    has_owned = not owned.isdisjoint(names)
    if has_owned:
        headers = [header for header in headers if header[0] not in owned]
    lines = list(map(_LINE, headers))
    lines.append(b"")
    block = b"\r\n".join(lines)
    ends = len(lines) - 1
    if block.count(b"\n") != ends or block.count(b"\r") != ends or 0 in block:
        raise BadHeader(
            "A header name or value holds CR, LF or NUL, which would forge a second header. "
            "Nothing was sent. Please report this with the header's name."
        )
    shown = b"".join(names)
    if not shown.islower() and shown != shown.lower():  # the second for a name without letters
        raise BadHeader(
            f"Header names are written in lower case here, unlike some of {shown!r}. "
            "Nothing was sent. Please report this with the header's name."
        )
    return block, has_owned


def status_line(status: int) -> bytes:
    """The first line of a response with `status`."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
