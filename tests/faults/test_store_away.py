"""The store goes away under load: nothing is lost, memory stays flat, and health says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time

from running import children, rss_mb, running, send

from farthing.ledger import Ledger
from farthing.ledger.layout import Layout
from farthing.sim import INSTANT, SimSettings, Simulator
from farthing.wire import Client, Timeouts

AWAY_S = 10.0
GROWTH_MB_MAX = 16.0
BODY = json.dumps(
    {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
).encode()


class Load:
    def __init__(self):
        self.answered = 0
        self.stop = asyncio.Event()

    async def run(self, client, origin):
        while not self.stop.is_set():
            headers = {"content-type": "application/json"}
            status, _ = await send(client, origin, "/v1/chat/completions", headers, BODY)
            assert status == 200
            self.answered += 1


async def get(client, origin, path):
    response = await client.send(origin, "GET", path, [], b"", Timeouts())
    return json.loads(await response.read(1 << 20))


def memory(supervisor):
    return {
        module: sum(rss_mb(pid) for pid in children(supervisor, f"farthing.gateway.{module}"))
        for module in ("worker", "drainer")
    }


def test_a_store_that_is_locked_for_ten_seconds_loses_nothing_and_memory_stays_flat(tmp_path):
    async def scenario():
        load = Load()
        client = Client()
        async with (
            Simulator(SimSettings(pace=INSTANT)) as simulator,
            running(tmp_path, simulator.base_url, ledger="busy_timeout_ms = 100") as (up, origin),
        ):
            callers = [asyncio.create_task(load.run(client, origin)) for _ in range(8)]
            while load.answered < 3000:  # warm: the desk's short memory of entries is full
                await asyncio.sleep(0.05)
            before, served_before = memory(up.pid), load.answered
            store = Layout(tmp_path / "ledger").store
            with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                until = time.monotonic() + AWAY_S
                while time.monotonic() < until:
                    await asyncio.sleep(0.1)
                health = await get(client, origin, "/healthz")
                after, served_away = memory(up.pid), load.answered - served_before
                other.execute("ROLLBACK")
            load.stop.set()
            await asyncio.gather(*callers)
            client.close()
        return load.answered, served_away, health, before, after

    answered, served_away, health, before, after = asyncio.run(scenario())

    assert served_away > 1000  # it kept serving
    assert health["status"] == "degraded"
    assert health["store"] == "locked"
    assert health["spooled_bytes"] > 0
    for module, megabytes in after.items():
        assert megabytes - before[module] < GROWTH_MB_MAX, f"the {module} grew"
    with Ledger.open(tmp_path / "ledger") as ledger:
        assert ledger.report().calls == answered
