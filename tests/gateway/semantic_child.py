"""A gateway with the semantic layer that asks itself questions until it is killed; see the test."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent))

from fakes import Gateway
from semantic_doubles import settled
from test_semantic_cache import FIRST, SERVING, told


async def main():
    """Arguments: the data folder, the port of a provider, and where the layer works."""
    provider = SimpleNamespace(port=int(sys.argv[2]))
    where = sys.argv[3] if len(sys.argv) > 3 else "thread"
    cache = SERVING["cache"]
    settings = cache | {"semantic": cache["semantic"] | {"runs_in": where}}
    async with Gateway(Path(sys.argv[1]), provider, cache=settings) as gateway:
        await settled(gateway)
        if where == "process":
            sys.stdout.write(f"{gateway.wired.caches.semantic.desk.carrier.pid}\n")
        await told(gateway, FIRST)
        sys.stdout.write("stored\n")
        sys.stdout.flush()
        for number in range(100_000):
            await told(gateway, f"Where is lamp {number} of shelf {number % 7}?")


asyncio.run(main())
