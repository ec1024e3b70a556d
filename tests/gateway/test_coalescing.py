"""Identical calls in flight share one upstream call, each with an entry of its own."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER, request
from test_exact_cache import ASK, CHAT, DONE, PRICE, contents, stream_of

from farthing.gateway import VirtualKey
from farthing.ledger import CallStatus
from farthing.money import Money

ON = {"coalesce": {"mode": "on"}}


def json_bytes(document, status=200):
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def events_after(gate, *events):
    """A stream whose first event comes at once and the rest when the gate opens."""
    first, *rest = events
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    framed = [b"%x\r\n%b\r\n" % (len(e), e) for e in rest]
    return [head, b"%x\r\n%b\r\n" % (len(first), first), gate, *framed, b"0\r\n\r\n"]


async def in_flight(gateway, provider, calls):
    """Wait until so many calls run here and one of them at the provider."""
    async with asyncio.timeout(10):
        while gateway.wired.desk.running < calls or not provider.requests:
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)


def test_identical_calls_share_one_and_each_has_its_entry(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        calls = [asyncio.create_task(gateway.post(CHAT, ASK)) for _ in range(5)]
        await in_flight(gateway, provider, 5)
        gate.set()
        answers = await asyncio.gather(*calls)
        assert len(provider.requests) == 1
        assert all((status, json.loads(body)) == (200, CHAT_ANSWER) for status, _, body in answers)
        entries = await gateway.settled(5)
        leader, *others = sorted(entries, key=lambda entry: not entry.attempts)
        assert (leader.cost, leader.moves) == (PRICE, ())
        for entry in others:
            assert (entry.cost, entry.baseline, entry.attempts) == (Money(0), PRICE, ())
            assert [(m.lever, m.saved) for m in entry.moves] == [("coalesce", PRICE)]
            assert entry.detail == f"shared the answer to {leader.call_id}"
        shared = [headers for _, headers, _ in answers if "x-farthing-saved" in headers]
        assert len(shared) == 4
        assert {h["x-farthing-cache"] for h in shared} == {"miss; coalesced"}
        assert len({headers["x-farthing-call"] for _, headers, _ in answers}) == 5

    through(scenario, **ON)


def test_a_stream_is_handed_to_late_joiners_from_its_first_byte(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(*events_after(gate, *stream_of("Hel", "lo")))
        asked = ASK | {"stream": True}
        reader, writer = await gateway.connect()
        writer.write(request(CHAT, asked))
        early = await reader.readuntil(b"\n\n")
        late = asyncio.create_task(
            gateway.post(CHAT, asked | {"stream_options": {"include_usage": True}})
        )
        await in_flight(gateway, provider, 2)
        gate.set()
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        _, _, body = await late
        assert b'"role": "assistant"' in early
        assert contents(body) == "Hello"
        assert body.startswith(b"data: ")
        assert b'"usage": {"prompt_tokens"' in body
        assert b"usage" not in rest
        assert rest.count(DONE) == body.count(DONE) == 1
        assert len(provider.requests) == 1
        entries = await gateway.settled(2)
        assert sorted((e.cost, e.baseline) for e in entries) == [(Money(0), PRICE), (PRICE, PRICE)]

    through(scenario, **ON)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_when_the_leader_leaves_the_others_are_served_and_its_entry_bears_the_cost(
    through, is_streamed
):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        if is_streamed:
            provider.answers(*events_after(gate, *stream_of("Hi")))
        else:
            provider.answers(gate, json_bytes(CHAT_ANSWER))
        asked = ASK | {"stream": is_streamed}
        _, leader = await gateway.connect()
        leader.write(request(CHAT, asked))
        await in_flight(gateway, provider, 1)
        follower = asyncio.create_task(gateway.post(CHAT, asked))
        await in_flight(gateway, provider, 2)
        leader.close()
        await leader.wait_closed()
        for _ in range(50):
            await asyncio.sleep(0)
        gate.set()
        status, _, body = await follower
        assert status == 200
        assert body.endswith(DONE) if is_streamed else json.loads(body) == CHAT_ANSWER
        assert len(provider.requests) == 1
        entries = await gateway.settled(2)
        assert sorted((e.cost, e.baseline) for e in entries) == [(Money(0), PRICE), (PRICE, PRICE)]

    through(scenario, **ON)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_when_all_have_left_the_upstream_call_is_dropped(through, is_streamed):
    async def scenario(gateway, provider):
        never = asyncio.Event()
        if is_streamed:
            provider.answers(*events_after(never, *stream_of("Hi")))
        else:
            provider.answers(never)
        writers = []
        for count in (1, 2):
            _, writer = await gateway.connect()
            writer.write(request(CHAT, ASK | {"stream": is_streamed}))
            writers.append(writer)
            await in_flight(gateway, provider, count)
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            await provider.gone.wait()
        entries = await gateway.settled(2)
        assert {entry.status for entry in entries} == {CallStatus.CANCELLED}
        assert sum(len(entry.attempts) for entry in entries) == 1
        assert all(not entry.moves for entry in entries)

    through(scenario, **ON)


def test_when_the_leader_fails_the_others_go_by_themselves(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes({"error": {"message": "overloaded"}}, 503))
        provider.answers_json(CHAT_ANSWER)
        calls = [asyncio.create_task(gateway.post(CHAT, ASK)) for _ in range(3)]
        await in_flight(gateway, provider, 3)
        gate.set()
        statuses = sorted(status for status, _, _ in await asyncio.gather(*calls))
        assert statuses == [200, 200, 503]
        assert len(provider.requests) == 3

    through(scenario, retry={"retries_max": 0}, **ON)


def test_a_stream_that_breaks_off_breaks_for_all_and_saves_nobody_anything(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        *whole, _ = events_after(gate, *stream_of("Hi")[:3])
        provider.answers(*whole, provider.CLOSE)
        calls = [asyncio.create_task(gateway.post(CHAT, ASK | {"stream": True})) for _ in range(2)]
        await in_flight(gateway, provider, 2)
        gate.set()
        for _, _, body in await asyncio.gather(*calls):
            assert b"upstream_cut" in body
            assert DONE not in body
        entries = await gateway.settled(2)
        assert {entry.status for entry in entries} == {CallStatus.ERROR}
        assert all(not entry.moves for entry in entries)

    through(scenario, **ON)


@pytest.mark.parametrize(
    ("first", "second", "headers"),
    [
        (ASK | {"temperature": 0.9}, ASK | {"temperature": 0.9}, {}),
        (ASK, ASK | {"max_tokens": 5}, {}),
        (ASK, ASK, {"x-farthing-cache": "off"}),
        (ASK, ASK, {"cache-control": "no-cache"}),
    ],
    ids=["sampled", "another question", "off", "no-cache"],
)
def test_what_is_not_the_same_or_not_wanted_is_not_shared(through, first, second, headers):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        calls = [
            asyncio.create_task(gateway.post(CHAT, first)),
            asyncio.create_task(gateway.post(CHAT, second, headers)),
        ]
        async with asyncio.timeout(10):
            while len(provider.requests) < 2:
                await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*calls)

    through(scenario, **ON)


def test_sampled_calls_share_where_that_is_asked_for(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        asked = ASK | {"temperature": 1}
        calls = [asyncio.create_task(gateway.post(CHAT, asked)) for _ in range(2)]
        await in_flight(gateway, provider, 2)
        gate.set()
        await asyncio.gather(*calls)
        assert len(provider.requests) == 1

    through(scenario, coalesce={"mode": "on", "temperature_max": 1})


def test_two_tenants_never_share_a_call(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        calls = []
        for tenant in ("acme", "globex"):
            key, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant))
            headers = {"authorization": f"Bearer {key}"}
            calls.append(asyncio.create_task(gateway.post(CHAT, ASK, headers)))
        async with asyncio.timeout(10):
            while len(provider.requests) < 2:
                await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*calls)

    through(scenario, **ON)


def test_with_the_cache_on_too_followers_share_and_the_answer_is_stored_once(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(*events_after(gate, *stream_of("Hel", "lo")))
        asked = ASK | {"stream": True}
        calls = [
            asyncio.create_task(gateway.post(CHAT, asked, {"x-farthing-feature": "f"}))
            for _ in range(3)
        ]
        await in_flight(gateway, provider, 3)
        gate.set()
        for _, headers, body in await asyncio.gather(*calls):
            own = headers["x-farthing-call"].encode()
            assert contents(body) == "Hello"
            assert body.count(b"farthing call=") == body.count(b"farthing call=" + own) == 1
        _, headers, body = await gateway.post(CHAT, asked, {"x-farthing-feature": "f"})
        assert headers["x-farthing-cache"] == "hit-exact"
        assert contents(body) == "Hello"
        assert len(provider.requests) == 1

    through(scenario, cache={"mode": "on"}, **ON)


def test_what_a_leader_is_told_is_not_told_to_those_who_share(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        replies = []
        for _ in range(2):
            reader, writer = await gateway.connect()
            writer.write(request(CHAT, ASK))
            replies.append((reader, writer))
        await in_flight(gateway, provider, 2)
        gate.set()
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in replies]
        for _, writer in replies:
            writer.close()
        told = sorted(
            [line for line in head.lower().split(b"\r\n") if line.startswith(b"x-farthing-cache")]
            for head in heads
        )
        assert told == [[b"x-farthing-cache: miss"], [b"x-farthing-cache: miss; coalesced"]]

    through(scenario, cache={"mode": "on"}, **ON)
