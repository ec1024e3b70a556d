"""One client's connection: requests in, replies out, in order.

One request is handled at a time; bytes behind it are held up to a bound and then no longer read.
Reading goes on while a request is handled, because the end of the stream is how a client that
went away is noticed: a half-closed connection counts as gone. Every request ends in exactly one
of: a whole reply, a stream with its last chunk, or an aborted connection.
"""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from farthing.wire.alarm import Alarm
from farthing.wire.errors import BadHeader
from farthing.wire.intake import Intake
from farthing.wire.message import Reply, Request
from farthing.wire.replying import close_iterator, has_no_body, reply_head

if TYPE_CHECKING:
    from farthing.wire.server import Server

__all__ = ["Inbound"]

_JOIN_BYTES_MOST = 65_536  # a larger body is handed over as it is, not copied behind its head
_NEVER = math.inf


class _State(enum.IntEnum):
    """What the connection waits for, and so what its alarm means."""

    IDLE = 0  # the first byte of a request
    HEAD = 1  # the rest of a head
    BODY = 2  # the rest of a body
    BUSY = 3  # the handler, or the reader of its reply
    CLOSING = 4  # the peer to take what was written


_IDLE, _BUSY = _State.IDLE, _State.BUSY  # to find a member of an enum takes time


class Inbound(asyncio.Protocol):
    """The protocol object of one accepted connection."""

    __slots__ = (
        "_alarm",
        "_clock",
        "_held",
        "_held_bytes",
        "_intake",
        "_is_lost",
        "_is_paused",
        "_is_reading",
        "_server",
        "_since",
        "_state",
        "_task",
        "_transport",
        "_writable",
    )

    _transport: asyncio.Transport
    _intake: Intake

    def __init__(self, server: Server) -> None:
        self._server = server
        self._clock = server.loop.time
        self._alarm = Alarm(server.loop, self._clock, self._on_alarm)
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_lost = False
        self._is_paused = False
        self._is_reading = True
        self._since = 0.0
        self._state = _State.IDLE
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted (after the TLS handshake, where there is one)."""
        self._transport = cast("asyncio.Transport", transport)
        peer: object = transport.get_extra_info("peername")
        address = str(cast("tuple[object, ...]", peer)[0]) if isinstance(peer, tuple) else ""
        self._intake = Intake(self._server.limits, address, self._server.known)
        self._transport.set_write_buffer_limits(high=self._server.limits.write_bytes_most)
        if not self._server.adopt(self):
            self._is_lost = True
            self._transport.abort()
            return
        self._alarm.set(self._clock() + self._server.limits.idle_s)

    def data_received(self, data: bytes) -> None:
        """Parse, or hold while a request is being handled."""
        if self._state >= _BUSY:
            self._hold(data)
            return
        intake = self._intake
        left = intake.feed(data)
        if left:
            self._hold(left)
        if intake.requests:
            self._begin(intake)
        else:
            self._proceed()

    def eof_received(self) -> None:
        """The client sends no more: it is gone, and the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: stop whatever is done for it."""
        del exc
        self._is_lost = True
        self._alarm.stop()
        self._intake.close()
        self._held.clear()
        if self._task is not None:
            self._task.cancel()
        self._server.forget(self)

    def pause_writing(self) -> None:
        """The reader is slow: pull no more from the reply until it has caught up."""
        self._is_paused = True
        self._alarm.set(self._clock() + self._server.limits.write_stall_s)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        self._is_paused = False
        if self._state is _State.BUSY:
            self._alarm.clear()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # From one request to the next.

    def _hold(self, data: bytes) -> None:
        if self._state is _State.CLOSING:
            return  # read and dropped, so that the peer reads our reply and not a reset
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > self._server.limits.pipeline_bytes_most and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _proceed(self) -> None:
        """Nothing is being handled: begin on the next request, or wait for more of it."""
        intake = self._intake
        while not intake.requests and intake.refusal is None and self._held:
            held = b"".join(self._held)
            self._held.clear()
            self._held_bytes = 0
            left = intake.feed(held)
            if left:
                self._held.append(left)
                self._held_bytes = len(left)
        if intake.requests:
            self._begin(intake)
        elif intake.refusal is not None:
            self._refuse(*intake.refusal)
        else:
            self._await_more(intake)

    def _begin(self, intake: Intake) -> None:
        server = self._server
        self._state = _BUSY
        self._alarm.due = _NEVER
        server.in_flight += 1
        self._task = server.loop.create_task(self._serve(intake.requests.popleft()))

    def _await_more(self, intake: Intake) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()
        limits = self._server.limits
        if intake.is_mid_body:
            if intake.wants_continue:
                intake.wants_continue = False
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._wait(_State.BODY, limits.body_s)
        elif intake.is_mid_head:
            self._wait(_State.HEAD, limits.head_s)
        elif self._server.is_draining:
            self._close()
        else:
            self._state = _State.IDLE
            self._alarm.set(self._clock() + limits.idle_s)

    def _wait(self, state: _State, seconds: float) -> None:
        if self._state is not state:
            self._state = state
            self._since = self._clock()
            self._alarm.set(self._since + seconds)

    def _on_alarm(self) -> None:
        if self._is_paused or self._state is _State.CLOSING:
            self.abort()
        elif self._state is _State.IDLE:
            self._close()
        elif self._state is _State.HEAD:
            self._refuse(408, "the request's head did not arrive in time", "")
        elif self._state is _State.BODY:
            limits = self._server.limits
            earned_s = self._intake.body_bytes / limits.body_bytes_per_s_least
            due = self._since + limits.body_s + earned_s
            if due > self._clock():
                self._alarm.set(due)
            else:
                self._refuse(408, "the request's body did not arrive in time", "")

    # Replying.

    async def _serve(self, request: Request) -> None:
        """Handle one request to its end; the body of its task."""
        is_kept = False
        try:
            try:
                reply = await self._server.handler(request)
            except Exception as error:  # edge: a handler's fault ends one request only
                reply = self._server.failed(error, request)
            if isinstance(reply.body, bytes):
                is_kept = self._send_whole(request, reply)
            else:
                is_kept = await self._send_stream(request, reply, reply.body)
            if self._is_paused:
                await self._until_writable()
        except asyncio.CancelledError:
            self._transport.abort()  # the client's doing as a rule; if not, it must learn of it
            raise
        except Exception as error:  # edge: the refuse hook itself failed
            self._server.report(error, request)
            self._transport.abort()
        finally:
            self._task = None
            self._server.finished()
        if self._is_lost:
            return
        self._state = _IDLE
        if not is_kept:
            self._close()
        elif (
            self._held
            or not self._is_reading
            or self._server.is_draining
            or not self._intake.is_at_rest
        ):
            self._proceed()
        else:
            self._alarm.set(self._clock() + self._server.limits.idle_s)

    def _send_whole(self, request: Request, reply: Reply) -> bool:
        """Write the reply; whether the connection can serve another request."""
        is_kept = request.is_kept_alive and not self._server.is_draining
        body: bytes = reply.body  # pyright: ignore[reportAssignmentType] - the caller looked
        try:
            head, is_kept = reply_head(reply, request, len(body), is_kept=is_kept)
        except BadHeader as error:
            reply = self._server.failed(error, request)
            body = cast("bytes", reply.body)
            head, is_kept = reply_head(reply, request, len(body), is_kept=is_kept)
        if has_no_body(reply, request):
            body = b""
        self._write(head, body)
        return is_kept

    async def _send_stream(
        self, request: Request, reply: Reply, body: AsyncIterator[bytes]
    ) -> bool:
        is_kept = request.is_kept_alive and not self._server.is_draining
        is_begun = False
        end = b"" if request.is_http_10 else b"0\r\n\r\n"
        try:
            try:
                head, is_kept = reply_head(reply, request, None, is_kept=is_kept)
                if has_no_body(reply, request):
                    end = b""
                else:
                    async for chunk in body:
                        if not chunk:
                            continue
                        self._write_chunk(head, chunk, is_bare=request.is_http_10)
                        head = b""
                        is_begun = True
                        if self._is_paused:
                            await self._until_writable()
            finally:
                await close_iterator(body)
        except Exception as error:  # edge: a broken stream must look broken to the client
            if not is_begun:
                return self._send_whole(request, self._server.failed(error, request))
            self._server.report(error, request)
            self._transport.abort()
            return False
        self._write(head + end, b"")
        return is_kept

    def _write_chunk(self, head: bytes, chunk: bytes, *, is_bare: bool) -> None:
        if is_bare:
            self._write(head, chunk)
        elif len(chunk) <= _JOIN_BYTES_MOST:
            self._write(b"%b%x\r\n%b\r\n" % (head, len(chunk), chunk), b"")
        elif not self._is_lost:
            self._transport.writelines((b"%b%x\r\n" % (head, len(chunk)), chunk, b"\r\n"))

    def _write(self, head: bytes, body: bytes) -> None:
        if self._is_lost:
            return
        if not body:
            self._transport.write(head)
        elif len(body) <= _JOIN_BYTES_MOST:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    async def _until_writable(self) -> None:
        self._writable = self._server.loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    # Ending.

    def _refuse(self, status: int, reason: str, target: str) -> None:
        """Answer what is no request for the handler, then let the peer read the answer."""
        reply = self._server.refuse(status, reason, target)
        body = cast("bytes", reply.body)
        head, _ = reply_head(reply, None, len(body), is_kept=False)
        self._write(head, body)
        self._state = _State.CLOSING
        self._held.clear()
        if not self._transport.can_write_eof():
            self._close()
            return
        self._transport.write_eof()
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()
        self._alarm.set(self._clock() + self._server.limits.linger_s)

    def _close(self) -> None:
        """Close once everything is written, or soon."""
        self._state = _State.CLOSING
        self._held.clear()
        self._alarm.set(self._clock() + self._server.limits.write_stall_s)
        self._transport.close()

    def wind_down(self) -> None:
        """The server drains: close now if no request has begun, else after its reply."""
        if self._state is _State.IDLE:
            self._close()

    def abort(self) -> None:
        """Cut the connection; what runs for it is cancelled."""
        self._is_lost = True
        self._transport.abort()
