"""Whose key reaches which provider, and which headers of the client go with it."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER, FakeProvider, Gateway

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
OPENAI_HEADERS = {
    "openai-organization": "org-1",
    "openai-project": "proj-1",
    "openai-beta": "assistants=v2",
    "idempotency-key": "k-1",
    "user-agent": "openai/python 3.54.0",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x-stainless-retry-count": "1",
    "x-unknown": "kept",
}
ANTHROPIC_HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "prompt-caching-2024-07-31,extended-cache-ttl-2025-04-11",
    "anthropic-dangerous-direct-browser-access": "true",
}


@pytest.mark.parametrize(
    ("path", "headers"), [(CHAT, OPENAI_HEADERS), (MESSAGES, ANTHROPIC_HEADERS)]
)
def test_the_headers_that_providers_know_go_on(through, path, headers):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(path, ASK | {"max_tokens": 9}, headers)
        sent = provider.requests[0][1]
        assert {name: sent.get(name) for name in headers} == headers

    through(scenario)


def test_what_is_ours_or_for_one_connection_stays_here(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        kept_back = {
            "x-farthing-feature": "f",
            "x-farthing-tags": "a=b",
            "connection": "close, X-Hop",
            "x-hop": "1",
            "keep-alive": "timeout=5",
            "te": "trailers",
            "proxy-authorization": "Basic x",
            "cookie": "session=1",
            "x-forwarded-for": "10.0.0.9",
        }
        await gateway.send("POST", CHAT, ASK, kept_back)
        sent = provider.requests[0][1]
        assert [name for name in kept_back if name in sent] == []
        assert sent["host"] == f"127.0.0.1:{provider.port}"
        assert sent["accept-encoding"] == "identity"

    through(scenario)


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_a_clients_own_key_reaches_the_provider_wherever_its_sdk_puts_it(through, name):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        value = "Bearer sk-mine" if name == "authorization" else "sk-mine"
        await gateway.post(CHAT, ASK, {name: value})
        await gateway.post(MESSAGES, ASK | {"max_tokens": 9}, {"x-api-key": "sk-ant-mine"})
        (_, first, _), (_, second, _) = provider.requests
        assert first["authorization"] == "bearer sk-mine"
        assert [n for n in ("x-api-key", "api-key", "x-goog-api-key") if n in first] == []
        assert second["x-api-key"] == "sk-ant-mine"
        assert "authorization" not in second

    through(scenario, keyless=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("sk-ant-oat01-token", ("authorization", "bearer sk-ant-oat01-token")),
        ("sk-ant-api03-key", ("x-api-key", "sk-ant-api03-key")),
    ],
)
def test_a_bearer_token_stays_one_for_anthropic_and_a_key_becomes_one(through, given, wanted):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        headers = {"authorization": f"Bearer {given}"}
        await gateway.post(MESSAGES, ASK | {"max_tokens": 9}, headers)
        sent = provider.requests[0][1]
        found = [(n, sent[n]) for n in ("authorization", "x-api-key") if n in sent]
        assert found == [wanted]

    through(scenario, keyless=True)


def test_a_client_without_a_key_sends_none(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "no key"}}, 401)
        status, _, _ = await gateway.post(CHAT, ASK)
        assert status == 401
        assert "authorization" not in provider.requests[0][1]

    through(scenario, keyless=True)


async def _fallen_back(gateway, provider, other, headers):
    """One call whose first provider fails; what either of them was sent."""
    provider.answers_json({"error": {}}, 503)
    other.answers_json(CHAT_ANSWER)
    status, _, body = await gateway.post(CHAT, ASK | {"model": "fast"}, headers)
    assert (status, json.loads(body)) == (200, CHAT_ANSWER)
    return provider.requests[0][1], other.requests[0][1]


def fallback_to(other, **settings):
    return {
        "retry": {"retries_max": 0},
        "models": {"fast": {"targets": ["openai/gpt-4o", "other/gpt-4o"]}},
        "providers": {"other": {"base_url": f"http://127.0.0.1:{other.port}/v1"} | settings},
    }


@pytest.fixture
def beside(tmp_path):
    """Run a scenario with a second provider, which `fast` falls back to."""

    def run(scenario, *, keyless=False, **settings):
        async def whole():
            async with FakeProvider() as provider, FakeProvider() as other:
                tables = fallback_to(other, **settings)
                async with Gateway(tmp_path, provider, keyless=keyless, **tables) as gateway:
                    await scenario(gateway, provider, other)

        asyncio.run(whole())

    return run


def test_a_fallback_gets_its_own_key_and_never_the_firsts(beside):
    async def scenario(gateway, provider, other):
        headers = {"authorization": "Bearer sk-mine", "openai-organization": "org-1"}
        first, second = await _fallen_back(gateway, provider, other, headers)
        assert (first["authorization"], first["openai-organization"]) == (
            "bearer sk-upstream",
            "org-1",
        )
        assert second["authorization"] == "bearer sk-other"
        assert "openai-organization" not in second

    beside(scenario, api_key="sk-other")


def test_a_clients_own_key_is_for_the_provider_it_called_and_no_other(beside):
    async def scenario(gateway, provider, other):
        headers = {"authorization": "Bearer sk-mine", "x-a": "kept"}
        first, second = await _fallen_back(gateway, provider, other, headers)
        assert first["authorization"] == "bearer sk-mine"
        assert "authorization" not in second
        assert second["x-a"] == "kept"
        assert gateway.journal.entries[0].cost is not None

    beside(scenario, keyless=True)
