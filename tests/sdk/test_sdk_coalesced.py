"""The official Python SDKs read a whole answer shared with another's stream as one of their own."""

from __future__ import annotations

import asyncio

import pytest
from gateway_process import running_gateway
from scenarios import CHAT_MODEL, USER, Target
from sim_thread import FIXED_CLOCK_S, running_simulator
from test_sdk_cached import plain

from farthing.sim import Pace, SimSettings

SHARED = '[gateway]\nstream_cost = "never"\n[coalesce]\nmode = "on"\ntemperature_max = 2.0\n'
SLOW = Pace(first_byte_ms=50, first_byte_sigma=0, token_ms=15, token_sigma=0)


async def openai_call(target, *, is_streamed):
    async with target.openai_async() as client:
        asked = {"model": CHAT_MODEL, "messages": USER}
        if not is_streamed:
            return (await client.chat.completions.create(**asked)).model_dump(), None
        return await beside(target, await client.chat.completions.create(**asked, stream=True))


async def beside(target, stream):
    """What is streamed, and a whole answer asked for once its first event is here."""
    events, whole = [], None
    async for event in stream:
        events.append(event)
        if whole is None:
            whole = asyncio.create_task(openai_call(target, is_streamed=False))
            await asyncio.sleep(0)
    return events, (await whole)[0]


async def anthropic_call(target, *, is_streamed):
    asked = {"model": "claude-sonnet-5-5", "max_tokens": 400, "messages": USER}
    async with target.anthropic_async() as client:
        if not is_streamed:
            return (await client.messages.create(**asked)).model_dump(), None
        events, whole = [], None
        async for event in await client.messages.create(**asked, stream=True):
            events.append(event)
            if whole is None:
                whole = asyncio.create_task(anthropic_call(target, is_streamed=False))
                await asyncio.sleep(0)
        return events, (await whole)[0]


@pytest.mark.parametrize("call", [openai_call, anthropic_call], ids=["openai", "anthropic"])
def test_a_whole_answer_made_from_a_stream_reads_as_live(tmp_path, call):
    settings = SimSettings(pace=SLOW, fixed_clock_s=FIXED_CLOCK_S)
    with (
        running_simulator(settings) as behind,
        running_gateway(tmp_path, behind.base_url, extra=SHARED) as gateway,
    ):
        events, whole = asyncio.run(call(Target(gateway), is_streamed=True))
        assert len(behind.log) == 1
    assert len(events) > 5
    with running_simulator() as direct:
        live, _ = asyncio.run(call(Target(direct.base_url), is_streamed=False))
    assert plain(whole) == plain(live)
