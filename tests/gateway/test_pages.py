from __future__ import annotations

import json

from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey
from farthing.gateway.vitals import WorkerVitals, write_vitals

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def test_health_tells_that_the_drainer_is_silent_before_it_ever_ran(through):
    async def scenario(gateway, provider):
        status, _, body = await gateway.get("/healthz")
        told = json.loads(body)
        assert status == 200
        assert told["status"] == "degraded"
        assert told["drainer"] == "silent"
        assert told["breakers"] == {"openai": "closed", "anthropic": "closed"}

    through(scenario)


def test_a_call_can_be_asked_for_by_its_id(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, headers, _ = await gateway.post(CHAT, ASK)
        status, _, body = await gateway.get(f"/api/calls/{headers['x-farthing-call']}")
        told = json.loads(body)
        assert status == 200
        assert told["cost_usd"] == "0.0035"
        assert told["attempts"][0]["usage"] == {"input": 1000, "output": 100}

    through(scenario)


def test_where_keys_exist_a_call_is_shown_to_its_tenant_and_to_administrators(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        made = [
            VirtualKey(id="", digest="", tenant=t, may_administer=t == "") for t in ("a", "b", "")
        ]
        own, other, admin = (
            {"authorization": f"Bearer {gateway.ring.create(key)[0]}"} for key in made
        )
        _, headers, _ = await gateway.post(CHAT, ASK, own)
        path = f"/api/calls/{headers['x-farthing-call']}"
        assert (await gateway.get(path, own))[0] == 200
        assert (await gateway.get(path, admin))[0] == 200
        assert (await gateway.get(path, other))[0] == 404
        assert (await gateway.get(path))[0] == 401

    through(scenario)


def test_where_keys_exist_metrics_are_for_administrators(through):
    async def scenario(gateway, provider):
        secret, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant="acme"))
        admin, _ = gateway.ring.create(
            VirtualKey(id="", digest="", tenant="ops", may_administer=True)
        )
        assert (await gateway.get("/metrics"))[0] == 401
        assert (await gateway.get("/metrics", {"authorization": f"Bearer {secret}"}))[0] == 403
        assert (await gateway.get("/metrics", {"authorization": f"Bearer {admin}"}))[0] == 200
        assert (await gateway.get("/healthz"))[0] == 200

    through(scenario)


def test_an_unknown_call_is_not_found(through):
    async def scenario(gateway, provider):
        status, _, body = await gateway.get("/api/calls/call_nope")
        assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_call")
        assert (await gateway.get("/api/other"))[0] == 404

    through(scenario)


def test_the_providers_model_list_passes_as_it_is(through):
    listing = b'{"object":"list","data":[{"id":"gpt-4o","object":"model"}]}'

    async def scenario(gateway, provider):
        provider.answers_json(listing)
        status, _, body = await gateway.get("/v1/models")
        assert (status, body) == (200, listing)
        assert provider.requests[0][0] == "GET /v1/models HTTP/1.1"
        await gateway.get("/v1/models?limit=5", {"anthropic-version": "2023-06-01"})
        assert provider.requests[1][0] == "GET /v1/models?limit=5 HTTP/1.1"
        assert provider.requests[1][1]["x-api-key"] == "sk-ant-upstream"

    through(scenario)


def test_a_limited_key_sees_only_its_models(through):
    async def scenario(gateway, provider):
        secret, _ = gateway.ring.create(
            VirtualKey(id="", digest="", tenant="acme", models=("gpt-4o", "o3"))
        )
        _, _, body = await gateway.get("/v1/models", {"authorization": f"Bearer {secret}"})
        assert [model["id"] for model in json.loads(body)["data"]] == ["gpt-4o", "o3"]
        assert provider.requests == []

    through(scenario)


LISTING = (
    b'{"object":"list","data":[{"id":"gpt-4o","x":1},{"id":"o3-mini","x":2},{"id":"gpt-5"}],'
    b'"first_id":"gpt-4o","last_id":"gpt-5"}'
)


def test_a_key_limited_by_a_pattern_sees_what_the_provider_has_of_it(through):
    async def scenario(gateway, provider):
        provider.answers_json(LISTING)
        secret, _ = gateway.ring.create(
            VirtualKey(id="", digest="", tenant="acme", models=("o3*", "gpt-5", "own"))
        )
        _, _, body = await gateway.get("/v1/models", {"authorization": f"Bearer {secret}"})
        listed = json.loads(body)
        assert [model["id"] for model in listed["data"]] == ["gpt-5", "own", "o3-mini"]
        assert listed["data"][-1] == {"id": "o3-mini", "x": 2}
        assert listed["last_id"] == "o3-mini"

    through(scenario)


def test_one_model_is_shown_to_a_limited_key_only_if_it_may_use_it(through):
    async def scenario(gateway, provider):
        provider.answers_json(b'{"id":"gpt-4o"}')
        secret, _ = gateway.ring.create(
            VirtualKey(id="", digest="", tenant="acme", models=("gpt-4o*", "ft:gpt*"))
        )
        bearer = {"authorization": f"Bearer {secret}"}
        status, _, body = await gateway.get("/v1/models/gpt-4o", bearer)
        assert (status, body) == (200, b'{"id":"gpt-4o"}')
        assert (await gateway.get("/v1/models/ft%3Agpt", bearer))[0] == 200
        status, _, body = await gateway.get("/v1/models/gpt-5", bearer)
        assert (status, json.loads(body)["error"]["code"]) == (403, "model_not_allowed")
        assert len(provider.requests) == 2

    through(scenario)


def test_metrics_show_the_gauges_of_every_worker(through, tmp_path):
    write_vitals(
        tmp_path / "run",
        WorkerVitals(slot=1, pid=2, at_us=3, calls_running=7, breakers={"openai": "open"}),
    )

    async def scenario(gateway, provider):
        status, headers, body = await gateway.get("/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b'farthing_calls_running{worker="0"} 0.0' in body
        assert b'farthing_calls_running{worker="1"} 7.0' in body
        assert b'farthing_breaker_open{provider="openai",worker="1"} 1.0' in body

    through(scenario)
