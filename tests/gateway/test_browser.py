"""Pages of a browser: what they may, and what their browser is told."""

from __future__ import annotations

import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
PAGE = "https://app.example"
ASKED = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


def test_without_keys_a_strangers_page_spends_nothing(through):
    async def scenario(gateway, provider):
        # What a page can send without its browser asking first, and what a rebound name sends.
        for origin in (PAGE, "null", f"http://evil.example:{gateway.port}"):
            headers = {"origin": origin, "content-type": "text/plain"}
            status, told, body = await gateway.send("POST", CHAT, ASK, headers)
            assert (status, json.loads(body)["error"]["code"]) == (403, "origin_not_allowed")
            assert told["x-should-retry"] == "false"
            assert "access-control-allow-origin" not in told
        status, _, body = await gateway.send("POST", "/v1/messages", ASK, {"origin": PAGE})
        assert (status, json.loads(body)["error"]["type"]) == (403, "permission_error")
        assert (await gateway.send("OPTIONS", CHAT, None, {"origin": PAGE} | ASKED))[0] == 403
        assert (provider.requests, gateway.journal.entries) == ([], [])

    through(scenario)


@pytest.mark.parametrize("listed", [[PAGE], [PAGE + "/"], ["*"]])
def test_a_listed_page_calls_as_a_browser_does(through, listed):
    async def scenario(gateway, provider):
        provider.answers_json(
            CHAT_ANSWER, headers=["access-control-allow-origin: https://x.example"]
        )
        asked = {"origin": PAGE} | ASKED
        status, told, body = await gateway.send("OPTIONS", CHAT, None, asked)
        assert (status, body) == (204, b"")
        assert told["access-control-allow-origin"] == PAGE
        assert told["access-control-allow-headers"] == ASKED["access-control-request-headers"]
        assert "POST" in told["access-control-allow-methods"]
        assert told["vary"] == "origin"
        assert "access-control-allow-private-network" not in told
        status, told, _ = await gateway.send("POST", CHAT, ASK, {"origin": PAGE})
        assert status == 200
        assert told["access-control-allow-origin"] == PAGE
        assert told["access-control-expose-headers"] == "*"
        assert "origin" not in provider.requests[0][1]

    through(scenario, gateway={"browser_origins": listed})


def test_a_page_reads_refusals_too(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "no"}}, 400)
        status, told, _ = await gateway.send("POST", CHAT, ASK, {"origin": PAGE})
        assert (status, told["access-control-allow-origin"]) == (400, PAGE)
        status, told, _ = await gateway.send("POST", "/v1/none", ASK, {"origin": PAGE})
        assert (status, told["access-control-allow-origin"]) == (404, PAGE)

    through(scenario, gateway={"browser_origins": [PAGE]})


def test_a_browser_that_asks_for_the_private_network_is_told(through):
    async def scenario(gateway, provider):
        asked = {"origin": PAGE, "access-control-request-private-network": "true"} | ASKED
        _, told, _ = await gateway.send("OPTIONS", CHAT, None, asked)
        assert told["access-control-allow-private-network"] == "true"

    through(scenario, gateway={"browser_origins": [PAGE]})


def test_where_keys_exist_a_key_is_enough_and_only_listed_pages_see_the_answer(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        secret, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant="acme"))
        own = {"authorization": f"Bearer {secret}"}
        for origin, shown in ((PAGE, PAGE), ("app://notes", None)):
            status, told, _ = await gateway.send("POST", CHAT, ASK, {"origin": origin} | own)
            assert (status, told.get("access-control-allow-origin")) == (200, shown)
        status, told, _ = await gateway.send("POST", CHAT, ASK, {"origin": PAGE})
        assert (status, told["access-control-allow-origin"]) == (401, PAGE)

    through(scenario, gateway={"browser_origins": [PAGE]})


def test_a_providers_own_word_on_pages_does_not_open_ours(through):
    async def scenario(gateway, provider):
        allowed = ["access-control-allow-origin: *", "access-control-expose-headers: *"]
        provider.answers_json(CHAT_ANSWER, headers=allowed)
        _, told, _ = await gateway.post(CHAT, ASK)
        assert [name for name in told if name.startswith("access-control-")] == []

    through(scenario)
