"""The head of a reply, with the framing that fits the request and the body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from farthing.wire.message import Header, Reply, Request, encode_lines, status_line

__all__ = ["close_iterator", "has_no_body", "reply_head"]

_BODYLESS = frozenset({204, 304})


def has_no_body(reply: Reply, request: Request) -> bool:
    """Whether the reply ends with its head whatever its body holds."""
    return request.method == "HEAD" or reply.status in _BODYLESS


def reply_head(
    reply: Reply, request: Request | None, length: int | None, *, is_kept: bool
) -> tuple[bytes, bool]:
    """The reply's head, and whether the connection stays open after it.

    `length` is the body's, None for a stream; `request` None where none could be read.

    Raises:
        BadHeader: a header would break out of its line.
    """
    headers = reply.headers
    status = reply.status
    block, has_framing = encode_lines(headers)
    is_http_10 = request is not None and request.is_http_10
    framing = b""
    if has_framing:
        is_kept = is_kept and not _asks_to_close(headers)
        if request is not None and request.method == "HEAD":
            framing = _declared_length(headers)
    if framing or status in _BODYLESS:
        pass
    elif length is not None:
        framing = b"content-length: %d\r\n" % length
    elif is_http_10:
        is_kept = False
    else:
        framing = b"transfer-encoding: chunked\r\n"
    if not is_kept:
        framing += b"connection: close\r\n"
    elif is_http_10:
        framing += b"connection: keep-alive\r\n"
    return b"%b%b%b\r\n" % (status_line(status), block, framing), is_kept


def _asks_to_close(headers: Sequence[Header]) -> bool:
    return any(n == b"connection" and b"close" in v.lower() for n, v in headers)


def _declared_length(headers: Sequence[Header]) -> bytes:
    """What a GET would have been answered with; a HEAD reply may say it without a body."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return b"content-length: %b\r\n" % value
    return b""


async def close_iterator(body: AsyncIterator[bytes]) -> None:
    """Let a reply's iterator clean up, wherever it stands."""
    aclose: Callable[[], Awaitable[None]] | None = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
