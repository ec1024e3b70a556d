"""`POST /feedback`: whose calls one may speak of, what is kept, who hears of it."""

from __future__ import annotations

import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


async def a_call(gateway, provider, headers=None):
    provider.answers_json(CHAT_ANSWER)
    _, answered, _ = await gateway.post(CHAT, ASK, headers)
    return answered["x-farthing-call"]


async def say(gateway, document, headers=None):
    status, answered, body = await gateway.post("/feedback", document, headers)
    assert answered["content-type"] == "application/json"
    return status, json.loads(body)


@pytest.mark.parametrize(
    ("told", "score"), [(1, 1.0), (0.25, 0.25), (0, 0.0), ("up", 1.0), ("down", 0.0)]
)
def test_what_is_said_of_a_call_is_kept_and_told_to_those_who_listen(through, told, score):
    async def scenario(gateway, provider):
        heard = []
        gateway.wired.feedback.listeners.append(heard.append)
        call = await a_call(gateway, provider, {"x-farthing-feature": "support"})
        status, body = await say(gateway, {"call": call, "score": told, "comment": "so so"})
        assert status == 200
        assert body == {"object": "feedback", "call": call, "feature": "support", "score": score}
        (given,) = heard
        assert (given.call_id, given.feature, given.score) == (call, "support", score)
        assert given.entry.call_id == call
        (kept,) = gateway.wired.evidence.store.feedback()
        assert (kept.call_id, kept.score, kept.comment) == (call, score, "so so")

    through(scenario)


@pytest.mark.parametrize(
    "document",
    [
        {"score": 1},
        {"call": "call_1"},
        {"call": "call_1", "score": 2},
        {"call": "call_1", "score": "great"},
        {"call": "call_1", "score": 1, "mood": "good"},
        b"no json",
        b"[]",
    ],
    ids=str,
)
def test_what_is_no_feedback_is_refused_with_what_to_send(through, document):
    async def scenario(gateway, provider):
        status, body = await say(gateway, document)
        assert status == 400
        assert body["error"]["type"] == "invalid_request_error"
        assert "Nothing was kept." in body["error"]["message"]
        assert gateway.wired.evidence.store.feedback() == []

    through(scenario)


def test_a_call_that_does_not_exist_is_not_spoken_of(through):
    async def scenario(gateway, provider):
        status, body = await say(gateway, {"call": "nobodys", "score": 1})
        assert (status, body["error"]["code"]) == (404, "unknown_call")
        assert gateway.wired.evidence.store.feedback() == []

    through(scenario)


def test_a_key_speaks_of_its_own_tenants_calls_only(through):
    async def scenario(gateway, provider):
        acme_key, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant="acme"))
        other_key, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant="other"))
        chief_key, _ = gateway.ring.create(VirtualKey(id="", digest="", may_administer=True))
        bearer = {"authorization": f"Bearer {acme_key}"}
        call = await a_call(gateway, provider, bearer)
        said = {"call": call, "score": "up"}
        assert (await say(gateway, said, bearer))[0] == 200
        status, body = await say(gateway, said, {"authorization": f"Bearer {other_key}"})
        assert (status, body["error"]["code"]) == (404, "unknown_call")
        assert (await say(gateway, said, {"authorization": f"Bearer {chief_key}"}))[0] == 200
        assert (await say(gateway, said))[0] == 401

    through(scenario)


def test_there_is_nothing_below_the_page(through):
    async def scenario(gateway, provider):
        status, _ = await say(gateway, {"call": "x", "score": 1}, None)
        status, _, _ = await gateway.post("/feedback/more", {})
        assert status == 404

    through(scenario)
