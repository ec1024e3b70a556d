"""Streams on their way: event by event, byte for byte, and honest about how they end."""

from __future__ import annotations

import asyncio
import json
import zlib

import pytest
from fakes import CHAT_ANSWER, FakeProvider, chunk, request

from farthing.call import AttemptStatus
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
METERED = ASK | {"stream_options": {"include_usage": True}}
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 99, "stream": True, "messages": []}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def event(document, name=b""):
    return (b"event: " + name + b"\n" if name else b"") + b"data: " + encoded(document) + b"\n\n"


def encoded(document):
    return json.dumps(document, separators=(",", ":")).encode()


def delta(**content):
    choice = {"index": 0, "delta": content, "finish_reason": None}
    return event({"id": "c", "model": "gpt-4o-2024-08-06", "choices": [choice]})


def usage():
    return event({"id": "c", "model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE})


def tool_delta(arguments, index=0):
    return delta(tool_calls=[{"index": index, "function": {"arguments": arguments}}])


START = event(
    {
        "type": "message_start",
        "message": {"id": "m", "model": "claude-sonnet-4-5", "usage": {"input_tokens": 9}},
    },
    b"message_start",
)
CLAUDE_EVENTS = [
    START,
    event({"type": "ping"}, b"ping"),
    event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        b"content_block_delta",
    ),
    event(
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"a'},
        },
        b"content_block_delta",
    ),
]
CHAT_EVENTS = [
    delta(role="assistant", content=""),
    b": ping\n\n",
    delta(content="Hé"),
    tool_delta('{"city":'),
    tool_delta('"Zürich"}', index=1),
    delta(reasoning_content="hm"),
]


@pytest.mark.parametrize(
    ("path", "ask", "events"),
    [(CHAT, ASK, CHAT_EVENTS), (CHAT, METERED, CHAT_EVENTS), (MESSAGES, CLAUDE, CLAUDE_EVENTS)],
    ids=["chat, usage hidden", "chat", "messages"],
)
def test_each_event_reaches_the_client_before_the_next_is_sent(through, path, ask, events):
    async def scenario(gateway, provider):
        gates = [asyncio.Event() for _ in events]
        steps = [HEAD + b"transfer-encoding: chunked\r\n\r\n"]
        for one, gate in zip(events, gates, strict=True):
            steps += [chunk(one), gate]
        provider.answers(*steps, FakeProvider.CLOSE)
        reader, writer = await gateway.connect()
        writer.write(request(path, ask))
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
        assert "content-type: text/event-stream" in head
        for one, gate in zip(events, gates, strict=True):
            got = await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 10)
            assert got == chunk(one)
            gate.set()  # only now may the provider go on
        await reader.read()
        writer.close()

    through(scenario)


def test_proxies_before_the_client_are_told_not_to_hold_a_stream_back(through):
    async def scenario(gateway, provider):
        provider.answers_events(delta(content="Hi"), usage(), DONE)
        _, told, _ = await gateway.post(CHAT, ASK)
        assert (told["cache-control"], told["x-accel-buffering"]) == ("no-cache", "no")
        assert "content-encoding" not in told
        assert "content-length" not in told
        provider.scripts.clear()
        own = b"cache-control: no-store\r\nx-accel-buffering: yes\r\ncontent-length: %d\r\n\r\n"
        provider.answers(HEAD + own % len(DONE) + DONE)
        _, told, _ = await gateway.post(CHAT, METERED)
        assert (told["cache-control"], told["x-accel-buffering"]) == ("no-store", "yes")

    through(scenario)


@pytest.mark.parametrize("ask", [ASK, METERED], ids=["usage hidden", "usage asked for"])
def test_comments_and_odd_forms_of_events_pass_as_they_came(through, ask):
    body = (
        b"\xef\xbb\xbf: ping\n\n"
        + delta(content="a").replace(b"data: ", b"data:")
        + delta(content="b").replace(b"\n", b"\r\n")
        + b": keep-alive\r\n\r\n"
        + b'event: x\nid: 7\nretry: 10\ndata: {"choices":\ndata: []}\n\n'
    )

    async def scenario(gateway, provider):
        cuts = [body[i : i + 3] for i in range(0, len(body), 3)]
        provider.answers_events(*cuts, usage() + b"data: [DONE]")  # no blank line at the end
        _, _, got = await gateway.post(CHAT, ask)
        assert got == body + (usage() if ask is METERED else b"") + b"data: [DONE]"
        (entry,) = await gateway.settled()
        assert (entry.status, entry.cost) == (CallStatus.OK, Money.usd("0.0035"))

    through(scenario)


