"""One connection to an upstream: a request out, its answer in, one exchange at a time.

The connection goes back to the pool only when the whole answer is in, the upstream keeps it
open, the whole request had left, and not a byte came beyond the answer. Anything else drops it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol, cast

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from farthing.wire.alarm import Alarm
from farthing.wire.errors import (
    BadResponse,
    Disconnected,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    WireError,
)
from farthing.wire.limits import ClientLimits, Timeouts
from farthing.wire.message import Header
from farthing.wire.response import Response

__all__ = ["Outbound", "Owner"]

_JOIN_BYTES_MOST = 65_536  # a larger body is handed over as it is, not copied behind its head
_ONE_WRITE_BYTES_MOST = 16_384  # what a fresh socket buffer takes whole or not at all


class Owner(Protocol):
    """The pool, as its connections see it."""

    def release(self, connection: Outbound) -> None:
        """Free for the next request."""

    def discard(self, connection: Outbound) -> None:
        """Gone, or about to be; told once."""


class _Stopped(Exception):
    """The parser shall go no further: `_fault` says why."""


class Outbound(asyncio.Protocol):
    """The protocol object of one connection to `name`, the origin as errors show it."""

    __slots__ = (
        "_alarm",
        "_barren",
        "_clock",
        "_fault",
        "_has_extra",
        "_headers",
        "_is_complete",
        "_is_framed",
        "_is_kept",
        "_limits",
        "_loop",
        "_name",
        "_owner",
        "_parser",
        "_response",
        "_sent_bytes",
        "_timeouts",
        "_total_due",
        "_transport",
        "is_gone",
        "uses",
    )

    _transport: asyncio.Transport
    _timeouts: Timeouts

    def __init__(self, name: str, limits: ClientLimits, clock: Callable[[], float]) -> None:
        self._name = name
        self._limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, clock, self._on_alarm)
        self._owner: Owner | None = None
        self._response: Response | None = None
        self._headers: list[Header] = []
        self._fault = ""
        self._barren = 0
        self._sent_bytes = 0
        self._total_due = math.inf
        self._is_complete = False
        self._is_framed = False
        self._is_kept = False
        self._has_extra = False
        self.is_gone = True
        self.uses = 0
        self._parser = HttpResponseParser(self)

    def adopt(self, owner: Owner) -> None:
        """From now on the pool counts this connection and is told when it is gone."""
        self._owner = owner

    def send(
        self, head: bytes, body: bytes, timeouts: Timeouts, due: float, *, is_head: bool
    ) -> tuple[Response, asyncio.Future[None]]:
        """Write a request; the future is done when the answer's head, or an error, is in.

        `due` is when the whole exchange must be over.
        """
        arrival: asyncio.Future[None] = self._loop.create_future()
        self._response = response = Response(
            self, arrival, self._limits.read_bytes_high, is_head_request=is_head
        )
        self._timeouts = timeouts
        self._total_due = due
        self._is_complete = self._has_extra = False
        self._sent_bytes = len(head) + len(body)
        self.uses += 1
        if len(body) <= _JOIN_BYTES_MOST:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        first_due = self._clock() + timeouts.first_byte_s
        self._alarm.set(min(due, first_due))
        return response, arrival

    def rest(self) -> None:
        """The pool keeps this connection for the next request."""
        if not self._transport.is_reading():
            self._transport.resume_reading()
        self._alarm.set(self._clock() + self._limits.idle_s)

    # What the answer calls.

    def stop_reading(self) -> None:
        """The consumer is slow: no more until it has caught up, and no idle time-out either."""
        if not self.is_gone:
            self._transport.pause_reading()
            self._alarm.set(self._total_due)

    def go_on_reading(self) -> None:
        """The consumer has caught up."""
        if not self.is_gone and not self._transport.is_reading():
            self._transport.resume_reading()
            self._alarm.set(min(self._clock() + self._timeouts.idle_s, self._total_due))

    def drop(self) -> None:
        """Close at once; an exchange under way fails."""
        response = self._response
        self._response = None
        self.is_gone = True
        self._alarm.stop()
        owner = self._owner
        self._owner = None
        if owner is not None:
            owner.discard(self)
        self._transport.abort()
        if response is not None:
            response.fail(self._given_up(response))

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected (after the TLS handshake, where there is one)."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_gone = False

    def data_received(self, data: bytes) -> None:
        """Parse; hand what was found to the answer."""
        response = self._response
        if response is None or self.is_gone:
            self.drop()  # bytes nobody asked for
            return
        response.bytes_received += len(data)
        held = response.bytes_held
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._fault = "it changed to another protocol"
        except HttpParserError as error:
            if not self._fault:
                if isinstance(error, HttpParserCallbackError):
                    raise  # a fault of ours, not the upstream's
                self._fault = str(error)
        if self._is_complete:
            self._conclude(response)
        elif self._fault:
            self._fail(self._bad_response(self._fault))
        else:
            self._go_on(response, len(data), response.bytes_held - held)

    def _go_on(self, response: Response, size: int, body_size: int) -> None:
        """More must come: check the bounds, move the alarm, tell the reader."""
        most = self._limits.head_bytes_most
        if not response.status:
            if response.bytes_received > most:
                self._fail(self._bad_response(f"its head is larger than {most} bytes"))
            return
        self._barren = 0 if body_size else self._barren + size
        if self._barren > most:
            self._fail(self._bad_response(f"more than {most} bytes of it were no body"))
            return
        if self._transport.is_reading():
            self._alarm.set(min(self._clock() + self._timeouts.idle_s, self._total_due))
        response.settle()

    def _conclude(self, response: Response) -> None:
        self._response = None
        response.complete()
        owner = self._owner
        if (
            self._is_kept
            and owner is not None
            and not self._fault
            and not self._has_extra
            and not self._transport.get_write_buffer_size()
        ):
            owner.release(self)
        else:
            self.drop()
        response.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: the end of an answer without a length, or of the exchange."""
        self.is_gone = True
        self._alarm.stop()
        owner = self._owner
        self._owner = None
        if owner is not None:
            owner.discard(self)
        response = self._response
        self._response = None
        del self._parser
        if response is None:
            return
        if response.status and not self._is_framed and exc is None:
            response.complete()
            response.wake()
        else:
            response.fail(self._disconnected(response, exc))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A message begins; one that nobody asked for spoils the connection."""
        if self._is_complete:
            self._has_extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header came (after the body: a trailer, which is dropped)."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is in: informational ones are skipped."""
        response = self._response
        parser = self._parser
        status = parser.get_status_code()
        headers = self._headers
        self._headers = []
        if response is None or self._is_complete or 100 <= status < 200:
            return
        limits = self._limits
        if len(headers) > limits.headers_most or response.bytes_received > limits.head_bytes_most:
            self._check_head(response, headers)
        if not 200 <= status <= 599:
            self._stop(f"{status} is no HTTP status")
        self._is_kept = is_kept = parser.should_keep_alive()
        self._is_framed = is_kept or _has_length(headers)
        self._barren = 0
        response.headers = headers
        response.status = status
        if response.is_head_request:
            self._is_complete = True
            self._parser = HttpResponseParser(self)  # the old one waits for a body

    def _check_head(self, response: Response, headers: list[Header]) -> None:
        if len(headers) > self._limits.headers_most:
            self._stop(f"it has more than {self._limits.headers_most} headers")
        most = self._limits.head_bytes_most
        if response.bytes_received > most and sum(len(n) + len(v) for n, v in headers) > most:
            self._stop(f"its head is larger than {most} bytes")

    def on_body(self, data: bytes) -> None:
        """Some of the body came."""
        response = self._response
        if response is None or self._is_complete:
            self._has_extra = True
        else:
            response.chunks.append(data)
            response.bytes_held += len(data)

    def on_message_complete(self) -> None:
        """The message is whole (an informational one is not what we wait for)."""
        response = self._response
        if response is not None and response.status:
            self._is_complete = True

    def _stop(self, fault: str) -> None:
        self._fault = fault
        raise _Stopped

    # Failing.

    def _fail(self, error: WireError) -> None:
        response = self._response
        self._response = None
        self.drop()
        if response is not None:
            response.fail(error)

    def _on_alarm(self) -> None:
        response = self._response
        if response is None:
            self.drop()  # idle for long enough
            return
        timeouts = self._timeouts
        if self._clock() + 0.001 >= self._total_due:
            text = f"The exchange with {self._name} took longer than {timeouts.total_s:g} s"
            self._fail(TotalTimeout(_timeout_text(text, response, "total_s"), may_have_run=True))
        elif not response.status:
            text = f"{self._name} did not begin to answer within {timeouts.first_byte_s:g} s"
            text = _timeout_text(text, response, "first_byte_s")
            self._fail(FirstByteTimeout(text, may_have_run=True))
        else:
            text = f"{self._name} sent nothing for {timeouts.idle_s:g} s in the midst of its answer"
            self._fail(IdleTimeout(_timeout_text(text, response, "idle_s"), may_have_run=True))

    def _bad_response(self, fault: str) -> BadResponse:
        return BadResponse(
            f"What {self._name} sent is no HTTP/1.1 answer: {fault}. The connection was dropped; "
            "the request may have been acted on. Check that the base URL names an HTTP/1.1 API.",
            may_have_run=True,
        )

    def _given_up(self, response: Response) -> Disconnected:
        return Disconnected(
            f"The exchange with {self._name} was given up from this side after "
            f"{response.bytes_received} bytes of its answer. The connection was dropped; the "
            "request may have been acted on. Read an answer to its end before closing it.",
            may_have_run=True,
            bytes_received=response.bytes_received,
            reused=self.uses > 1,
        )

    def _disconnected(self, response: Response, exc: Exception | None) -> Disconnected:
        received = response.bytes_received
        # A broken pipe before any answer: a request of one write was refused as a whole.
        has_not_left = (
            isinstance(exc, BrokenPipeError)
            and not received
            and self._sent_bytes <= _ONE_WRITE_BYTES_MOST
        )
        reused = self.uses > 1
        was_idle = reused and not received
        how = f" ({exc.strerror or exc})" if isinstance(exc, OSError) else ""
        kept = (
            "Nothing of the request was sent"
            if has_not_left
            else "The request was sent and may have been acted on"
        )
        return Disconnected(
            f"{self._name} closed the connection{how} after {received} bytes of its answer. "
            f"{kept}. Send it again if running it twice does no harm"
            f"{'; the connection had been idle, which upstreams close' if was_idle else ''}.",
            may_have_run=not has_not_left,
            bytes_received=received,
            reused=reused,
        )


def _has_length(headers: list[Header]) -> bool:
    """Whether the end of the body is told by its head rather than by the end of the connection."""
    for name, value in headers:
        if name == b"content-length":
            return True
        if name == b"transfer-encoding" and value.strip().lower().endswith(b"chunked"):
            return True
    return False


def _timeout_text(what: str, response: Response, setting: str) -> str:
    return (
        f"{what}. The request was sent and may have been acted on; {response.bytes_received} bytes "
        f"of the answer had arrived. Raise {setting} for this provider, or send it again if "
        "running it twice does no harm."
    )
