"""Requests and answers pass as they are: bytes, numbers, sizes, errors and the headers beside them."""

from __future__ import annotations

import gzip
import json

import pytest
from fakes import CHAT_ANSWER
from packing import zstd

from farthing.config import load_config
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
EMBEDDINGS = "/v1/embeddings"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}

# Everything in these must arrive as it was written: order, white space, floats, escapes, null
# beside absent, members that no specification knows.
CHAT_BODY = (
    rb'{"messages":[{"role":"user","content":[{"type":"text","text":"Z\u00fcrich \ud83d\ude00"},'
    rb'{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]},'
    rb'{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":'
    rb'{"name":"f","arguments":"{\"a\": 1}"}}]},{"role":"tool","tool_call_id":"call_1","content":"ok"}],'
    b'\n  "model" :  "gpt-4o",  "temperature":1.0,"top_p":1e0,"seed":12345678901234567890,"n":2,'
    b'"logprobs":true,"top_logprobs":3,"logit_bias":{"50256":-100},"stop":null,"tools":[{"type":'
    b'"function","function":{"name":"f","strict":true,"parameters":{"type":"object"}}}],'
    b'"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}},'
    b'"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"x",'
    b'"schema":{"b":1,"a":2}}},"prediction":{"type":"content","content":"x"},"store":true,'
    b'"prompt_cache_key":"k","safety_identifier":"u-1","max_completion_tokens":50,'
    b'"x_extra_body":{"deep":[1.10,{"null":null}]},"metadata":{"k":"v"}}\r\n'
)
MESSAGES_BODY = (
    b'{"model":"claude-sonnet-4-5","max_tokens":64,"thinking":{"type":"enabled","budget_tokens":1024},'
    b'"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],'
    b'"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":'
    b'[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]},'
    b'{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"c2ln"},'
    b'{"type":"redacted_thinking","data":"eA=="}]}],"metadata":{"user_id":null},"top_k":5,'
    b'"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}],"new_field":1e-7}'
)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, CHAT_BODY),
        (MESSAGES, MESSAGES_BODY),
        (COUNT, MESSAGES_BODY),
        (EMBEDDINGS, b'{"input":["a",[1,2]],"model":"text-embedding-3-small","dimensions":8.0}'),
    ],
    ids=["chat", "messages", "count_tokens", "embeddings"],
)
def test_a_request_reaches_the_provider_byte_for_byte(through, path, body):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        assert (await gateway.post(path, body))[0] == 200
        line, _, sent = provider.requests[0]
        assert (line, sent) == (f"POST {path} HTTP/1.1", body)

    through(scenario)


def test_an_alias_changes_the_model_on_its_way_out_and_no_other_byte(through):
    body = CHAT_BODY.replace(b'"gpt-4o"', b'"fast"')

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, _, got = await gateway.post(CHAT, body)
        assert provider.requests[0][2] == CHAT_BODY
        assert json.loads(got) == CHAT_ANSWER  # it names the model that served

    through(scenario, models={"fast": {"targets": ["openai/gpt-4o"]}})


LIMITS = {
    "openai": [
        "retry-after: 17",
        "retry-after-ms: 17000",
        "x-ratelimit-limit-requests: 5000",
        "x-ratelimit-remaining-tokens: 149984",
        "x-ratelimit-reset-tokens: 6ms",
        "x-request-id: req_1",
        "openai-processing-ms: 41",
        "openai-version: 2020-10-01",
        "openai-organization: org-1",
        "x-unknown: kept",
    ],
    "anthropic": [
        "retry-after: 17",
        "anthropic-ratelimit-requests-limit: 50",
        "anthropic-ratelimit-input-tokens-reset: 2026-11-25T00:00:00Z",
        "anthropic-organization-id: o-1",
        "request-id: req_2",
    ],
}
ERRORS = [
    (CHAT, 400, b'{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"c"}}'),
    (CHAT, 401, b'{ "error": {"message": "bad key", "code": "invalid_api_key"} }'),
    (CHAT, 403, b'{"error":{"code":"unsupported_country_region_territory"}}'),
    (CHAT, 404, b'{"error":{"code":"model_not_found"}}'),
    (CHAT, 409, b'{"error":{}}'),
    (CHAT, 413, b"<html>413</html>"),
    (CHAT, 422, b'{"error":{}}'),
    (CHAT, 429, b'{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}'),
    (CHAT, 500, b'{"error":{"type":"server_error"}}'),
    (CHAT, 502, b"<html>bad gateway</html>"),
    (CHAT, 503, b""),
    (EMBEDDINGS, 400, b'{"error":{"param":"input"}}'),
    (MESSAGES, 400, b'{"type":"error","error":{"type":"invalid_request_error","message":"m"}}'),
    (MESSAGES, 413, b'{"type":"error","error":{"type":"request_too_large","message":"m"}}'),
    (MESSAGES, 429, b'{"type":"error","error":{"type":"rate_limit_error","message":"m"}}'),
    (MESSAGES, 529, b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}'),
    (COUNT, 404, b'{"type":"error","error":{"type":"not_found_error","message":"m"}}'),
]


