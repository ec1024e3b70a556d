"""Streams under a budget: paid for as they flow, and ended as their protocol ends one for length."""

import asyncio
import json

import pytest
from fakes import chunk

from farthing.codecs.sse import Splitter, data_of
from farthing.money import Money

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ANTHROPIC = {"anthropic-version": "2023-06-01"}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
SLICE = {"gateway": {"budget_slice_tokens": 256}}


def budget(amount, **more):
    return {"name": "team", "scope": "all", "amount_usd": amount, "window": "month"} | more


def asked(**members):
    messages = [{"role": "user", "content": "hi"}]
    return {"model": "gpt-4o", "messages": messages, "stream": True, **members}


def asked_anthropic(most):
    return asked(model="claude-sonnet-4-5", max_tokens=most)


def chat_event(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return b"data: %b\n\n" % json.dumps(whole | {"choices": [choice]} | more).encode()


def usage_event(output):
    told = {"prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output}
    return b"data: %b\n\n" % json.dumps({"id": "c1", "choices": [], "usage": told}).encode()


def message_event(kind, **members):
    body = json.dumps({"type": kind, **members}).encode()
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)


def message_start():
    told = {
        "id": "m",
        "model": "claude-sonnet-4-5",
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    return message_event("message_start", message=told) + message_event(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )


def text_delta(text):
    return message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def events(body):
    """The JSON of a stream's events; its last bytes must end one."""
    splitter = Splitter()
    found = [data_of(block) for block in splitter.split(body)]
    assert splitter.close() == b""
    return [json.loads(data) for data in found if data and data != b"[DONE]"]


@pytest.fixture
def within(through):
    def run(scenario, given, **tables):
        return through(scenario, run="run-1", budget=[given], **SLICE | tables)

    return run


async def _held(gateway, limit):
    """What stands once all has ended: nothing is held, and the limit was kept."""
    (entry,) = await gateway.settled()
    (holding,) = gateway.wired.treasurer.purse
    assert holding.reserved == 0
    assert holding.spent == entry.cost.nanodollars <= Money.usd(limit).nanodollars
    return entry


@pytest.mark.parametrize("member", ["content", "reasoning_content"])
def test_a_chat_whose_money_is_gone_ends_for_length_and_says_budget(within, member):
    async def scenario(gateway, provider):
        flow = [chunk(chat_event({member: "word"})) for _ in range(2000)]
        provider.answers(HEAD, *flow, asyncio.Event())
        status, _, body = await gateway.post(CHAT, asked())
        assert status == 200
        assert body.endswith(DONE)
        last = events(body)[-1]
        assert last["choices"][0]["finish_reason"] == "length"
        assert last["farthing"]["code"] == "budget_exceeded"
        assert last["farthing"]["limit_usd"] == "0.01"
        assert "what was sent of it is charged" in last["farthing"]["message"]
        await asyncio.wait_for(provider.gone.wait(), 10)
        entry = await _held(gateway, "0.01")
        assert entry.status.value == "ok"
        assert "stopped midway" in entry.attempts[0].detail
        assert 200 <= entry.attempts[0].usage.completion_tokens <= 256

    within(scenario, budget("0.01"))


def test_tool_calls_are_counted_as_they_flow(within):
    async def scenario(gateway, provider):
        call = {"index": 0, "function": {"arguments": "word"}}
        flow = [chunk(chat_event({"tool_calls": [call]})) for _ in range(2000)]
        provider.answers(HEAD, *flow, asyncio.Event())
        _, _, body = await gateway.post(CHAT, asked())
        assert events(body)[-1]["farthing"]["code"] == "budget_exceeded"
        await _held(gateway, "0.01")

    within(scenario, budget("0.01"))


def test_a_message_whose_money_is_gone_ends_for_max_tokens_and_says_budget(within):
    async def scenario(gateway, provider):
        flow = [chunk(text_delta("word")) for _ in range(2000)]
        provider.answers(HEAD, chunk(message_start()), *flow, asyncio.Event())
        _, _, body = await gateway.post(MESSAGES, asked_anthropic(32_000), ANTHROPIC)
        *_, block_stop, delta, stop = events(body)
        assert block_stop == {"type": "content_block_stop", "index": 0}
        assert delta["delta"]["stop_reason"] == "max_tokens"
        assert delta["farthing"]["code"] == "budget_exceeded"
        assert stop == {"type": "message_stop"}
        await asyncio.wait_for(provider.gone.wait(), 10)
        await _held(gateway, "0.02")

    within(scenario, budget("0.02"))


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}], ids=str)
def test_a_provider_that_sends_all_at_once_takes_nothing_over_the_limit(within, options):
    async def scenario(gateway, provider):
        flood = b"".join(chat_event({"content": "word"}) for _ in range(5000))
        provider.answers(HEAD, chunk(flood + usage_event(5000) + DONE), END)
        _, _, body = await gateway.post(CHAT, asked(**options))
        told = [event for event in events(body) if event.get("farthing")]
        assert told[0]["choices"][0]["finish_reason"] == "length"
        await _held(gateway, "0.01")

    within(scenario, budget("0.01"))