def test_nothing_is_tried_again_once_the_client_has_seen_a_byte(through):
    async def scenario(gateway, provider):
        provider.answers_events(delta(content="Hel"), then=(FakeProvider.CLOSE,))
        status, _, got = await gateway.post(CHAT, ASK | {"model": "fast"})
        assert status == 200
        assert got.startswith(delta(content="Hel"))
        assert b'"upstream_cut"' in got
        assert len(provider.requests) == 1

    through(
        scenario,
        retry={"retries_max": 2, "backoff_s": 0.0, "retry_ambiguous": True},
        models={"fast": {"targets": ["openai/gpt-4o", "openai/gpt-4.1"]}},
    )


def test_silence_in_the_midst_of_a_stream_ends_it_in_an_error_event(through):
    async def scenario(gateway, provider):
        provider.answers_events(*CLAUDE_EVENTS[:3], then=(asyncio.Event(),))
        _, _, got = await gateway.post(MESSAGES, CLAUDE)
        shown = b"".join(CLAUDE_EVENTS[:3])
        assert got.startswith(shown + b"event: error\n")
        assert b"message_stop" not in got
        (entry,) = await gateway.settled()
        assert entry.attempts[0].status is AttemptStatus.TIMEOUT

    through(scenario, timeouts={"idle_s": 0.05})


@pytest.mark.parametrize("ask", [ASK, ASK | {"stream": False}], ids=["stream", "whole"])
def test_a_provider_that_stays_silent_may_be_left_for_another_where_that_is_wanted(through, ask):
    async def scenario(gateway, provider):
        provider.answers(asyncio.Event())
        provider.answers_json(CHAT_ANSWER)
        status, _, body = await gateway.post(CHAT, ask | {"model": "fast"})
        assert (status, json.loads(body)) == (200, CHAT_ANSWER)
        (entry,) = await gateway.settled()
        statuses = [attempt.status for attempt in entry.attempts]
        assert statuses == [AttemptStatus.TIMEOUT, AttemptStatus.OK]
        assert entry.attempts[0].cost > Money(0)  # it may have run, and then it is billed

    through(
        scenario,
        timeouts={"first_byte_s": 0.05},
        retry={"retries_max": 0, "retry_ambiguous": True},
        models={"fast": {"targets": ["openai/gpt-4.1", "openai/gpt-4o"]}},
    )


def test_a_client_that_leaves_before_the_first_token_of_a_stream_cancels_it(through):
    async def scenario(gateway, provider):
        provider.answers(HEAD + b"transfer-encoding: chunked\r\n\r\n", asyncio.Event())
        _, writer = await gateway.connect()
        writer.write(request(CHAT, ASK))
        while not provider.requests:
            await asyncio.sleep(0)
        writer.transport.abort()
        await asyncio.wait_for(provider.gone.wait(), 10)
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.CANCELLED
        assert gateway.wired.desk.running == 0

    through(scenario)


def test_an_error_before_the_stream_is_an_error_and_no_stream(through):
    async def scenario(gateway, provider):
        body = b'{"error":{"message":"context_length_exceeded","code":"x"}}'
        provider.answers_json(body, 400)
        status, told, got = await gateway.post(CHAT, ASK)
        assert (status, told["content-type"], got) == (400, "application/json", body)

    through(scenario)


def deflated(data, cuts):
    packed = zlib.compress(data)
    return [packed[i : i + cuts] for i in range(0, len(packed), cuts)]


@pytest.mark.parametrize("cuts", [1, 7, 4096])
def test_a_stream_that_comes_compressed_unasked_is_read_and_passed_on_plain(through, cuts):
    whole = delta(content="Hi") + usage() + DONE

    async def scenario(gateway, provider):
        parts = deflated(whole, cuts)
        head = HEAD + b"content-encoding: deflate\r\ntransfer-encoding: chunked\r\n\r\n"
        provider.answers(head, *(chunk(part) for part in parts), b"0\r\n\r\n")
        _, told, got = await gateway.post(CHAT, METERED)
        assert got == whole
        assert "content-encoding" not in told
        (entry,) = await gateway.settled()
        assert entry.cost == Money.usd("0.0035")

    through(scenario)


def flushed(data):
    """Gzip of `data` that goes on: all of it can be read, and no end is there."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def test_a_compressed_stream_that_breaks_off_ends_in_an_error_event(through):
    async def scenario(gateway, provider):
        head = HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        provider.answers(head, chunk(flushed(delta(content="Hi"))), b"0\r\n\r\n")
        _, _, got = await gateway.post(CHAT, METERED)
        assert got.startswith(delta(content="Hi") + b"data: ")
        assert b'"upstream_cut"' in got
        (entry,) = await gateway.settled()
        assert entry.attempts[0].status is AttemptStatus.CUT

    through(scenario)


def test_a_compressed_stream_that_is_none_never_looks_complete(through):
    async def scenario(gateway, provider):
        head = HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        provider.answers(head, chunk(b"no gzip " + DONE), b"0\r\n\r\n")
        status, _, got = await gateway.post(CHAT, METERED)
        assert (status, json.loads(got)["error"]["code"]) == (502, "bad_response")
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.ERROR

    through(scenario)
