"""OpenAI's wire format, field by field.

Expected fields and order: platform.openai.com/docs/api-reference/chat/object, /chat-streaming
and /embeddings, as read on 2026-11-24.
"""

from __future__ import annotations

import base64
import json
from array import array

import pytest
from sim_asking import ask, body_of, chat, chunks_of, engine, json_of

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
COMPLETION = ["id", "object", "created", "model", "choices", "usage", "service_tier"]
CHUNK = ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"]
USAGE = ["prompt_tokens", "completion_tokens", "total_tokens"]
DETAILS = ["prompt_tokens_details", "completion_tokens_details"]


def test_a_completion_has_the_documented_fields_in_order():
    answer = json_of(chat(engine()))
    assert list(answer) == [*COMPLETION, "system_fingerprint"]
    assert list(answer["choices"][0]) == ["index", "message", "logprobs", "finish_reason"]
    assert list(answer["choices"][0]["message"]) == ["role", "content", "refusal", "annotations"]
    assert list(answer["usage"]) == [*USAGE, *DETAILS]
    assert answer["object"] == "chat.completion"
    assert answer["created"] == 1_764_000_000


def test_chunks_share_id_and_time_and_end_with_done():
    script = chat(engine(), stream=True)
    chunks = chunks_of(script)
    assert body_of(script).endswith(b"\n\ndata: [DONE]\n\n")
    assert {json.dumps([chunk[name] for name in CHUNK[:6]]) for chunk in chunks} == {
        json.dumps([chunks[0][name] for name in CHUNK[:6]])
    }
    assert list(chunks[0]) == [*CHUNK, "obfuscation"]
    assert chunks[0]["object"] == "chat.completion.chunk"


