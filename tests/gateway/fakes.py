"""Stand-ins at the seams: a provider with scripted bytes, a journal in memory, a clock by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

from farthing.config import load_config
from farthing.gateway import KeyRing, wire_engine
from farthing.gateway.vitals import WorkerVitals
from farthing.wire import ServerLimits, serve

CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


class MemoryJournal:
    """Keeps what is written; the last word on each call is in `entries`."""

    def __init__(self, run=""):
        self.run = run  # empty: no leases
        self.intents = []
        self.entries = []
        self.cards = {}

    def intend(self, entry):
        self.intents.append(entry)

    def settle(self, entry):
        self.entries.append(entry)

    def note_card(self, card):
        self.cards[card.id] = card


class FakeProvider:
    """A real server on loopback that answers request after request with scripted bytes.

    A script is a list of bytes to send, events to wait for, and `CLOSE`.
    """

    CLOSE = object()

    def __init__(self):
        self.requests = []
        self.scripts = []
        self.gone = asyncio.Event()
        self._server = None
        self._open = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        async with asyncio.timeout(10):
            while self._open:
                await asyncio.sleep(0)

    def answers(self, *steps):
        self.scripts.append(list(steps))

    def answers_json(self, document, status=200, headers=()):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", *headers]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode()
        self.answers(head + body)

    def answers_events(self, *events, then=()):
        """A chunked event stream; `then` replaces the closing chunk."""
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self.answers(head, *(chunk(event) for event in events), *(then or (b"0\r\n\r\n",)))

    def script_for(self, body):
        """What a request is answered with: the next script; the last serves all that come."""
        del body
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    async def _serve(self, reader, writer):
        self._open += 1
        try:
            await self._play(reader, writer)
        finally:
            self.gone.set()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._open -= 1

    async def _play(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((lines[0], headers, body))
                for step in self.script_for(body):
                    if step is self.CLOSE:
                        return
                    if isinstance(step, asyncio.Event):
                        await self._wait(step, reader)
                    else:
                        writer.write(step)
                        await writer.drain()

    async def _wait(self, event, reader):
        """Wait for the event; notice meanwhile when the peer hangs up."""
        waiting = asyncio.ensure_future(event.wait())
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            waiting.cancel()
            raise ConnectionError("the peer hung up")
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Clock:
    """Real time by default; `ahead_us` moves it on."""

    def __init__(self):
        self.ahead_us = 0

    def now_us(self):
        return 1_790_000_000_000_000 + self.monotonic_us()

    def monotonic_us(self):
        import time

        return time.perf_counter_ns() // 1000 + self.ahead_us


class Gateway:
    """An engine in this process behind a real server, with its journal in memory."""

    def __init__(self, directory, provider, *, keyless=False, run="", **tables):
        url = f"http://127.0.0.1:{provider.port}"
        document = {
            "ledger": {"data_dir": str(directory)},
            "retry": {"backoff_s": 0.0},
            "providers": {
                "openai": {"base_url": f"{url}/v1", "api_key": "sk-upstream"},
                "anthropic": {"base_url": url, "api_key": "sk-ant-upstream"},
            },
        }
        if keyless:
            for settings in document["providers"].values():
                settings.pop("api_key")
        for name, table in tables.items():
            if isinstance(table, list):
                document[name] = table
            else:
                document.setdefault(name, {}).update(table)
        self.config = load_config(document, {})
        self.clock = Clock()
        self.journal = MemoryJournal(run)
        self.ring = KeyRing(directory)
        self.wired = wire_engine(
            self.config,
            self.journal,
            self.clock,
            {},
            lambda: WorkerVitals(slot=0, pid=1, at_us=self.clock.now_us()),
            self.ring,
        )

    async def __aenter__(self):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        engine = self.wired.engine
        self.wired.start()
        self.server = await serve(engine.handle, listener, ServerLimits(), refuse=engine.refuse)
        return self

    async def __aexit__(self, *exc):
        await self.server.drain(1)
        await self.wired.close()
        if self.wired.treasurer is not None:
            self.wired.treasurer.store.close()  # a test may have looked into it since

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def post(self, path, document, headers=None):
        """Send one request and read the whole answer: status, headers, body."""
        reader, writer = await self.connect()
        writer.write(request(path, document, headers))
        return await self._read(reader, writer)

    async def _read(self, reader, writer):
        answered = await asyncio.wait_for(answer(reader), 10)
        writer.close()
        await writer.wait_closed()
        return answered

    async def send(self, method, path, document=None, headers=None):
        """Any request; its host is loopback, unless a header says otherwise."""
        reader, writer = await self.connect()
        body = b"" if document is None else json.dumps(document).encode()
        named = {"host": f"127.0.0.1:{self.port}", "content-type": "application/json"}
        named |= {"content-length": str(len(body)), "connection": "close"} | (headers or {})
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        return await self._read(reader, writer)

    async def get(self, path, headers=None):
        reader, writer = await self.connect()
        lines = [f"GET {path} HTTP/1.1", "host: x", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        return await self._read(reader, writer)

    async def settled(self, count=1):
        """The entries, once there are `count` of them."""
        async with asyncio.timeout(10):
            while len(self.journal.entries) < count:
                await asyncio.sleep(0)
        return self.journal.entries


def request(path, document, headers=None):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    rest = await reader.read()
    if headers.get("transfer-encoding") == "chunked":
        rest = dechunked(rest)
    return int(lines[0].split()[1]), headers, rest


def dechunked(data):
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body
        body, data = body + data[:length], data[length + 2 :]
    raise AssertionError("the chunked body breaks off")
