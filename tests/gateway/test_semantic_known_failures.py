"""Failures of other semantic caches, each with where it was reported; docs/cache-failures.md."""

from __future__ import annotations

import json

import pytest
from fakes import CHAT_ANSWER, request
from semantic_doubles import settled
from test_exact_cache import CHAT, contents, stream_of
from test_semantic_cache import FIRST, LIKE, SERVING, answer, ask, layer, rows, told, told_whole
from test_semantic_proof import DELTA, certified
from test_semantic_sharing import bearer, by, serving

from farthing.gateway import VirtualKey

SAID_ON, SAID_OFF = "How do I turn on dark mode?", "How do I turn off dark mode?"


@pytest.mark.parametrize(
    ("embedder", "expected"),
    [
        ("one_direction", "hit-semantic"),
        ("zeros", "miss"),
        ("not_finite", "miss"),
        ("another_length", "miss"),
        ("sums", "hit-semantic"),
    ],
)
def test_no_entry_answers_everything_however_bad_the_vectors_are(through, embedder, expected):
    """BerriAI/litellm #12234, Azure-Samples/AI-Gateway #63, zilliztech/GPTCache #379."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        for text in (FIRST, "Where is my lamp?", "Who wrote Faust?", "Sum up: a cat sat there."):
            assert await told(gateway, text) == "miss"
        assert await told(gateway, LIKE) == expected

    through(scenario, **serving(embedder=f"semantic_doubles:{embedder}"))


def test_a_guard_stands_below_every_certificate(through):
    """vllm-project/semantic-router #2728, #2751: opposites are as near as like questions."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, SAID_ON)
        certified(gateway, 200)
        await settled(gateway)
        assert await told_whole(gateway, SAID_OFF) == "miss; semantic=guard:opposite"
        assert await told(gateway, "How can I turn on dark mode?") == "hit-semantic"

    through(scenario, **layer("serve", **DELTA))


def test_a_stale_answer_is_never_served_to_other_words(through):
    """PyPI temporal-cache-llm, yoro-cache: the entry outlives its answer."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told(gateway, LIKE) == "hit-semantic"
        gateway.clock.ahead_us += 86_400_000_000
        assert await told_whole(gateway, LIKE) == "miss; semantic=gone"

    through(scenario, **SERVING)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is the weather in Oslo today?", "How is the weather in Oslo today?"),
        ("What is the latest price of gold?", "Which is the latest price of gold?"),
    ],
)
def test_a_question_about_now_is_never_served(through, first, second):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        for text in (first, second, first):
            assert await told_whole(gateway, text) == "bypass; the question is about now"

    through(scenario, **SERVING)


def test_a_scope_is_no_part_of_the_text(through):
    """vllm-project/semantic-router #2134: a user as a prefix of the text was 0.9085 near another's."""

    async def scenario(gateway, provider):
        keys = [
            gateway.ring.create(VirtualKey(id="", digest="", tenant=name))[0]
            for name in ("acme-1", "acme-2")
        ]
        gateway.ring.refresh()
        one, other = (bearer(key) for key in keys)
        provider.answers_json(answer("For acme-1."))
        provider.answers_json(answer("For acme-2."))
        await settled(gateway)
        await told(gateway, f"tenant acme-1: {FIRST}", one)
        for text in (f"tenant acme-1: {LIKE}", f"tenant acme-1: {FIRST}", FIRST):
            _, _, body = await gateway.post(CHAT, ask(text), other)
            assert b"For acme-2." in body
            await settled(gateway)

    through(scenario, **serving(confirmations_min=1, unnamed="tenant"))


@pytest.mark.parametrize("more", [{"tool_choice": "none"}, {"tools": []}, {"tool_choice": "auto"}])
def test_tools_and_whether_they_may_be_called_part_questions(through, more):
    """microsoft/autogen #7968, diegosouzapw/OmniRoute #12734: a call that was forbidden."""
    tools = [{"type": "function", "function": {"name": "refund", "parameters": {}}}]

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST, tools=tools)
        assert await told(gateway, LIKE, **{"tools": tools} | more) == "miss"

    through(scenario, **SERVING)


def test_results_of_tools_are_not_looked_at_as_questions(through, tmp_path):
    """BerriAI/litellm #28778: results were dropped from the key, and agents looped."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        for degrees in ("18 degrees", "18 degree", "30 degrees"):
            messages = [
                {"role": "user", "content": FIRST},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": degrees},
            ]
            body = {"model": "gpt-4o", "temperature": 0, "messages": messages}
            _, headers, _ = await gateway.post(CHAT, body)
            assert headers["x-farthing-cache"] == "miss; semantic=tools"
        await settled(gateway)
        assert rows(tmp_path, "SELECT * FROM questions") == []

    through(scenario, **SERVING)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_an_error_is_never_served_to_other_words(through, status):
    """vllm-project/semantic-router #2130: error bodies came back as 200."""

    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "slow down"}}, status)
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        code, headers, body = await gateway.post(CHAT, ask(LIKE))
        assert (code, headers["x-farthing-cache"][:4]) == (200, "miss")
        assert json.loads(body)["choices"] == CHAT_ANSWER["choices"]

    through(scenario, retry={"retries_max": 0}, **SERVING)


def test_a_stream_comes_back_as_the_text_that_it_was(through):
    """semantic-router #913 (`!!!!`), #1555 (never written); BerriAI/litellm PR #24580."""

    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Ünï", "cödé \U0001f600 \\n"))
        await settled(gateway)
        await gateway.post(CHAT, ask(FIRST, stream=True))
        await settled(gateway)
        for kind in ("hit-semantic", "hit-alias"):
            _, headers, body = await gateway.post(CHAT, ask(LIKE, stream=True))
            assert headers["x-farthing-cache"] == kind
            assert contents(body) == "Ünïcödé \U0001f600 \\n"

    through(scenario, **SERVING)


def test_a_stream_that_its_client_leaves_is_never_served_to_other_words(through):
    """freellmapi #1098; Apache APISIX stores a stream only after its last event, too."""
    import asyncio

    async def scenario(gateway, provider):
        events = stream_of("Half", " an answer")
        provider.answers_events(*events[:2], then=(asyncio.Event(),))
        await settled(gateway)
        reader, writer = await gateway.connect()
        writer.write(request(CHAT, ask(FIRST, stream=True)))
        await reader.readuntil(b"Half")
        writer.close()
        await gateway.settled()
        provider.scripts.clear()
        provider.answers_json(answer("Whole."))
        await settled(gateway)
        assert await told(gateway, LIKE) == "miss"

    through(scenario, **SERVING)


def test_another_users_near_question_is_no_licence_for_his_answer(through):
    """BerriAI/litellm #29955, PR #26992; wso2/api-platform #733."""

    async def scenario(gateway, provider):
        provider.answers_json(answer("Dear Ann, your balance is 7 euros."))
        await settled(gateway)
        await told(gateway, "How do I see my balance?", by("ann"))
        _, headers, _ = await gateway.post(CHAT, ask("How can I see my balance?"), by("bob"))
        assert headers["x-farthing-cache"] == "miss; semantic=nothing-near"
        assert len(provider.requests) == 2

    through(scenario, **SERVING)
