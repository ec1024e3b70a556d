"""What do hits take inside the gateway, and what do look-ups do to everybody else's calls?

    python bench/semantic_gateway.py          QUICK=1: fewer rounds

Each row is the time of `Engine.handle`: a request in memory, a reply in memory, a real journal and
cache file. The partition holds 10,000 questions; those that are not asked for are drawn vectors, as
a scan's time does not depend on what they say. Questions are looked up in a process beside the
gateway or, for comparison, in a thread of it (`cache.semantic.runs_in`).

`unrelated` are calls of a feature without the layer to a provider on loopback, one after the other,
in turns: while nothing is looked up (the same 40 other calls a second come in); while these are
looked up in shadow, by a process or a thread; and while a process that has nothing to do with the
gateway spins as long as look-ups take: what that does to the calls, no design can avoid. Processors
are kept awake. Replies are checked. Ends with one line of JSON; microseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import msgspec
import numpy as np

from awake import Awake  # beside this one, like the next
from cache import provider, wired
from farthing.gateway import Wired
from farthing.levers.cache import SqliteAnswers, Vault, cache_file
from farthing.levers.cache.seal import Sealer
from farthing.levers.cache.semantic import SuppliedEmbedder
from farthing.levers.cache.semantic.shelf import QUESTION_PLACE, Question, packed
from farthing.levers.cache.semantic_extra import embedder_of
from farthing.levers.cache.semantic_tables import QuestionRow, SemanticTables
from farthing.levers.cache.store import Kept
from farthing.wire import Request, new_event_loop
from machine import machine_facts

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 200 if QUICK else 1000
UNRELATED = 3000 if QUICK else 20_000
PARTITION = 10_000
TURNS = 10  # of the calls without and with look-ups, so that both see the same machine
DIMENSIONS = 384
A_SECOND = 40
STRANGER = f"""
import os, time
os.setpriority(os.PRIO_PROCESS, 0, 10)
while True:
    end = time.perf_counter() + 0.007
    while time.perf_counter() < end:
        pass
    time.sleep(1 / {A_SECOND})
"""  # about what a look-up takes, as often, giving way as the process of the look-ups does
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


async def filled(folder: Path, port: int, embedder: str, runs_in: str) -> Wired:
    """An engine that has answered ROUNDS questions, in a partition of 10,000."""
    semantic = {
        "mode": "serve",
        "embedder": embedder,
        "runs_in": runs_in,
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
    identity, _ = embedder_of(embedder)
    await asyncio.to_thread(add_drawn, folder, identity)
    for _ in range(1 + PARTITION // 2_000):  # so many are read at a time
        await drained(engine)
    if embedder != "minilm":  # all are at hand: the last is found, and has no answer
        reply = await engine.engine.handle(
            request_for(question(PARTITION - 1, "How can I"), "help")
        )
        assert told(reply) == "miss; semantic=gone", told(reply)
    return engine


def add_drawn(folder: Path, identity: str) -> None:
    """Store further questions, up to 10,000, as another worker would; their answers are empty."""
    answers = SqliteAnswers(cache_file(folder))
    tables, sealer, now_us = SemanticTables(answers), Sealer(), time.time_ns() // 1000
    ((space, tenant, _),) = tables.spaces(identity)
    (keys,) = Vault(folder / "cache-keys").tenants()
    assert keys.tenant_mark == tenant
    embedder = supplied()
    for first in range(ROUNDS, PARTITION, 500):  # in pieces, for others write meanwhile
        with answers.transaction():
            for number in range(first, min(first + 500, PARTITION)):
                key, text = number.to_bytes(32, "big"), question(number)
                (vector,) = embedder.embed([text])
                said = Question(text=text, vector=packed(vector), writer="", answer=b"-")
                place = QUESTION_PLACE + key
                sealed = sealer.seal(keys.payload_key, msgspec.msgpack.encode(said), place)
                kept = Kept(
                    key=key,
                    plain_key=b"",
                    tenant=tenant,
                    feature="help",
                    started_us=now_us,
                    created_us=now_us,
                    expires_us=now_us + 10**12,
                    payload=b"",
                    marks=[],
                )
                answers.keep(kept)
                row = QuestionRow(0, key, tenant, space, sealed)
                tables.keep_question(row, identity)
    answers.close()


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


async def unrelated(engine: Wired, feature: str) -> list[float]:
    """Calls without the layer, while 40 others a second of a feature come in."""
    is_over = asyncio.Event()

    async def others() -> None:
        while not is_over.is_set():
            number = len(MADE)
            MADE.append(number)
            text = f"Where is the {THINGS[number % 8]} of {number} that {feature} asked for?"
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


def started() -> subprocess.Popen[bytes]:
    """The process that has nothing to do with the gateway, stopped for now."""
    stranger = subprocess.Popen([sys.executable, "-c", STRANGER])
    stranger.send_signal(signal.SIGSTOP)
    return stranger


async def beside(engines: dict[str, Wired]) -> dict[str, dict[str, float]]:
    """What look-ups, and what as much work of a stranger's, do to unrelated calls; in turns."""
    times: dict[str, list[float]] = defaultdict(list)
    awake = Awake(set(os.sched_getaffinity(0)))
    stranger = started()
    process, thread = engines["process"], engines["thread"]
    with awake.during(is_wanted=True):
        for _ in range(TURNS):
            times["unrelated, no look-ups"] += await unrelated(process, "quiet")
            stranger.send_signal(signal.SIGCONT)
            times["unrelated, a stranger works"] += await unrelated(process, "quiet")
            stranger.send_signal(signal.SIGSTOP)
            times["unrelated, look-ups, process"] += await unrelated(process, "shadow")
            times["unrelated, look-ups, thread"] += await unrelated(thread, "shadow")
    awake.close()
    stranger.kill()
    stranger.wait()
    return {name: spread(found) for name, found in times.items()}


async def hits(engine: Wired, name: str) -> dict[str, dict[str, float]]:
    """What hits take."""
    rows: dict[str, dict[str, float]] = {}
    if name == "supplied, process":
        rows["hit-exact"] = await timed(
            engine, lambda n: request_for(question(n), "help"), "hit-exact"
        )
    like = [request_for(question(n, "How can I"), "help") for n in range(ROUNDS)]
    rows[f"hit-semantic, {name}"] = await timed(engine, like.__getitem__, "hit-semantic")
    await drained(engine)
    if name == "supplied, process":
        rows["hit-alias"] = await timed(engine, like.__getitem__, "hit-alias")
    return rows


async def measure(folder: Path) -> dict[str, dict[str, float]]:
    """All rows."""
    port = await provider()
    rows: dict[str, dict[str, float]] = {}
    for embedder in ("semantic_gateway:supplied", "minilm"):
        engines: dict[str, Wired] = {}
        for runs_in in ("process", "thread"):
            name = f"{embedder.partition(':')[2] or embedder}, {runs_in}"
            engines[runs_in] = await filled(folder / name, port, embedder, runs_in)
            rows |= await hits(engines[runs_in], name)
        if embedder == "minilm":
            rows |= await beside(engines)
        for engine in engines.values():
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
