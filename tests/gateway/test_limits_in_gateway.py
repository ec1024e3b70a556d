"""Rate limits per key, as callers meet them beside budgets."""

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 10, "output_tokens": 10},
}  # fmt: skip


def key_of(gateway, tenant):
    secret, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant))
    return {"authorization": f"Bearer {secret}"}


def test_a_key_that_asks_too_often_is_told_when_to_come_back(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        key = key_of(gateway, "a")
        for left in ("1", "0"):
            status, headers, _ = await gateway.post(CHAT, ASKED, key)
            assert (status, headers["x-ratelimit-remaining-requests"]) == (200, left)
            assert headers["x-ratelimit-limit-requests"] == "2"
        status, headers, body = await gateway.post(CHAT, ASKED, key)
        error = json.loads(body)["error"]
        assert (status, error["code"], error["what"]) == (429, "rate_limited", "requests")
        assert 29_000 <= int(headers["retry-after-ms"]) <= 30_000
        assert "x-should-retry" not in headers
        assert len(provider.requests) == 2
        gateway.clock.ahead_us += 31_000_000
        assert (await gateway.post(CHAT, ASKED, key))[0] == 200

    through(scenario, limit=[{"requests_per_minute": 2}])


def test_a_key_does_not_use_up_what_another_may_ask(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        one, other = key_of(gateway, "a"), key_of(gateway, "b")
        assert (await gateway.post(CHAT, ASKED, one))[0] == 200
        assert (await gateway.post(CHAT, ASKED, one))[0] == 429
        assert (await gateway.post(CHAT, ASKED, other))[0] == 200

    through(scenario, limit=[{"requests_per_minute": 1}])


def test_tokens_that_were_not_used_come_back_when_the_call_ends(through):
    async def scenario(gateway, provider):
        few = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        provider.answers_json(CHAT_ANSWER | {"usage": few})
        for _ in range(5):  # each asks for more than 500 and uses 20
            answered = await gateway.post(CHAT, ASKED | {"max_tokens": 500})
            assert answered[0] == 200
        assert 350 < int(answered[1]["x-ratelimit-remaining-tokens"]) < 420

    through(scenario, limit=[{"tokens_per_minute": 1_000}])


def test_a_call_larger_than_its_key_may_ever_ask_is_not_tried_again(through):
    async def scenario(gateway, provider):
        status, headers, _ = await gateway.post(CHAT, ASKED | {"max_tokens": 5_000})
        assert (status, headers["x-should-retry"]) == (429, "false")
        assert provider.requests == []

    through(scenario, limit=[{"tokens_per_minute": 1_000}])


def test_a_key_runs_no_more_calls_at_a_time_than_it_may(through):
    async def scenario(gateway, provider):
        may_answer = asyncio.Event()
        provider.answers(may_answer, b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}")
        first = asyncio.create_task(gateway.post(CHAT, ASKED))
        while not provider.requests:
            await asyncio.sleep(0)
        assert (await gateway.post(CHAT, ASKED))[0] == 429
        may_answer.set()
        assert (await first)[0] == 200
        assert (await gateway.post(CHAT, ASKED))[0] == 200

    through(scenario, limit=[{"concurrency": 1}])


def test_callers_of_anthropic_read_limits_in_its_words_and_not_the_providers(through):
    async def scenario(gateway, provider):
        provider.answers_json(MESSAGE, headers=["anthropic-ratelimit-requests-limit: 4000"])
        _, headers, _ = await gateway.post(MESSAGES, ASKED, {"anthropic-version": "2023-06-01"})
        assert headers["anthropic-ratelimit-requests-limit"] == "7"
        assert headers["anthropic-ratelimit-requests-remaining"] == "6"
        assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")

    through(scenario, limit=[{"requests_per_minute": 7}])


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_without_limits_the_providers_own_headers_pass(through, path):
    async def scenario(gateway, provider):
        provider.answers_json(MESSAGE, headers=["x-ratelimit-limit-requests: 10000"])
        _, headers, _ = await gateway.post(path, ASKED)
        assert headers["x-ratelimit-limit-requests"] == "10000"

    through(scenario)