def test_the_role_comes_first_and_once_and_the_finish_reason_with_an_empty_delta():
    chunks = chunks_of(chat(engine(), stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert all(list(delta) == ["content"] for delta in deltas[1:-1])
    assert deltas[-1] == {}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]


def test_usage_comes_in_a_chunk_without_choices_and_is_null_in_all_others():
    chunks = chunks_of(chat(engine(), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert list(chunks[-1]["usage"]) == [*USAGE, *DETAILS]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_usage_is_absent_from_a_stream_that_did_not_ask_for_it():
    assert all("usage" not in chunk for chunk in chunks_of(chat(engine(), stream=True)))


def test_obfuscation_can_be_declined():
    options = {"include_obfuscation": False}
    chunks = chunks_of(chat(engine(), stream=True, stream_options=options))
    assert all("obfuscation" not in chunk for chunk in chunks)


@pytest.mark.parametrize("options", [{}, {"n": 3}, {"model": "o4-mini"}], ids=str)
def test_a_stream_says_what_the_whole_answer_says(options):
    whole = json_of(chat(engine(), **options))
    streamed = chunks_of(
        chat(engine(), stream=True, stream_options={"include_usage": True}, **options)
    )
    texts = dict.fromkeys(range(options.get("n", 1)), "")
    for chunk in streamed:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert list(texts.values()) == [c["message"]["content"] for c in whole["choices"]]
    assert streamed[-1]["usage"] == whole["usage"]


def test_parallel_tool_calls_stream_their_arguments_by_index():
    options = {
        "tools": [WEATHER, WEATHER],
        "tool_choice": "required",
        "stream": True,
    }
    chunks = chunks_of(chat(engine(), {"x-sim-tool-calls": "2"}, **options))
    calls = {}
    for chunk in chunks[1:-1]:
        (part,) = chunk["choices"][0]["delta"]["tool_calls"]
        call = calls.setdefault(part["index"], {"arguments": ""})
        if "id" in part:
            assert list(part) == ["index", "id", "type", "function"]
            call["id"] = part["id"]
        else:
            assert list(part) == ["index", "function"]
        call["arguments"] += part["function"]["arguments"]
    assert sorted(calls) == [0, 1]
    assert calls[0]["id"] != calls[1]["id"]
    assert all(list(json.loads(call["arguments"])) == ["city"] for call in calls.values())
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "finish"),
    [("none", "stop"), ("auto", "tool_calls"), ("required", "tool_calls")],
)
def test_tool_choice_is_respected(choice, finish):
    answer = json_of(chat(engine(), tools=[WEATHER], tool_choice=choice))
    assert answer["choices"][0]["finish_reason"] == finish


def test_a_named_tool_is_the_one_called():
    other = {"type": "function", "function": {"name": "other", "parameters": {}}}
    named = {"type": "function", "function": {"name": "other"}}
    answer = json_of(chat(engine(), tools=[WEATHER, other], tool_choice=named))
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "other"


def test_the_limit_on_output_cuts_text_and_usage():
    answer = json_of(chat(engine(), max_completion_tokens=5))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    assert len(answer["choices"][0]["message"]["content"]) == 20


def test_logprobs_spell_the_answer():
    choice = json_of(chat(engine(), logprobs=True, top_logprobs=2))["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(part["token"] for part in content) == choice["message"]["content"]
    assert list(content[0]) == ["token", "logprob", "bytes", "top_logprobs"]
    assert len(content[0]["top_logprobs"]) == 2


def test_the_service_tier_asked_for_is_served():
    assert json_of(chat(engine(), service_tier="flex"))["service_tier"] == "flex"
    assert json_of(chat(engine(), service_tier="auto"))["service_tier"] == "default"


@pytest.mark.parametrize(("text", "size"), [("one", 8), ([1, 2, 3], 4)], ids=["text", "tokens"])
def test_embeddings_are_unit_vectors_and_the_same_in_base64(text, size):
    asked = {"model": "text-embedding-3-small", "input": text, "dimensions": size}
    plain = json_of(ask(engine(), "/v1/embeddings", asked))
    packed = json_of(ask(engine(), "/v1/embeddings", {**asked, "encoding_format": "base64"}))
    vector = plain["data"][0]["embedding"]
    unpacked = array("f", base64.b64decode(packed["data"][0]["embedding"])).tolist()
    assert list(plain) == ["object", "data", "model", "usage"]
    assert list(plain["data"][0]) == ["object", "index", "embedding"]
    assert unpacked == vector
    assert len(vector) == size
    assert sum(value * value for value in vector) == pytest.approx(1)


def test_models_are_listed_and_shown():
    listed = json_of(ask(engine(), "/v1/models", method="GET"))
    assert list(listed) == ["object", "data"]
    assert listed["data"][0] == json_of(ask(engine(), "/v1/models/gpt-4o", method="GET"))
    assert list(listed["data"][0]) == ["id", "object", "created", "owned_by"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "expected"),
    [
        ("/v1/chat/completions", {"authorization": ""}, b"{}", 401, (None, None)),
        (
            "/v1/chat/completions",
            {"authorization": "Bearer sk-invalid"},
            b"{}",
            401,
            ("invalid_api_key", None),
        ),
        ("/v1/chat/completions", {}, b"{", 400, (None, None)),
        ("/v1/chat/completions", {}, b"{}", 400, ("missing_required_parameter", "model")),
        (
            "/v1/chat/completions",
            {},
            {"model": "gpt-4o", "messages": [{"content": "x"}]},
            400,
            ("missing_required_parameter", "messages[0].role"),
        ),
        (
            "/v1/chat/completions",
            {},
            {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "n": 0},
            400,
            ("integer_below_min_value", "n"),
        ),
        (
            "/v1/chat/completions",
            {},
            {"model": "none", "messages": [{"role": "user", "content": "x"}]},
            404,
            ("model_not_found", None),
        ),
        ("/v1/nothing", {}, b"{}", 404, (None, None)),
        ("/v1/embeddings", {}, {"model": "gpt-4o", "input": ""}, 400, (None, "input")),
    ],
)
def test_errors_have_openai_s_shape(path, headers, body, status, expected):
    script = ask(engine(), path, body, headers=headers)
    error = json_of(script)["error"]
    assert script.status == status
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["code"], error["param"]) == expected
    assert error["type"] == "invalid_request_error"


def test_answers_carry_openai_s_headers():
    names = {name for name, _ in chat(engine()).headers}
    assert {
        b"x-request-id",
        b"openai-organization",
        b"openai-processing-ms",
        b"openai-version",
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-tokens",
    } <= names


def test_a_body_over_the_limit_is_refused():
    script = chat(engine(body_bytes_max=100), messages=[{"role": "user", "content": "x" * 200}])
    assert script.status == 413
