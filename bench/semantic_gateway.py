"""What do hits take inside the gateway, and what do look-ups do to everybody else's calls?

    python bench/semantic_gateway.py          QUICK=1: fewer rounds

Each row is the time of `Engine.handle`: a request in memory, a reply in memory, a real journal and
cache file. The partition holds 10,000 questions; those that are not asked for are drawn vectors, as
a scan's time does not depend on what they say. `unrelated` are calls of a feature without the layer
to a provider on loopback, one after the other, while 40 look-ups a second run in shadow, or the
same calls without look-ups, on processors that are kept awake. Replies are checked. Ends with one
line of JSON; microseconds.
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

import numpy as np

from awake import Awake  # beside this one, like the next
from cache import provider, wired
from farthing.gateway import Wired
from farthing.levers.cache.semantic import SuppliedEmbedder
from farthing.levers.cache.semantic.shelf import Held
from farthing.wire import Request, new_event_loop
from machine import machine_facts

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 200 if QUICK else 1000
UNRELATED = 3000 if QUICK else 20_000
PARTITION = 10_000
TURNS = 10  # of the calls without and with look-ups, so that both see the same machine
DIMENSIONS = 384
A_SECOND = 40
MADE: list[int] = []
CHAT = "/v1/chat/completions"
THINGS = ["invoice", "contract", "calendar", "folder", "account", "ticket", "report", "backup"]


def supplied() -> SuppliedEmbedder:
    """Vectors at once: the numbers in a text decide, all other words do not."""
    made: dict[str, np.ndarray] = {}  # a vector that is supplied is there when it is asked for

    def drawn(digits: str) -> np.ndarray:
        if digits not in made:
            made[digits] = np.random.default_rng(int(digits)).normal(size=DIMENSIONS)
        return made[digits]

    def rows(texts: list[str]) -> np.ndarray:
        return np.array([drawn("".join(c for c in text if c.isdigit()) or "0") for text in texts])

    return SuppliedEmbedder(rows, identity="bench", dimensions=DIMENSIONS)


def request_for(text: str, feature: str, **more: object) -> Request:
    """One question."""
    messages = [{"role": "system", "content": "Be brief. " * 40}, {"role": "user", "content": text}]
    headers = [
        (b"host", b"x"),
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer sk-bench"),
        (b"x-farthing-feature", feature.encode()),
    ]
    return Request(
        method="POST",
        target=CHAT,
        headers=headers,
        body=json.dumps(
            {"model": "gpt-4o", "temperature": 0, "messages": messages} | more
        ).encode(),
        peer="127.0.0.1",
        is_kept_alive=True,
        is_http_10=False,
        named=dict(headers),
        memo={},
    )


def question(number: int, words: str = "How do I") -> str:
    """A question that no other is like: its number sets it apart."""
    return f"{words} print {THINGS[number % len(THINGS)]} {number}?"


def told(reply: object) -> str:
    """What a reply says of the cache."""
    return dict(reply.headers).get(b"x-farthing-cache", b"").decode()  # type: ignore[attr-defined]


def spread(times: list[float]) -> dict[str, float]:
    """Median, 95 and 99 of a hundred, in microseconds."""
    cuts = quantiles(times, n=100)
    return {
        "p50_us": round(median(times), 1),
        "p95_us": round(cuts[94], 1),
        "p99_us": round(cuts[98], 1),
        "rounds": len(times),
    }


async def drained(engine: Wired) -> None:
    """Wait until the layer has done what it was given."""
    assert engine.caches.semantic is not None
    assert engine.caches.answers is not None
    await engine.caches.semantic.after.settled()
    await engine.caches.semantic.desk.settled()
    engine.caches.answers.flush()
    engine.caches.semantic.desk.follow()
    await engine.caches.semantic.desk.settled()
    await engine.caches.semantic.desk.settled()


async def filled(folder: Path, port: int, embedder: str) -> Wired:
    """An engine that has answered ROUNDS questions, in a partition of 10,000."""
    semantic = {
        "mode": "serve",
        "embedder": embedder,
        "is_uncertified_allowed": True,
        "sampling": 1e-9,
        "wait_ms_max": 1000,
        "near_inserts_per_hour_max": 1_000_000,  # its questions are alike on purpose
        "features": {"quiet": {"mode": "off"}, "shadow": {"mode": "shadow"}},
    }
    engine = wired(folder, port, cache={"mode": "on", "semantic": semantic})
    engine.start()
    await drained(engine)
    for number in range(ROUNDS):
        reply = await engine.engine.handle(request_for(question(number), "help"))
        assert told(reply).startswith("miss"), told(reply)
    await drained(engine)
    assert engine.caches.semantic is not None
    shelf = engine.caches.semantic.desk.reader._shelf  # noqa: SLF001 - filled by hand
    (space,) = shelf._spaces  # noqa: SLF001
    draws = np.random.default_rng(10**9)
    for number in range(ROUNDS, PARTITION):
        row = draws.normal(size=DIMENSIONS).astype(np.float32)
        key = number.to_bytes(32, "big")
        held = Held(key, question(number), "", b"")
        shelf.add(space, held, row / np.linalg.norm(row))
    assert shelf.count(space) == PARTITION
    return engine


async def timed(engine: Wired, make: Callable[[int], Request], expected: str) -> dict[str, float]:
    """The times of ROUNDS calls; each reply is checked."""
    times: list[float] = []
    spent: list[float] = []
    for number in range(ROUNDS):
        request = make(number)
        cpu, begun = time.process_time_ns(), time.perf_counter_ns()
        reply = await engine.engine.handle(request)
        times.append((time.perf_counter_ns() - begun) / 1000)
        spent.append((time.process_time_ns() - cpu) / 1000)
        assert (reply.status, told(reply)) == (200, expected), (number, told(reply))
    return spread(times) | {"cpu_p50_us": round(median(spent), 1)}


async def unrelated(engine: Wired, *, is_embedding: bool) -> list[float]:
    """Calls of another feature, while others are looked up in shadow, or while nothing is."""
    feature = "shadow" if is_embedding else "quiet"
    is_over = asyncio.Event()
    made = len(MADE)

    async def others() -> None:
        nonlocal made
        while not is_over.is_set():
            made += 1
            MADE.append(made)
            text = f"Where is the {THINGS[made % 8]} of {made} that {is_embedding} asked for?"
            await engine.engine.handle(request_for(text, feature))
            await asyncio.sleep(1 / A_SECOND)

    beside = asyncio.create_task(others())
    times: list[float] = []
    for number in range(UNRELATED // TURNS):
        request = request_for(f"Write line {number}.", "quiet", temperature=1)
        begun = time.perf_counter_ns()
        reply = await engine.engine.handle(request)
        times.append((time.perf_counter_ns() - begun) / 1000)
        assert reply.status == 200
    is_over.set()
    await beside
    return times


async def measure(folder: Path) -> dict[str, dict[str, float]]:
    """All rows."""
    port = await provider()
    rows: dict[str, dict[str, float]] = {}
    for name, embedder in (("supplied", "semantic_gateway:supplied"), ("minilm", "minilm")):
        engine = await filled(folder / name, port, embedder)
        if name == "supplied":
            rows["hit-exact"] = await timed(
                engine, lambda n: request_for(question(n), "help"), "hit-exact"
            )
        like = [request_for(question(n, "How can I"), "help") for n in range(ROUNDS)]
        rows[f"hit-semantic, {name}"] = await timed(engine, like.__getitem__, "hit-semantic")
        await drained(engine)
        if name == "supplied":
            rows["hit-alias"] = await timed(engine, like.__getitem__, "hit-alias")
        else:
            without: list[float] = []
            awake = Awake(set(os.sched_getaffinity(0)))
            beside: list[float] = []
            with awake.during(is_wanted=True):
                for _ in range(TURNS):
                    without += await unrelated(engine, is_embedding=False)
                    beside += await unrelated(engine, is_embedding=True)
            awake.close()
            rows["unrelated, no look-ups"] = spread(without)
            rows["unrelated, 40 look-ups/s"] = spread(beside)
        await engine.close()
    return rows


def main() -> None:
    """Measure and print."""
    print("What do hits take inside the gateway, at 10,000 questions a partition?")
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=new_event_loop) as r:
        rows = r.run(measure(Path(folder)))
    print(f"{'':<32}{'p50 us':>10}{'p95 us':>10}{'p99 us':>10}{'rounds':>9}")
    for name, row in rows.items():
        told_ = f"{row['p50_us']:>10,.1f}{row['p95_us']:>10,.1f}{row['p99_us']:>10,.1f}"
        print(f"{name:<32}{told_}{row['rounds']:>9,}")
    print(
        json.dumps(
            {
                "bench": "semantic-gateway",
                "partition": PARTITION,
                "load_1m": os.getloadavg()[0],
                "machine": machine_facts(),
                "rows": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
