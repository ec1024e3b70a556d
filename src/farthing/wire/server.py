"""The HTTP/1.1 server: accepts connections, counts what is in flight, drains."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

from farthing.wire.inbound import Inbound
from farthing.wire.known import KnownHeads
from farthing.wire.limits import ServerLimits
from farthing.wire.message import Refuse, Reply, Request, plain_refusal

__all__ = ["Handler", "Server", "serve"]

Handler = Callable[[Request], Awaitable[Reply]]

_NO_LIMITS_GIVEN = ServerLimits()
_CANCEL_S = 5.0  # for cancelled handlers to clean up in, after the grace is over
_BACKLOG = 4096


class Server:
    """A running server. `in_flight` counts the requests being handled or written."""

    __slots__ = (
        "_inbound",
        "_listener",
        "_quiet",
        "_refuse",
        "handler",
        "in_flight",
        "is_draining",
        "known",
        "limits",
        "loop",
    )

    def __init__(self, handler: Handler, limits: ServerLimits, refuse: Refuse) -> None:
        self.handler = handler
        self.limits = limits
        self.known = KnownHeads()
        self._refuse = refuse
        self.loop = asyncio.get_running_loop()
        self.in_flight = 0
        self.is_draining = False
        self._inbound: set[Inbound] = set()
        self._listener: asyncio.AbstractServer | None = None
        self._quiet = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._inbound)

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept on `sock`, which is bound; it is ours to close."""

        def accept() -> Inbound:
            return Inbound(self)

        if sock.family == socket.AF_UNIX:
            listening = self.loop.create_unix_server(accept, sock=sock, ssl=tls, backlog=_BACKLOG)
        else:
            # Inherited by accepted sockets; asyncio sets it only where it sees the protocol number.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening = self.loop.create_server(accept, sock=sock, ssl=tls, backlog=_BACKLOG)
        self._listener = await listening

    async def drain(self, grace_s: float) -> int:
        """Stop accepting, let what is in flight finish, then abort; how many were aborted.

        Idle connections are closed at once, busy ones after their reply, which says
        `connection: close`; what is not done after `grace_s` is cut off and cancelled.
        """
        self.is_draining = True
        if self._listener is not None:
            self._listener.close()
        for inbound in tuple(self._inbound):
            inbound.wind_down()
        await self._until_quiet(grace_s)
        aborted = self.in_flight
        for inbound in tuple(self._inbound):
            inbound.abort()
        await self._until_quiet(_CANCEL_S)
        return aborted

    async def _until_quiet(self, most_s: float) -> None:
        self._quiet.clear()
        if self._inbound or self.in_flight:
            try:
                async with asyncio.timeout(most_s):
                    await self._quiet.wait()
            except TimeoutError:
                return

    # What a connection tells and asks.

    def adopt(self, inbound: Inbound) -> bool:
        """A client connected; whether it is welcome."""
        self._inbound.add(inbound)
        return not self.is_draining

    def forget(self, inbound: Inbound) -> None:
        """A client's connection is gone."""
        self._inbound.discard(inbound)
        self._note_quiet()

    def finished(self) -> None:
        """A request is done with, in whichever way."""
        self.in_flight -= 1
        if self.is_draining:
            self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._inbound and not self.in_flight:
            self._quiet.set()

    def refuse(self, status: int, reason: str, target: str) -> Reply:
        """The caller's reply to a request that does not reach the handler; always whole."""
        reply = self._refuse(status, reason, target)
        if isinstance(reply.body, bytes):
            return reply
        return plain_refusal(status, reason, target)

    def failed(self, error: Exception, request: Request) -> Reply:
        """Report a handler's fault, and the reply that admits it."""
        self.report(error, request)
        return self.refuse(500, "the server failed to handle this request", request.target)

    def report(self, error: Exception, request: Request) -> None:
        """Tell the loop's exception handler, which logs."""
        message = f"handling {request.method} {request.path} failed"
        self.loop.call_exception_handler({"message": message, "exception": error})


async def serve(
    handler: Handler,
    sock: socket.socket,
    limits: ServerLimits = _NO_LIMITS_GIVEN,
    *,
    refuse: Refuse = plain_refusal,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Serve HTTP/1.1 on a bound TCP or unix socket until `drain` is awaited.

    `handler` runs as one task per request and is cancelled when its client goes away.
    """
    server = Server(handler, limits, refuse)
    await server.listen(sock, tls)
    return server