@pytest.mark.parametrize(("path", "code", "body"), ERRORS)
def test_a_providers_error_is_the_clients_to_the_byte_and_costs_nothing(through, path, code, body):
    own = LIMITS["anthropic" if path.startswith(MESSAGES) else "openai"]

    async def scenario(gateway, provider):
        provider.answers_json(body, code, own)
        status, told, got = await gateway.post(path, ASK | {"input": "x", "max_tokens": 9})
        assert (status, got, told["content-type"]) == (code, body, "application/json")
        assert [line for line in own if line not in {f"{n}: {v}" for n, v in told.items()}] == []
        (entry,) = await gateway.settled()
        assert (entry.status, entry.cost) == (CallStatus.ERROR, Money(0))
        assert entry.attempts[0].request_id in ("req_1", "req_2")

    through(scenario, retry={"retries_max": 0})


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_the_providers_headers_pass_and_those_of_one_connection_end_here(through, path):
    own = LIMITS["anthropic" if path == MESSAGES else "openai"]
    hops = ["keep-alive: timeout=5", "proxy-authenticate: Basic", "set-cookie: __cf_bm=1"]

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER, headers=[*own, *hops])
        _, told, _ = await gateway.post(path, ASK | {"max_tokens": 9})
        assert [line for line in own if line not in {f"{n}: {v}" for n, v in told.items()}] == []
        assert [
            name for name in ("keep-alive", "proxy-authenticate", "set-cookie") if name in told
        ] == []

    through(scenario)


def test_a_body_of_many_megabytes_passes_whole_and_is_read_once(through):
    image = "data:image/png;base64," + "QUJD" * (5 << 20)
    parts = [{"type": "image_url", "image_url": {"url": image}}]
    body = json.dumps(ASK | {"messages": [{"role": "user", "content": parts}]}).encode()

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        status, _, _ = await gateway.post(CHAT, body)
        assert status == 200
        assert provider.requests[0][2] == body
        (intent,) = gateway.journal.intents
        assert intent.attempts[0].usage.input < 5000  # base64 is no text

    assert len(body) > 20_000_000
    through(scenario)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(CHAT, "request_too_large"), (MESSAGES, "request_too_large"), (COUNT, "request_too_large")],
)
def test_a_body_over_the_limit_is_a_413_in_the_callers_protocol(through, path, kind):
    async def scenario(gateway, provider):
        reader, writer = await gateway.connect()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {1 << 40}\r\n\r\n"
        writer.write(head.encode())
        answered = await reader.read()
        writer.close()
        head, _, got = answered.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        error = json.loads(got)["error"]
        assert error["type"] == kind
        assert "Nothing was sent" in error["message"]
        assert provider.requests == []

    through(scenario)


@pytest.mark.parametrize(
    ("pack", "encoding"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")], ids=["gzip", "zstd"]
)
def test_an_answer_that_comes_compressed_unasked_is_read_and_passed_on_plain(
    through, pack, encoding
):
    plain = json.dumps(CHAT_ANSWER).encode()

    async def scenario(gateway, provider):
        provider.answers_json(pack(plain), headers=[f"content-encoding: {encoding}"])
        _, told, got = await gateway.post(CHAT, ASK)
        assert got == plain
        assert "content-encoding" not in told
        assert told["content-length"] == str(len(plain))
        assert gateway.journal.entries[0].cost == Money.usd("0.0035")

    through(scenario)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"\x1f\x8bno gzip", "gzip"), (b"\x28\xb5\x2f\xfd no zstd", "zstd"), (b"(br)", "br")],
)
def test_an_answer_that_cannot_be_unpacked_passes_as_it_came_and_is_flagged(
    through, body, encoding
):
    async def scenario(gateway, provider):
        provider.answers_json(body, headers=[f"content-encoding: {encoding}"])
        _, told, got = await gateway.post(CHAT, ASK)
        assert (told["content-encoding"], got) == (encoding, body)
        (attempt,) = gateway.journal.entries[0].attempts
        assert attempt.usage.is_estimated
        assert attempt.detail != ""

    through(scenario)


def test_an_sdks_default_of_ten_minutes_is_not_cut_short():
    times = load_config({}, {}).timeouts
    assert times.first_byte_s >= 600
    assert times.total_s >= 600
    assert times.connect_s < times.idle_s < times.total_s


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_missing_max_tokens_is_for_the_provider_to_judge(through, path):
    async def scenario(gateway, provider):
        provider.answers_json(b'{"error":{"message":"max_tokens: Field required"}}', 400)
        await gateway.post(path, ASK)
        assert json.loads(provider.requests[0][2]) == ASK

    through(scenario)


def test_counting_tokens_passes_as_it_is_and_costs_nothing(through):
    async def scenario(gateway, provider):
        provider.answers_json(b'{ "input_tokens": 2095 }', headers=["request-id: r"])
        status, told, got = await gateway.post(COUNT, ASK | {"model": "claude-sonnet-4-5"})
        assert (status, got) == (200, b'{ "input_tokens": 2095 }')
        assert (told["x-farthing-cost"], told["request-id"]) == ("0.00", "r")
        (entry,) = gateway.journal.entries
        assert (entry.status, entry.cost, entry.unpriced) == (CallStatus.OK, Money(0), 0)

    through(scenario)
