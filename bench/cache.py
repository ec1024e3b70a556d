"""How much time a hit of the exact cache takes inside the gateway, and what the cache costs others.

    python bench/cache.py            QUICK=1: fewer rounds

Each row is the time of `Engine.handle`, from a request in memory to its reply: no sockets on the
client's side. `off`, `miss` and `bypass` reach a provider on loopback that answers at once, so only
their differences mean anything. Ends with one line of JSON; times in microseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

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
ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "An answer. " * 120, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800},
}


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
    body = json.dumps(ANSWER).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    whole = head % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(whole)
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
    both = wired(folder / "both", port, cache={"mode": "on"}, coalesce={"mode": "on"})
    rows["miss, with coalescing"] = await timed(both, request_for, "miss")
    rows["hit, with coalescing"] = await timed(both, lambda n: request_for(n % 50), "hit-exact")
    assert on.caches.answers is not None
    on.caches.answers.flush()
    bare = wired(folder / "on", port, cache={"mode": "on", "memory_bytes_max": 0})
    rows["hit, from disk"] = await timed(bare, lambda n: request_for(n % 500), "hit-exact")
    for engine in (off, on, both, bare):
        await engine.close()
    return rows


def main() -> None:
    """Measure and print."""
    print("What does a hit of the exact cache take inside the gateway?")
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_event_loop) as r:
        rows = r.run(measure(Path(folder)))
    print(f"{'':<24}{'p50 us':>10}{'p95 us':>10}{'rounds':>10}")
    for name, row in rows.items():
        print(f"{name:<24}{row['p50_us']:>10,.1f}{row['p95_us']:>10,.1f}{row['rounds']:>10,}")
    print(json.dumps({"bench": "cache", "entries": FULL, "machine": machine_facts(), "rows": rows}))


if __name__ == "__main__":
    main()
