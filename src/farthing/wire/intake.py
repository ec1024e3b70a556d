"""The server's reading half: bytes in, complete requests or a refusal out.

Sans-IO: no socket, loop or clock. llhttp (in httptools) does the parsing in its strict mode,
which refuses what request smuggling lives on: both Content-Length and Transfer-Encoding, a
repeated or malformed Content-Length, chunked not last, folded header lines, a space before the
colon, bare CR or LF. Limits, HTTP versions and the Host rule are checked here (RFC 9112).
"""

from __future__ import annotations

from collections import deque

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from farthing.wire.known import KnownHeads
from farthing.wire.limits import ServerLimits
from farthing.wire.message import Header, Request
from farthing.wire.pieces import Pieces

__all__ = ["Intake"]

_SLICE_BYTES = 32_768  # bounds how many small pipelined requests one read can become
_UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})


class _Stopped(Exception):
    """The parser shall go no further: `Intake.refusal` says why."""


class Intake:
    """Feed it bytes; take from `requests`, then see `refusal` and `wants_continue`.

    After a refusal (status, reason, target) it takes no more. `is_mid_head` and `is_mid_body` say
    what an unfinished request waits for; `body_bytes` how much of its body has come.
    """

    __slots__ = (
        "_barren",
        "_body_most",
        "_fed",
        "_first",
        "_head_most",
        "_headers",
        "_headers_most",
        "_known",
        "_length",
        "_method",
        "_named",
        "_parser",
        "_peer",
        "_pieces",
        "_request_headers",
        "_target",
        "_url",
        "body_bytes",
        "is_http_10",
        "is_kept_alive",
        "is_mid_body",
        "refusal",
        "requests",
        "wants_continue",
    )

    def __init__(self, limits: ServerLimits, peer: str, known: KnownHeads) -> None:
        """`known` is shared by the connections of a server."""
        self._known = known
        self._head_most = limits.head_bytes_most
        self._headers_most = limits.headers_most
        self._body_most = limits.body_bytes_most
        self._peer = peer
        self.requests: deque[Request] = deque()
        self.refusal: tuple[int, str, str] | None = None
        self.wants_continue = False
        self.is_mid_body = False
        self.is_kept_alive = False
        self.is_http_10 = False
        self.body_bytes = 0
        self._url = b""
        self._target = ""
        self._method = ""
        self._headers: list[Header] = []
        self._request_headers: list[Header] = []
        self._named: dict[bytes, bytes] = {}
        self._length: bytes | None = None
        self._first = b""
        self._pieces: Pieces | None = None
        self._fed = 0
        self._barren = 0
        self._parser = HttpRequestParser(self)

    @property
    def is_mid_head(self) -> bool:
        """Some of a request's head is in, but not all."""
        return not self.is_mid_body and self._fed > 0

    @property
    def is_at_rest(self) -> bool:
        """Nothing is begun, waiting or refused."""
        return not (self._fed or self.requests or self.is_mid_body or self.refusal)

    def feed(self, data: bytes) -> bytes:
        """Parse `data` until a request is complete; what was not looked at comes back.

        Small data is always parsed whole, and may then hold several requests.
        """
        if not self.is_at_rest:
            return self._parse(data)
        seen = self._known.look(data)
        if seen is None or len(seen.body) > self._body_most:
            return self._parse(data)
        request = self._known.request(seen, self._peer)
        if request is not None:
            self.requests.append(request)
            return b""
        left = self._parse(data)
        if len(self.requests) == 1 and not left and self.refusal is None and not self._fed:
            self._known.learn(seen, self.requests[0])
        return left

    def _parse(self, data: bytes) -> bytes:
        if len(data) <= _SLICE_BYTES:
            self._feed(data)
            return b""
        view = memoryview(data)
        start = 0
        while start < len(data) and self.refusal is None and not self.requests:
            self._feed(view[start : start + _SLICE_BYTES])
            start += _SLICE_BYTES
        return data[start:]

    def close(self) -> None:
        """Let go of the parser, which holds us."""
        del self._parser

    def _feed(self, data: bytes | memoryview) -> None:
        before = self.body_bytes
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            self._decline_upgrade(data, error.args[0])
        except HttpParserError as error:
            if self.refusal is None:
                if isinstance(error, HttpParserCallbackError):
                    raise  # a fault of ours, not the client's
                self.refusal = (400, f"the request is malformed: {error}", self._shown_target())
        if self._fed:
            self._check_progress(len(data), before)

    def _check_progress(self, size: int, before: int) -> None:
        """Bound unfinished heads, and chunk extensions and trailers, which bring no body."""
        if not self.is_mid_body:
            self._barren = self._fed
        elif self.body_bytes != before:
            self._barren = 0
        else:
            self._barren += size
        if self._barren > self._head_most + _SLICE_BYTES and self.refusal is None:
            self._refuse_head()

    def _refuse_head(self) -> None:
        most = self._head_most
        reason = f"the request's head is larger than {most} bytes"
        self.refusal = (431, reason, self._shown_target())

    def _shown_target(self) -> str:
        return self._target or self._url.decode("latin-1")

    def _stop(self, status: int, reason: str) -> None:
        self.refusal = (status, reason, self._target)
        raise _Stopped

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        """Some of the target came; more may follow."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header came (after the body: a trailer, which is dropped)."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is in: decide whether the body may come."""
        parser = self._parser
        headers = self._request_headers = self._headers
        self._headers = []  # for trailers, and then the next request
        self._named = named = dict(headers)
        self._method = parser.get_method().decode()
        target = self._url.decode("latin-1")
        self._target = target if target.startswith("/") else _origin_form(target)
        self._url = b""
        self.is_mid_body = True
        self.body_bytes = self._barren = 0
        self.is_kept_alive = is_kept = parser.should_keep_alive()
        self.is_http_10 = False
        if not is_kept or b"connection" in named:  # older versions must ask to be kept
            self._check_version(parser.get_http_version())
        if (
            self._fed > self._head_most
            or len(headers) > self._headers_most
            or len(named) != len(headers)
            or b"host" not in named
            or b"transfer-encoding" in named
        ):
            self._check_head(headers, named)
        self._length = length = named.pop(b"content-length", None)
        if length is not None:
            self._request_headers = [h for h in headers if h[0] != b"content-length"]
            if int(length) > self._body_most:
                self._stop_body(f"of {int(length)} bytes ")
        if b"expect" in named:
            wanted = named[b"expect"].strip().lower()
            self.wants_continue = wanted == b"100-continue" and not self.is_http_10

    def _check_version(self, version: str) -> None:
        self.is_http_10 = version == "1.0"
        if version not in ("1.0", "1.1"):
            self._stop(505, f"HTTP/{version} is not spoken here; use HTTP/1.1")

    def _check_head(self, headers: list[Header], named: dict[bytes, bytes]) -> None:
        if self._fed > self._head_most:
            held = sum(len(name) + len(value) + 4 for name, value in headers)
            if held + len(self._target) > self._head_most:
                self._refuse_head()
                raise _Stopped
        if len(headers) > self._headers_most:
            self._stop(431, f"the request has more than {self._headers_most} headers")
        if b"host" not in named:
            if not self.is_http_10:
                self._stop(400, "an HTTP/1.1 request must have a Host header")
        elif len(named) != len(headers) and sum(h[0] == b"host" for h in headers) > 1:
            self._stop(400, "the request has more than one Host header")
        if b"transfer-encoding" in named:
            if self.is_http_10:
                self._stop(400, "Transfer-Encoding does not exist in HTTP/1.0")
            if named[b"transfer-encoding"].strip().lower() != b"chunked":
                self._stop(501, "no transfer coding but chunked is spoken here")

    def _stop_body(self, shown: str) -> None:
        most = self._body_most
        self._stop(413, f"the request's body {shown}is larger than the {most} bytes allowed")

    def on_body(self, data: bytes) -> None:
        """Some of the body came."""
        before = self.body_bytes
        self.body_bytes = now = before + len(data)
        if now > self._body_most:
            self._stop_body("")
        if not before:
            self._first = data  # as a rule the only one
            return
        if self._pieces is None:
            self._pieces = Pieces()
            self._pieces.append(self._first)
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """A request is whole: put it in the queue and be ready for the next."""
        pieces = self._pieces
        self._pieces = None
        self.requests.append(
            Request(
                method=self._method,
                target=self._target,
                headers=self._request_headers,
                body=self._first if pieces is None else pieces.take(),
                peer=self._peer,
                is_kept_alive=self.is_kept_alive,
                is_http_10=self.is_http_10,
                named=self._named,
            )
        )
        if self._headers:
            self._headers = []  # trailers
        self._first = b""
        self.is_mid_body = self.wants_continue = False
        self._fed = 0

    def _decline_upgrade(self, data: bytes | memoryview, offset: int) -> None:
        """Serve a request that offers an upgrade (some clients offer h2c first) without it.

        llhttp stops at the end of its head and takes its body for the other protocol. So the head
        is parsed again without the offer, and then what followed it.
        """
        request = self.requests.pop()
        if request.method == "CONNECT":
            self.refusal = (501, "this is no proxy: CONNECT is not served", request.target)
            return
        kept = [b"%b: %b\r\n" % h for h in request.headers if h[0] not in _UPGRADE_HEADERS]
        if self._length is not None:
            kept.append(b"content-length: %b\r\n" % self._length)
        version = "1.0" if request.is_http_10 else "1.1"
        first = f"{request.method} {request.target} HTTP/{version}\r\n".encode("latin-1")
        self._parser = HttpRequestParser(self)
        self._feed(first + b"".join(kept) + b"\r\n" + bytes(data[offset:]))


def _origin_form(target: str) -> str:
    """The path and query of a target that a client of a proxy would write with scheme and host."""
    if "://" not in target:
        return target
    return "/" + target.partition("://")[2].partition("/")[2]
