"""Routing over several workers of one gateway: pins at once, caps and charts within a second."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sqlite3

import pytest
from fakes import Gateway
from hypothesis import given
from hypothesis import strategies as st
from served_policies import (
    CHEAP,
    OTHER,
    PRICE,
    SPLIT,
    STRONG,
    VOTE,
    RecordedProvider,
    ask,
    file_policy,
    policy,
    pool,
)

from farthing.gateway.route_news import News, Tally
from farthing.gateway.route_pins import Pin, Pins, SharedPins, shared_pins
from farthing.levers.routing.drift import Chart
from farthing.levers.routing.serving import read_choice

CHAT = "/v1/chat/completions"
TOOL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def loop(steps):
    messages = [{"role": "user", "content": "question 2"}]
    for _ in range(steps):
        messages.append({"role": "assistant", "content": None, "tool_calls": [TOOL]})
        messages.append({"role": "tool", "tool_call_id": "c1", "content": "done"})
    return {"model": "farthing/auto:easy", "messages": messages}


@pytest.fixture
def workers(tmp_path):
    """Run a scenario against two gateways over one data folder, as two workers are."""

    def run(scenario, made, settings=None, count=2):
        file_policy(tmp_path, made)

        async def whole():
            async with contextlib.AsyncExitStack() as stack:
                provider = await stack.enter_async_context(RecordedProvider(tmp_path, rows=[SPLIT]))
                both = [
                    await stack.enter_async_context(
                        Gateway(
                            tmp_path,
                            provider,
                            routing={"pools": {"auto": settings or pool()}},
                            gateway={"workers": count},
                            price=PRICE,
                        )
                    )
                    for _ in range(2)
                ]
                for gateway in both:  # each has begun to listen
                    await gateway.wired.routes.look()
                async with asyncio.timeout(60):
                    await scenario(*both, provider)

        asyncio.run(whole())

    return run


async def told(*gateways):
    """What happens once a second."""
    for _ in range(2):
        for gateway in gateways:
            await gateway.wired.routes.look()


async def reason_of(gateway):
    entries = await gateway.settled()
    return read_choice(entries[-1].detail).reason


def test_a_tool_loop_stays_with_its_model_at_another_worker_at_once(workers):
    async def scenario(one, other, provider):
        await one.post(CHAT, loop(0))
        assert provider.asked[-1] == STRONG  # the voters differ
        count = len(provider.asked)
        _, headers, _ = await other.post(CHAT, loop(1))
        assert provider.asked[count:] == [STRONG]
        assert "arm=pinned" in headers["x-farthing-route"]
        _, headers, _ = await one.post(CHAT, loop(2))
        assert "arm=pinned" in headers["x-farthing-route"]

    workers(scenario, policy(VOTE))


def test_a_key_s_escalations_at_one_worker_cap_it_at_the_other(workers):
    async def scenario(one, other, provider):
        for _ in range(30):
            await one.post(CHAT, ask("question 2"))
            await other.post(CHAT, ask("question 2"))
        count = len(provider.asked)
        await told(one, other)
        await other.post(CHAT, ask("question 2"))
        assert provider.asked[count:] == [STRONG]
        assert "over its cap" in await reason_of(other)

    workers(scenario, policy(VOTE), pool(escalation_share_max=0.5))


def test_a_drift_that_neither_worker_would_see_alone_stops_the_policy_at_both(workers):
    async def scenario(one, other, provider):
        for _ in range(5):
            await one.post(CHAT, ask("question 2"))
            await other.post(CHAT, ask("question 2"))
        assert set(provider.asked[-3:]) == {CHEAP, OTHER, STRONG}
        await told(one, other)
        for gateway in (one, other):
            count = len(provider.asked)
            await gateway.post(CHAT, ask("question 2"))
            assert provider.asked[count:] == [STRONG]
            assert (await reason_of(gateway)).startswith("drift: escalations of easy have risen")

    workers(scenario, policy(VOTE, expected={"easy": (1000, 10)}))


def test_five_escalations_at_one_worker_alone_stop_nothing(workers):
    async def scenario(one, other, provider):
        for _ in range(5):
            await one.post(CHAT, ask("question 2"))
        await told(one, other)
        count = len(provider.asked)
        await other.post(CHAT, ask("question 2"))
        assert len(provider.asked[count:]) == 3

    workers(scenario, policy(VOTE, expected={"easy": (1000, 10)}))


def test_a_file_that_can_t_be_used_costs_no_call(workers, tmp_path):
    (tmp_path / "routing").mkdir()
    (tmp_path / "routing" / "news.sqlite").write_text("no database")
    (tmp_path / "routing" / "pins.map").mkdir()

    async def scenario(one, other, provider):
        status, _, _ = await one.post(CHAT, loop(0))
        await told(one, other)
        _, headers, _ = await other.post(CHAT, loop(1))
        assert status == 200
        assert "a tool loop goes on that began elsewhere" in headers["x-farthing-route"]

    workers(scenario, policy(VOTE))


def test_a_worker_alone_makes_no_files(workers, tmp_path):
    async def scenario(one, other, provider):
        await one.post(CHAT, loop(0))
        await told(one, other)
        assert {path.name for path in (tmp_path / "routing").iterdir()} == {"auto", "trail.jsonl"}

    workers(scenario, policy(VOTE), count=1)


def test_news_are_heard_once_by_all_others_and_kept_a_minute(tmp_path):
    one, two, three = (News(tmp_path) for _ in range(3))
    for news in (one, two, three):
        assert news.swap({}, 0) == []
    tally = Tally()
    tally.vote("key", escalated=True)
    tally.call("mark", "easy", escalated=None)
    assert one.swap({"auto": tally}, 1_000_000) == []
    assert two.swap({}, 1_000_000) == [{"auto": tally}] == three.swap({}, 2_000_000)
    assert two.swap({}, 2_000_000) == []
    late = News(tmp_path)
    assert late.swap({}, 2_000_000) == []  # what was told before it began
    two.swap({"auto": tally}, 100_000_000)
    with sqlite3.connect(tmp_path / "news.sqlite") as database:
        assert database.execute("SELECT count(*) FROM news").fetchone() == (1,)
    for news in (one, two, three, late):
        news.close()


def test_a_torn_pin_and_one_of_before_a_restart_count_as_none(tmp_path):
    shared = SharedPins(tmp_path / "pins.map")
    pins, others = (Pins("auto", ["a", "b"], 900, shared) for _ in range(2))
    pins.put(("t", "loop"), Pin("b", 1_000_000, 77))
    assert others.get(("t", "loop"), 2_000_000) == Pin("b", 1_000_000, 77)
    assert others.get(("t", "loop"), 902_000_000) is None  # too long ago
    assert others.get(("t", "loop"), 500_000) is None  # the machine's clock began anew
    assert Pins("other", ["a", "b"], 900, shared).get(("t", "loop"), 2_000_000) is None
    raw = (tmp_path / "pins.map").read_bytes()
    at = next(place for place, byte in enumerate(raw) if byte)
    (tmp_path / "pins.map").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    fresh = Pins("auto", ["a", "b"], 900, SharedPins(tmp_path / "pins.map"))
    assert fresh.get(("t", "loop"), 2_000_000) is None


def test_the_table_takes_its_room_on_the_disk_at_once_or_is_not_shared(tmp_path):
    """Writing to a mapped page that a full disk has no room for would end the worker."""
    SharedPins(tmp_path / "pins.map")
    assert (tmp_path / "pins.map").stat().st_size > 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        assert shared_pins(tmp_path / "full") is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=30),
    st.integers(0, 200),
    st.randoms(use_true_random=False),
)
def test_sums_never_alarm_before_the_calls_one_by_one_would(batches, hits, random):
    single, summed = (Chart(hits, 200, calls=1000) for _ in range(2))
    for hit, miss in batches:
        calls = [True] * hit + [False] * miss
        random.shuffle(calls)
        alarmed = [single.add(is_hit=one) for one in calls]
        if summed.add_many(hit, hit + miss):
            assert any(alarmed) or single.add_many(0, 0)
            return
        if any(alarmed):
            return


def test_sums_see_a_drift(tmp_path):
    chart = Chart(10, 1000, calls=1_000_000)
    assert chart.add_many(0, 500) == ""
    assert chart.add_many(60, 200) == "risen"
