"""The simulator on a socket: plays scripts through the wire's server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from farthing.clock import Clock, SystemClock
from farthing.sim.delivery import joined
from farthing.sim.engine import Engine
from farthing.sim.recorded import Recorded
from farthing.sim.script import Ending, Question, Script, Served
from farthing.sim.settings import SimSettings
from farthing.wire import Reply, Request, Server, ServerLimits, serve

__all__ = ["Simulator", "listen_tcp", "listen_unix"]

_US_PER_S: Final = 1_000_000
_FLUSH_S: Final = 0.002  # lets what was written reach the kernel before a connection is dropped
_YIELD_US: Final = 1  # a wait that only keeps pieces apart
_GRACE_S: Final = 1.0
_BACKLOG: Final = 4096
_MARGIN_BYTES: Final = 1024  # so that the provider's own 413 is reached before the wire's


class Simulator:
    """Providers on loopback. Use it as a context, or `start` and `stop` it.

    async with Simulator(SimSettings(pace=INSTANT)) as simulator:
        client = AsyncOpenAI(base_url=simulator.base_url + "/v1", api_key="sk-any")
    """

    def __init__(
        self,
        settings: SimSettings | None = None,
        *,
        recorded: Recorded | None = None,
        clock: Clock | None = None,
        sock: socket.socket | None = None,
    ) -> None:
        self._settings = settings or SimSettings()
        self._engine = Engine(self._settings, clock or SystemClock(), recorded or Recorded())
        self._sock = sock
        self._server: Server | None = None
        self.base_url = ""

    async def start(self) -> None:
        """Listen; `base_url` is known from then on."""
        sock = self._sock or listen_tcp("127.0.0.1", 0)
        if sock.family == socket.AF_UNIX:
            self.base_url = f"http+unix://{sock.getsockname()}"
        else:
            host, port = sock.getsockname()[:2]
            self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        most = self._settings.body_bytes_max + _MARGIN_BYTES
        self._server = await serve(self._handle, sock, ServerLimits(body_bytes_most=most))

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """Stop listening; answers still under way after `grace_s` seconds are cut off."""
        if self._server is not None:
            await self._server.drain(grace_s)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop(0)

    @property
    def log(self) -> list[Served]:
        """What was served, oldest first."""
        return self._engine.log

    def reset(self) -> None:
        """Forget the log, the counts and the prompt caches."""
        self._engine.reset()

    async def _handle(self, request: Request) -> Reply:
        path, _, query = request.target.partition("?")
        question = Question(
            method=request.method,
            path=path,
            query=query,
            headers=request.named,
            body=request.body,
        )
        script = self._engine.answer(question)
        if script.ending is Ending.UNANSWERED:
            script.served.is_complete = True
            raise asyncio.CancelledError  # the wire closes the connection without a word
        if script.is_streamed or len(script.steps) != 1 or script.ending is not Ending.CLEAN:
            return Reply(status=script.status, headers=script.headers, body=_play(script))
        step = script.steps[0]
        served = script.served
        if step.wait_us:
            try:
                await asyncio.sleep(step.wait_us / _US_PER_S)
            except asyncio.CancelledError:
                served.is_cancelled = True
                raise
        served.output_sent, served.bytes_sent = step.tokens, len(step.data)
        served.is_complete = True
        return Reply(status=script.status, headers=script.headers, body=step.data)


async def _play(script: Script) -> AsyncIterator[bytes]:
    """The steps in their time; events that are due at once leave together."""
    served = script.served
    is_played = False
    try:
        for step in joined(script.steps):
            if step.wait_us:
                await asyncio.sleep(step.wait_us / _US_PER_S if step.wait_us > _YIELD_US else 0)
            yield step.data
            served.output_sent += step.tokens
            served.bytes_sent += len(step.data)
        is_played = True
        if script.ending is Ending.DROPPED:
            await asyncio.sleep(_FLUSH_S)
            raise asyncio.CancelledError  # the wire drops the connection
    finally:
        served.is_complete = is_played
        served.is_cancelled = not is_played


def listen_tcp(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
    return sock


def listen_unix(path: Path) -> socket.socket:
    """A bound unix socket at `path`; a stale socket file is replaced."""
    if path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
    return sock
