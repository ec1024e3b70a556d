"""A simulator in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from farthing.sim import INSTANT, SimSettings, Simulator

FIXED_CLOCK_S = 1_764_000_000


@contextmanager
def running_simulator(settings=None, recorded=None):
    """A started simulator; instant and with a fixed clock unless `settings` say otherwise."""
    settings = settings or SimSettings(pace=INSTANT, fixed_clock_s=FIXED_CLOCK_S)
    ready = threading.Event()
    held = {}

    async def run():
        held["stop"] = asyncio.Event()
        held["loop"] = asyncio.get_running_loop()
        async with Simulator(settings, recorded=recorded) as simulator:
            held["simulator"] = simulator
            ready.set()
            await held["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(10), "the simulator did not start"
    try:
        yield held["simulator"]
    finally:
        held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(10)
