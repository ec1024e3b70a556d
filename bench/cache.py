"""How much time a hit of the exact cache takes inside the gateway, and what the cache costs others.

    python bench/cache.py            QUICK=1: fewer rounds

Each row is the time of `Engine.handle`, from a request in memory to its reply: no sockets on the
client's side. `off`, `miss` and `bypass` reach a provider on loopback that answers at once, so only
their differences mean anything. Ends with one line of JSON; times in microseconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.gateway import KeyRing, Wired, wire_engine
from farthing.gateway.vitals import WorkerVitals
from farthing.ledger import Journal
from farthing.wire import Request, new_event_loop
from machine import machine_facts

ROUNDS = 300 if os.environ.get("QUICK") else 3000
FULL = 2000 if os.environ.get("QUICK") else 10_000  # entries in the cache while hits are timed
HEADERS = [
    (b"host", b"x"),
    (b"content-type", b"application/json"),
    (b"authorization", b"Bearer sk-bench"),
    (b"user-agent", b"bench"),
]
CLOCK = SystemClock()
LONG = {"seed": 200_000}  # asks the provider for an answer of 200 kB
LONG_MARK = b'"seed": 200000'


def answer_of(text: str) -> bytes:
    """A provider's whole answer, head and body."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [choice],
            "usage": {"prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800},
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def request_for(number: int, *, prompt_bytes: int = 2000, **more: object) -> Request:
    """A chat whose system prompt has so many bytes; equal numbers ask the same."""
    system = {"role": "system", "content": "Be brief. " * (prompt_bytes // 10)}
    user = {"role": "user", "content": f"Question number {number}?"}
    asked = {"model": "gpt-4o", "temperature": 0, "messages": [system, user]} | more
    return Request(
        method="POST",
        target="/v1/chat/completions",
        headers=HEADERS,
        body=json.dumps(asked).encode(),
        peer="127.0.0.1",
        is_kept_alive=True,
        is_http_10=False,
        named=dict(HEADERS),
        memo=MEMO,
    )


MEMO: dict[str, object] = {}


async def provider() -> int:
    """A provider that answers every request at once; its port."""
    short, long = (answer_of(text) for text in ("An answer. " * 120, "An answer. " * 18_180))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                writer.write(long if LONG_MARK in body else short)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]


def wired(folder: Path, port: int, **tables: object) -> Wired:
    """An engine of its own, with a real journal."""
    folder.mkdir(parents=True, exist_ok=True)
    config = load_config(
        {
            "ledger": {"data_dir": str(folder)},
            "providers": {
                "openai": {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-bench"}
            },
        }
        | tables,
        {},
    )
    journal = Journal.open(folder, "bench", settings=config.ledger)

    def vitals() -> WorkerVitals:
        return WorkerVitals(slot=0, pid=os.getpid(), at_us=CLOCK.now_us())

    MEMO.clear()
    return wire_engine(config, journal, CLOCK, {}, vitals, KeyRing(folder))


async def timed(engine: Wired, make: Callable[[int], Request], expected: str) -> dict[str, float]:
    """The times of many calls, after a warm-up; each reply is checked."""
    times: list[float] = []
    for number in range(ROUNDS + 50):
        request = make(number)
        begun = time.perf_counter_ns()
        reply = await engine.engine.handle(request)
        took = time.perf_counter_ns() - begun
        told = dict(reply.headers).get(b"x-farthing-cache", b"").decode()
        assert (reply.status, told) == (200, expected), (reply.status, told, expected)
        if number >= 50:
            times.append(took / 1000)
    return {
        "p50_us": round(median(times), 1),
        "p95_us": round(quantiles(times, n=20)[18], 1),
        "rounds": len(times),
    }


async def measure(folder: Path) -> dict[str, dict[str, float]]:
    """All rows."""
    port = await provider()
    rows: dict[str, dict[str, float]] = {}
    off = wired(folder / "off", port)
    rows["off"] = await timed(off, request_for, "")
    on = wired(folder / "on", port, cache={"mode": "on"})
    rows["miss, 2 kB prompt"] = await timed(on, request_for, "miss")
    rows["bypass (sampled)"] = await timed(
        on, lambda n: request_for(n, temperature=1), "bypass; sampled at temperature 1"
    )
    for number in range(FULL):
        await on.engine.handle(request_for(number))
    for name, more in (("hit, 2 kB prompt", {}), ("hit, streamed", {"stream": True})):
        rows[name] = await timed(on, lambda n, m=more: request_for(n % 500, **m), "hit-exact")
    for size in (20_000, 200_000):
        asked = request_for(1, prompt_bytes=size)
        await on.engine.handle(asked)
        rows[f"hit, {size // 1000} kB prompt"] = await timed(on, lambda _, a=asked: a, "hit-exact")
    # Equal requests of which no two are the same bytes: each is read.
    rows["hit, 200 kB prompt, other bytes"] = await timed(
        on, lambda n: request_for(1, prompt_bytes=200_000, user=f"u{n}"), "hit-exact"
    )
    for name, more in (("whole", {}), ("streamed", {"stream": True})):
        asked = request_for(1, **LONG, **more)
        await on.engine.handle(asked)
        rows[f"hit, 200 kB answer {name}"] = await timed(on, lambda _, a=asked: a, "hit-exact")
    both = wired(folder / "both", port, cache={"mode": "on"}, coalesce={"mode": "on"})
    rows["miss, with coalescing"] = await timed(both, request_for, "miss")
    rows["hit, with coalescing"] = await timed(both, lambda n: request_for(n % 50), "hit-exact")
    assert on.caches.answers is not None
    on.caches.answers.flush()
    bare = wired(folder / "on", port, cache={"mode": "on", "memory_bytes_max": 0})
    rows["hit, from disk"] = await timed(bare, lambda n: request_for(n % 500), "hit-exact")
    asked = request_for(1, **LONG)
    rows["hit, 200 kB answer from disk"] = await timed(bare, lambda _: asked, "hit-exact")
    for engine in (off, on, both, bare):
        await engine.close()
    return rows


def floors() -> dict[str, float]:
    """What the least that can be done with 200 kB takes: a median, in microseconds."""
    body = request_for(1, prompt_bytes=200_000).body
    key = AESGCM(bytes(32))
    sealed = key.encrypt(bytes(12), body, b"")
    acts: dict[str, Callable[[], object]] = {
        "SHA-256": lambda: hashlib.sha256(body).digest(),
        "reading as JSON": lambda: msgspec.json.decode(body),
        "AES-256-GCM": lambda: key.decrypt(bytes(12), sealed, b""),
    }
    found: dict[str, float] = {}
    for name, act in acts.items():
        times: list[float] = []
        for _ in range(ROUNDS):
            begun = time.perf_counter_ns()
            act()
            times.append((time.perf_counter_ns() - begun) / 1000)
        found[name] = round(median(times), 1)
    return found


def main() -> None:
    """Measure and print."""
    print("What does a hit of the exact cache take inside the gateway?")
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_event_loop) as r:
        rows = r.run(measure(Path(folder)))
    print(f"{'':<34}{'p50 us':>10}{'p95 us':>10}{'rounds':>10}")
    for name, row in rows.items():
        print(f"{name:<34}{row['p50_us']:>10,.1f}{row['p95_us']:>10,.1f}{row['rounds']:>10,}")
    floor = floors()
    print("The floor, 200 kB each: " + ", ".join(f"{n} {us:,.0f} us" for n, us in floor.items()))
    whole = {"bench": "cache", "entries": FULL, "machine": machine_facts()}
    print(json.dumps(whole | {"rows": rows, "floor_us": floor}))


if __name__ == "__main__":
    main()
