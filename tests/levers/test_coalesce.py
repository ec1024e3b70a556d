"""A stream for many listeners, without sockets."""

from __future__ import annotations

import asyncio

from farthing.levers.coalesce import Broadcast


def test_a_stream_that_was_dropped_takes_no_listener_while_it_still_ends():
    async def scenario():
        closing, may_close = asyncio.Event(), asyncio.Event()

        async def source():
            yield b"data: 1\n\n"
            try:
                await asyncio.Event().wait()
            finally:
                closing.set()
                await may_close.wait()

        broadcast = Broadcast(source())
        only = broadcast.listen()
        assert await anext(only) == b"data: 1\n\n"
        wanting = asyncio.create_task(anext(only, None))
        await asyncio.sleep(0)
        wanting.cancel()
        leaving = asyncio.create_task(only.aclose())
        await closing.wait()
        assert not broadcast.is_over
        assert not broadcast.is_joinable
        may_close.set()
        await leaving
        assert broadcast.is_over

    asyncio.run(scenario())