def test_a_single_event_larger_than_what_is_held_is_not_passed_on(within):
    async def scenario(gateway, provider):
        provider.answers(HEAD, chunk(chat_event({"content": "word " * 20_000})), asyncio.Event())
        _, _, body = await gateway.post(CHAT, asked())
        assert b"word" not in body
        assert events(body)[-1]["choices"][0]["finish_reason"] == "length"
        await _held(gateway, "0.01")

    within(scenario, budget("0.01"))


def test_each_choice_of_a_stopped_chat_ends(within):
    async def scenario(gateway, provider):
        flow = [chunk(chat_event({"content": "word"})) for _ in range(2000)]
        provider.answers(HEAD, *flow, asyncio.Event())
        _, _, body = await gateway.post(CHAT, asked(n=3))
        ends = events(body)[-1]["choices"]
        assert [(end["index"], end["finish_reason"]) for end in ends] == [
            (0, "length"), (1, "length"), (2, "length"),
        ]  # fmt: skip
        await _held(gateway, "0.02")

    within(scenario, budget("0.02"))


def test_a_stream_that_has_enough_passes_untouched_and_pays_what_the_provider_says(within):
    async def scenario(gateway, provider):
        flow = b"".join(chat_event({"content": "word"}) for _ in range(3000))
        whole = flow + chat_event({}, "stop") + usage_event(3000) + DONE
        provider.answers(HEAD, chunk(whole), END)
        options = {"stream_options": {"include_usage": True}}
        _, headers, body = await gateway.post(CHAT, asked(**options))
        assert body == whole
        assert headers["x-farthing-budget"] == "5.00"
        entry = await _held(gateway, "5")
        assert entry.cost == Money.usd("0.030025")

    within(scenario, budget("5"))


def test_a_stream_within_one_slice_is_held_whole_and_never_stopped(within):
    async def scenario(gateway, provider):
        flow = b"".join(chat_event({"content": "w"}) for _ in range(100))
        provider.answers(HEAD, chunk(flow + usage_event(100) + DONE), END)
        _, _, body = await gateway.post(CHAT, asked(max_tokens=200))
        assert b"farthing" not in body.replace(b": farthing", b"")
        (intent,) = gateway.journal.intents
        assert intent.attempts[0].usage.output == 200
        await _held(gateway, "0.01")

    within(scenario, budget("0.01"))


def test_what_stands_if_the_worker_dies_grows_with_what_the_stream_holds(within):
    async def scenario(gateway, provider):
        flow = [chunk(chat_event({"content": "word"})) for _ in range(500)]
        provider.answers(HEAD, *flow, chunk(usage_event(500) + DONE), END)
        await gateway.post(CHAT, asked())
        held = [entry.attempts[0].usage.output for entry in gateway.journal.intents]
        assert held[0] == 256
        assert held == sorted(set(held))
        assert held[-1] >= 2000  # a byte may be a token
        await _held(gateway, "5")

    within(scenario, budget("5"))


def test_a_client_that_leaves_midway_pays_for_what_it_got(within):
    async def scenario(gateway, provider):
        flow = [chunk(chat_event({"content": "word"})) for _ in range(100)]
        provider.answers(HEAD, *flow, asyncio.Event())
        reader, writer = await gateway.connect()
        body = json.dumps(asked()).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.readuntil(b"word")
        writer.close()
        entry = await _held(gateway, "5")
        assert entry.status.value == "cancelled"
        assert 0 < entry.attempts[0].usage.output <= 100

    within(scenario, budget("5"))


def test_a_stream_waits_for_money_that_others_give_back(within):
    async def scenario(gateway, provider):
        may_end = asyncio.Event()
        flow = [chunk(chat_event({"content": "word"})) for _ in range(200)]
        provider.answers(HEAD, *flow[:10], may_end, chunk(usage_event(10) + DONE), END)
        provider.answers(HEAD, *flow, chunk(usage_event(200) + DONE), END)
        first = asyncio.create_task(gateway.post(CHAT, asked(max_tokens=250)))
        while not provider.requests:
            await asyncio.sleep(0)
        second = asyncio.create_task(gateway.post(CHAT, asked()))
        while len(provider.requests) < 2:
            await asyncio.sleep(0)
        may_end.set()
        assert (await first)[0] == 200
        assert b'"length"' not in (await second)[2]

    within(scenario, budget("0.0115"))


def test_a_stream_that_names_a_high_limit_never_holds_more_than_that(within):
    async def scenario(gateway, provider):
        flow = [chunk(chat_event({"content": "word"})) for _ in range(400)]
        provider.answers(HEAD, *flow, chunk(usage_event(400) + DONE), END)
        _, _, body = await gateway.post(CHAT, asked(max_tokens=400))
        assert b'"length"' not in body
        held = [entry.attempts[0].usage.output for entry in gateway.journal.intents]
        assert (held[0], held[-1]) == (256, 400)

    within(scenario, budget("0.006"))
