"""upstream.c and load.c in Python, for machines without a C compiler: same arguments, same output.

    stand_in.py upstream PORT ANSWER EVENT TAIL
    stand_in.py load PORT REQUEST CONNECTIONS SECONDS REQUESTS LENGTH EVENTS POLL NEEDLE

What each argument means is told in the two C files. These are some ten times slower, and
never poll.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STREAM = re.compile(rb'"stream": ?true')
_STAMP = re.compile(rb"stamp=(\d{19})")
_SET = re.compile(rb"GET /bench/set\?delay_us=(\d+)&pace_us=(\d+)&chunks=(\d+)")
_SERIAL = b"@" * 12
_DRAIN_S = 90.0
_FAILURES_MOST = 100

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """A message's head, and how long its body is; -1 where it comes in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    is_chunked = re.search(rb"(?i)\ntransfer-encoding: *chunked", head)
    return head, -1 if is_chunked else int(length[1]) if length else 0


@dataclass
class Provider:
    """Answers every POST as it is set to."""

    answer: bytes
    event: bytes
    tail: bytes
    delay_us: int = 0
    pace_us: int = 0
    chunks: int = 100
    requests: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is closed."""
        try:
            while True:
                head, length = await _message(reader)
                body = await reader.readexactly(length)
                if head.startswith(b"POST"):
                    await self._post(body, writer)
                else:
                    self._control(head, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _post(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        phase = self.requests % 64 + 1  # phases differ, or all streams would speak at once
        await asyncio.sleep(self.delay_us / 1e6)
        if not _STREAM.search(body[:512] + body[-512:]):
            self._json(writer, self.answer)
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for index in range(self.chunks):
            stamp = b"stamp=%019d" % time.monotonic_ns()
            self._chunk(writer, _STAMP.sub(stamp, self.event))
            if self.pace_us:
                await writer.drain()
                await asyncio.sleep(self.pace_us / 1e6 * (1 if index else phase / 64))
        for event in self.tail.removesuffix(b"\n\n").split(b"\n\n"):
            self._chunk(writer, event + b"\n\n")
        writer.write(b"0\r\n\r\n")

    def _control(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if found := _SET.match(head):
            self.delay_us, self.pace_us, self.chunks = map(int, found.groups())
            self.requests = 0
        self._json(writer, json.dumps({"requests": self.requests}).encode())

    @staticmethod
    def _json(writer: asyncio.StreamWriter, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)

    @staticmethod
    def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))


@dataclass
class Load:
    """Closed-loop load on one port."""

    port: int
    request: bytes
    seconds: float
    requests: int
    length: int
    events: int
    needle: bytes
    sent: int = 0
    failures: int = 0
    first_failure: str = ""
    latencies: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)

    async def run(self, connections: int) -> dict[str, Any]:
        """Open the connections, wait for the word, run; gives the report."""
        pairs = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(connections)]
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        begin = time.monotonic_ns()
        end = begin + int(self.seconds * 1e9)
        tasks = [asyncio.create_task(self._repeat(pair, end)) for pair in pairs]
        _, late = await asyncio.wait(tasks, timeout=self.seconds + _DRAIN_S)
        return {
            "sent": self.sent,
            "completed": len(self.latencies),
            "failures": self.failures + len(late),
            "first_failure": self.first_failure,
            "reconnects": 0,
            "elapsed_ns": time.monotonic_ns() - begin,
            "latency_ns": _shares(self.latencies),
            "first_event_ns": _shares(self.firsts),
            "event_delay_ns": _shares(self.delays),
        }

    async def _repeat(self, pair: Streams, end_ns: int) -> None:
        while time.monotonic_ns() < end_ns and not (self.requests and self.sent >= self.requests):
            self.sent += 1
            try:
                await self._ask(pair)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._fail(f"connection lost: {type(error).__name__}")
                return
            if self.failures > _FAILURES_MOST:
                return

    async def _ask(self, pair: Streams) -> None:
        reader, writer = pair
        start = time.monotonic_ns()
        writer.write(self.request.replace(_SERIAL, b"%012d" % self.sent, 1))
        head, length = await _message(reader)
        body = await (self._chunks(reader, start) if length < 0 else reader.readexactly(length))
        self.latencies.append(time.monotonic_ns() - start)
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(f"not a 200: {head[:40]!r}")
        elif self.length and len(body) != self.length:
            self._fail("wrong body length")
        elif len(_STAMP.findall(body)) != self.events:
            self._fail("wrong number of events")
        elif self.needle not in body:
            self._fail("answer lacks what it must hold")

    async def _chunks(self, reader: asyncio.StreamReader, start_ns: int) -> bytes:
        parts: list[bytes] = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            part = (await reader.readexactly(size + 2))[:-2]
            now = time.monotonic_ns()
            for stamp in _STAMP.findall(part) if self.events else ():
                self.delays.append(now - int(stamp))
                if not any(_STAMP.search(before) for before in parts[:1]):
                    self.firsts.append(now - start_ns)
            parts.append(part)
        await reader.readexactly(2)
        return b"".join(parts)

    def _fail(self, why: str) -> None:
        self.failures += 1
        self.first_failure = self.first_failure or why


def _shares(samples: list[int]) -> dict[str, int]:
    ordered, names = sorted(samples), {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1}
    last = len(ordered) - 1
    ranks = {
        name: ordered[min(last, int(s * len(ordered)))] for name, s in names.items() if ordered
    }
    return {"n": len(ordered), **ranks}


async def _upstream(port: int, provider: Provider) -> None:
    server = await asyncio.start_server(
        provider.serve, "127.0.0.1", port, backlog=4096, limit=2**23
    )
    await server.serve_forever()


async def _load(load: Load, connections: int) -> None:
    print(json.dumps(await load.run(connections)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(part: str, port: str, *rest: str) -> None:
    """Be the one or the other, until stopped or done."""
    if part == "upstream":
        answer, event, tail = (Path(file).read_bytes() for file in rest)
        asyncio.run(_upstream(int(port), Provider(answer, event, tail)))
        return
    path, connections, seconds, *numbers, needle = rest
    requests, length, events = map(int, numbers[:3])
    request = Path(path).read_bytes()
    load = Load(int(port), request, float(seconds), requests, length, events, needle.encode())
    asyncio.run(_load(load, int(connections)))


if __name__ == "__main__":
    main(*sys.argv[1:])
