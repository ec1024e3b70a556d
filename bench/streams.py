"""Streams in large number against a gateway on loopback, and what their clients saw of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

__all__ = ["Crowd", "Seen"]

_COST: Final = re.compile(rb"cost_usd=([0-9.]+)")
_PAUSE_S: Final = 0.05  # after `budget_busy` or a broken connection
_CLIENTS_S_MOST: Final = 300.0


@dataclass
class Seen:
    """What all clients of one run saw. `tokens` are those that reached them, one a piece."""

    whole: int = 0
    stopped: int = 0
    exceeded: int = 0
    busy: int = 0
    broken: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Crowd:
    """So many clients at once, each asking for stream after stream until it is told to stop.

    `may_ask` is asked before each stream and hears afterwards, through `heard`, what it cost:
    so a check that counts after the fact can be played. `ends_at` is a monotonic time; without
    it a client ends when a budget is exceeded.
    """

    port: int
    model: str
    headers: Mapping[str, str]
    clients: int
    random: Random
    may_ask: Callable[[], bool] = lambda: True
    heard: Callable[[float], None] = lambda _: None
    ends_at: float | None = None
    seen: Seen = field(default_factory=Seen)

    async def run(self) -> Seen:
        """Let all of them ask until each has ended."""
        began = time.monotonic()
        async with asyncio.timeout(_CLIENTS_S_MOST), asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(number))
        self.seen.seconds = time.monotonic() - began
        return self.seen

    async def _client(self, number: int) -> None:
        while self.may_ask() and (self.ends_at is None or time.monotonic() < self.ends_at):
            status, body = 0, b""
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                status, body = await self._stream(number)
            self.seen.tokens += body.count(b'"content":"') - body.count(b'"content":""')
            if status == 429:
                is_over = b'"code":"budget_exceeded"' in body
                self.seen.exceeded += is_over
                self.seen.busy += not is_over
                if is_over and self.ends_at is None:
                    return
                await asyncio.sleep(_PAUSE_S * (10 if is_over else 1))
            elif status == 200 and b"data: [DONE]" in body:
                is_stopped = b'"farthing":{' in body
                self.seen.stopped += is_stopped
                self.seen.whole += not is_stopped
                told = _COST.search(body)
                self.heard(float(told[1]) if told else 0.0)
            else:
                self.seen.broken += 1
                await asyncio.sleep(_PAUSE_S)

    async def _stream(self, number: int) -> tuple[int, bytes]:
        """One stream, of a length drawn for it: status, and all that came until it ended."""
        asked = [{"role": "user", "content": f"Client {number} asks for a long story."}]
        body = json.dumps({"model": self.model, "messages": asked, "stream": True}).encode()
        tokens = max(20, min(2000, round(self.random.lognormvariate(5.5, 0.8))))
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"x-sim-output-tokens: {tokens}", f"content-length: {len(body)}", "", ""]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join(lines).encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), await _rest(reader)
        finally:
            writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes, though the connection may break off."""
    parts: list[bytes] = []
    with contextlib.suppress(OSError):
        while part := await reader.read(65_536):
            parts.append(part)
    return b"".join(parts)
