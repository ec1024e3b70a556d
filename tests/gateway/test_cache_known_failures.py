"""Failures of other caches, each with where it was reported; none of them may happen here."""

from __future__ import annotations

import json

import pytest
from fakes import CHAT_ANSWER
from test_exact_cache import ASK, CHAT, MESSAGES, ON, contents, stream_of

from farthing.gateway import VirtualKey

TOOLS = [{"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}]
USER = ASK["messages"][1]
CALL = {"id": "call_1", "type": "function", "function": {"name": "refund", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
MESSAGE = {
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
}  # fmt: skip


def result(text):
    return {"role": "tool", "tool_call_id": "call_1", "content": text}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # spring-projects/spring-ai #5256, vllm-project/semantic-router #3423
        (ASK, ASK | {"messages": [{"role": "system", "content": "Be rude."}, USER]}),
        # NVIDIA-NeMo/Guardrails #2360
        (ASK, ASK | {"messages": [USER]}),
        # sensoris/semcache #47
        (ASK, ASK | {"messages": [*ASK["messages"], {"role": "assistant", "content": "a"}, USER]}),
        # microsoft/autogen #7968, diegosouzapw/OmniRoute #12734
        (ASK | {"tools": TOOLS}, ASK | {"tools": TOOLS, "tool_choice": "none"}),
        (ASK | {"tools": TOOLS}, ASK),
        # BerriAI/litellm #28778
        (
            ASK | {"messages": [USER, CALLED, result("18 degrees")]},
            ASK | {"messages": [USER, CALLED, result("30 degrees")]},
        ),
        # vllm-project/semantic-router #36
        (
            ASK | {"messages": [{"role": "user", "content": "What does --max-cost do?"}]},
            ASK | {"messages": [{"role": "user", "content": "What does --max-heads do?"}]},
        ),
        # vllm-project/semantic-router #2691
        (
            ASK | {"messages": [{"role": "user", "content": "Turn on dark mode"}]},
            ASK | {"messages": [{"role": "user", "content": "Turn off dark mode"}]},
        ),
        (ASK, ASK | {"response_format": {"type": "json_object"}}),
        (ASK, ASK | {"model": "gpt-4o-mini"}),
        (ASK, ASK | {"a_member_of_next_year": 1}),
    ],
    ids=[
        "other system prompt", "no system prompt", "history", "tool_choice", "tools",
        "tool results", "flags", "negation", "format", "model", "unknown member",
    ],
)  # fmt: skip
@pytest.mark.parametrize("lever", ["cache", "coalesce"])
def test_another_request_never_gets_the_answer(through, first, second, lever):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, first)
        _, headers, _ = await gateway.post(CHAT, second)
        assert not headers.get("x-farthing-cache", "").startswith("hit")
        assert len(provider.requests) == 2

    through(scenario, **{lever: {"mode": "on"}})


def test_a_header_that_changes_the_answer_is_part_of_the_key(through):
    async def scenario(gateway, provider):
        provider.answers_json(MESSAGE)
        asked = {
            "model": "claude-sonnet-4-5", "max_tokens": 9, "temperature": 0, "messages": [USER],
        }  # fmt: skip
        told = []
        for beta in ("a", "b", "a"):
            headers = {"anthropic-version": "2023-06-01", "anthropic-beta": beta}
            _, got, _ = await gateway.post(MESSAGES, asked, headers)
            told.append(got["x-farthing-cache"])
        assert told == ["miss", "miss", "hit-exact"]

    through(scenario, **ON)


def test_a_user_of_the_body_can_not_reach_into_another_tenant(through):
    """BerriAI/litellm #19575, #29955; semantic-router #2134; OmniRoute #3740."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for tenant, user in (("acme", "globex"), ("globex", "acme")):
            key, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant))
            headers = {"authorization": f"Bearer {key}", "x-farthing-tags": "tenant=acme"}
            body = ASK | {"user": user, "metadata": {"tenant": "acme"}}
            _, got, _ = await gateway.post(CHAT, body, headers)
            assert got["x-farthing-cache"] == "miss"

    through(scenario, **ON)


def test_a_stream_is_stored_and_comes_back_as_text(through):
    """semantic-router #913 (`!!!!`), #1555 (never written)."""

    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Ünï", "cödé \U0001f600 \\n"))
        _, _, live = await gateway.post(CHAT, ASK | {"stream": True})
        _, headers, again = await gateway.post(CHAT, ASK | {"stream": True})
        assert headers["x-farthing-cache"] == "hit-exact"
        assert contents(again) == contents(live) == "Ünïcödé \U0001f600 \\n"

    through(scenario, **ON)


@pytest.mark.parametrize("wish", ["semantic", "on", "force", "exact", "hit"])
def test_a_caller_can_not_loosen_what_the_rules_forbid(through, wish):
    """maximhq/bifrost PR #5769: callers may only ask for less."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(2):
            sampled = ASK | {"temperature": 1}
            _, headers, _ = await gateway.post(CHAT, sampled, {"x-farthing-cache": wish})
            assert headers["x-farthing-cache"].startswith("bypass")
        assert len(provider.requests) == 2

    through(scenario, **ON)


def test_tool_calls_are_served_to_the_same_words_only_and_for_a_short_time(through):
    async def scenario(gateway, provider):
        choice = {"index": 0, "message": CALLED, "finish_reason": "tool_calls"}
        provider.answers_json(CHAT_ANSWER | {"choices": [choice]})
        asked = ASK | {"tools": TOOLS}
        await gateway.post(CHAT, asked)
        _, headers, body = await gateway.post(CHAT, asked)
        assert headers["x-farthing-cache"] == "hit-exact"
        assert json.loads(body)["choices"][0]["message"]["tool_calls"] == [CALL]
        plain = {"role": "user", "content": "how do I return an order"}
        _, headers, _ = await gateway.post(CHAT, asked | {"messages": [ASK["messages"][0], plain]})
        assert headers["x-farthing-cache"] == "miss"
        gateway.clock.ahead_us += 601_000_000
        _, headers, _ = await gateway.post(CHAT, asked)
        assert headers["x-farthing-cache"] == "miss"

    through(scenario, **ON)


def test_what_a_fallback_answered_is_not_the_answer_to_the_next_call(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "overloaded"}}, 503)
        provider.answers_json(CHAT_ANSWER)
        asked = ASK | {"model": "smart"}
        status, _, _ = await gateway.post(CHAT, asked)
        assert status == 200
        _, headers, _ = await gateway.post(CHAT, asked)
        assert headers["x-farthing-cache"] == "miss"

    models = {"smart": {"targets": ["openai/gpt-4o", "openai/gpt-4o-mini"]}}
    through(scenario, models=models, retry={"retries_max": 0}, **ON)


def test_the_targets_of_a_model_are_part_of_the_key(tmp_path):
    import asyncio

    from fakes import FakeProvider, Gateway

    async def whole():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            told = []
            for target in ("openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4o"):
                models = {"smart": {"targets": [target]}}
                async with Gateway(tmp_path, provider, models=models, **ON) as gateway:
                    _, headers, _ = await gateway.post(CHAT, ASK | {"model": "smart"})
                    told.append(headers["x-farthing-cache"])
            assert told == ["miss", "miss", "hit-exact"]

    asyncio.run(whole())


def test_another_revision_of_a_document_is_another_entry(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        told = []
        for revision in ("kb@1", "kb@2", "kb@1"):
            _, got, _ = await gateway.post(CHAT, ASK, {"x-farthing-depends-on": revision})
            told.append(got["x-farthing-cache"])
        assert told == ["miss", "miss", "hit-exact"]

    through(scenario, **ON)


def test_a_hit_needs_no_room_in_a_budget_that_has_none_for_another_call(through):
    budget = {"name": "b", "scope": "all", "amount_usd": "0.004", "window": "day"}

    async def scenario(gateway, provider):
        gateway.wired.start()
        provider.answers_json(CHAT_ANSWER)
        asked = ASK | {"max_tokens": 100}
        told = []
        for body in (asked, asked, asked | {"seed": 2}):
            status, headers, _ = await gateway.post(CHAT, body)
            told.append((status, headers.get("x-farthing-cache", "")))
        assert told == [(200, "miss"), (200, "hit-exact"), (429, "")]
        paid, hit, _ = await gateway.settled(3)
        assert paid.charges
        assert hit.charges == ()

    through(scenario, run="run-1", budget=[budget], **ON)


def test_what_the_provider_would_not_charge_again_is_not_counted_as_saved(through):
    """A prompt written to the provider's cache would be read from it by the next call."""

    async def scenario(gateway, provider):
        usage = {
            "input_tokens": 10, "output_tokens": 5,
            "cache_creation_input_tokens": 2000, "cache_read_input_tokens": 0,
        }  # fmt: skip
        provider.answers_json(MESSAGE | {"usage": usage})
        asked = {
            "model": "claude-sonnet-4-5", "max_tokens": 9, "temperature": 0, "messages": [USER],
        }  # fmt: skip
        await gateway.post(MESSAGES, asked)
        _, soon, _ = await gateway.post(MESSAGES, asked)
        gateway.clock.ahead_us += 301_000_000
        _, late, _ = await gateway.post(MESSAGES, asked)
        # $3 in, $15 out, $3.75 written, $0.30 read a million.
        assert soon["x-farthing-saved"] == "0.000705"
        assert late["x-farthing-saved"] == "0.007605"

    through(scenario, **ON)
