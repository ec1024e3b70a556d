"""kill -9 under load: what was dispatched is in the ledger, once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter

from running import children, running, send

from farthing.ledger import CallStatus, Ledger
from farthing.sim import Pace, SimSettings, Simulator
from farthing.wire import Client, WireError

KILLS = 50
LOAD = 24  # callers at a time
PACE = Pace(first_byte_ms=15, first_byte_sigma=0.5, token_ms=0.2, token_sigma=0.3)
WORKER = "farthing.gateway.worker"


class Load:
    """Callers that send one numbered call after another until told to stop."""

    def __init__(self):
        self.sent = 0
        self.answered = set()
        self.stop = asyncio.Event()

    async def run(self, client, origin):
        await asyncio.gather(*(self._caller(client, origin) for _ in range(LOAD)))

    async def _caller(self, client, origin):
        while not self.stop.is_set():
            number = self.sent = self.sent + 1
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
            headers = {
                "content-type": "application/json",
                "x-farthing-session": str(number),
                "x-sim-output-tokens": str(number),  # how the simulator's log knows it again
            }
            if number % 3 == 0:
                body["stream"] = True
            with contextlib.suppress(WireError):
                status, got = await send(
                    client, origin, "/v1/chat/completions", headers, json.dumps(body).encode()
                )
                if status == 200 and (number % 3 or b"[DONE]" in got):
                    self.answered.add(number)


async def kill_workers(supervisor, seed):
    """Kill a random worker at random instants, KILLS times."""
    chance = random.Random(seed)
    killed = 0
    while killed < KILLS:
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        for pid in chance.sample(living := children(supervisor, WORKER), min(1, len(living))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1


def test_every_dispatched_call_is_in_the_ledger_once_after_50_kills_under_load(tmp_path):
    async def scenario():
        load = Load()
        async with Simulator(SimSettings(pace=PACE)) as simulator:
            async with running(tmp_path, simulator.base_url, workers=2) as (process, origin):
                client = Client()
                loading = asyncio.create_task(load.run(client, origin))
                await kill_workers(process.pid, seed=1)
                await asyncio.sleep(0.3)
                load.stop.set()
                await loading
                client.close()
            return load, [served.usage.output for served in simulator.log]

    load, reached = asyncio.run(scenario())
    with Ledger.open(tmp_path / "ledger") as ledger:
        entries = list(ledger.entries())
    numbers = Counter(int(entry.attribution.session) for entry in entries)
    interrupted = [e for e in entries if e.status is CallStatus.INTERRUPTED]
    fine = {int(e.attribution.session) for e in entries if e.status is CallStatus.OK}

    assert len(load.answered) > 100
    assert len(interrupted) > 20  # the kills did strike calls in flight
    assert max(numbers.values()) == 1, "a call is in the ledger twice"
    assert set(reached) <= numbers.keys(), "a call reached the provider and is not in the ledger"
    assert load.answered <= fine, "a caller has its answer and the ledger says otherwise"
    for entry in interrupted:
        (attempt,) = entry.attempts
        assert attempt.usage.is_estimated
        assert attempt.cost.nanodollars > 0
