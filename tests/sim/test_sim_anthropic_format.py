"""Anthropic's wire format, field by field.

Expected fields and order: docs.claude.com/en/api/messages, /build-with-claude/streaming and
/api/errors, as read on 2026-11-24.
"""

from __future__ import annotations

import json

import pytest
from sim_asking import ask, engine, events_of, json_of, message

MESSAGE = ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"]
USAGE = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "output_tokens",
]
TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}


def test_a_message_has_the_documented_fields_in_order():
    answer = json_of(message(engine()))
    assert list(answer) == MESSAGE
    assert list(answer["usage"]) == [*USAGE, "service_tier", "inference_geo"]
    assert answer["content"][0]["type"] == "text"
    assert answer["stop_reason"] == "end_turn"


def test_a_text_stream_has_the_documented_events():
    events = events_of(message(engine(), stream=True, max_tokens=3))
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(name == data["type"] for name, data in events)
    start = events[0][1]["message"]
    assert list(start) == MESSAGE
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["output_tokens"] == 1
    delta = events[-2][1]
    assert delta["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert delta["usage"]["output_tokens"] == 3


@pytest.mark.parametrize(
    "options",
    [{}, THINKING, {"tools": [TOOL]}, {"stop_sequences": ["."]}],
    ids=["text", "thinking", "tools", "stop sequence"],
)
def test_a_stream_says_what_the_whole_message_says(options):
    whole = json_of(message(engine(), **options))
    events = events_of(message(engine(), stream=True, **options))
    blocks = {}
    for name, data in events:
        if name == "content_block_start":
            blocks[data["index"]] = {**data["content_block"], "json": ""}
        elif name == "content_block_delta":
            block, delta = blocks[data["index"]], data["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] += delta["signature"]
                case "input_json_delta":
                    block["json"] += delta["partial_json"]
    for block in blocks.values():
        if text := block.pop("json"):
            block["input"] = json.loads(text)
    ending = events[-2][1]
    assert list(blocks.values()) == whole["content"]
    assert ending["delta"]["stop_reason"] == whole["stop_reason"]
    assert ending["delta"]["stop_sequence"] == whole["stop_sequence"]
    assert ending["usage"].items() <= whole["usage"].items()


def test_thinking_deltas_come_before_the_signature():
    events = events_of(message(engine(), stream=True, **THINKING))
    kinds = [data["delta"]["type"] for name, data in events if name == "content_block_delta"]
    assert kinds[kinds.index("signature_delta") - 1] == "thinking_delta"
    assert kinds.count("signature_delta") == 1
    assert "thinking_delta" not in kinds[kinds.index("signature_delta") :]


def test_tokens_are_counted_as_a_message_would_count_them():
    counted = json_of(
        ask(
            engine(),
            "/v1/messages/count_tokens",
            {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "How?"}]},
        )
    )
    answer = json_of(message(engine(), messages=[{"role": "user", "content": "How?"}]))
    assert counted == {"input_tokens": answer["usage"]["input_tokens"]}


def test_models_have_anthropic_s_shape_when_its_version_header_is_sent():
    headers = {"anthropic-version": "2023-06-01", "x-api-key": "k"}
    listed = json_of(ask(engine(), "/v1/models", method="GET", headers=headers))
    assert list(listed) == ["data", "has_more", "first_id", "last_id"]
    assert {"type", "id", "display_name", "created_at"} <= set(listed["data"][0])


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind", "text"),
    [
        ({"x-api-key": ""}, {}, 401, "authentication_error", "x-api-key header is required"),
        ({"x-api-key": "invalid"}, {}, 401, "authentication_error", "invalid x-api-key"),
        (
            {"anthropic-version": ""},
            {},
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        ({}, {}, 400, "invalid_request_error", "model: Field required"),
        (
            {},
            {"model": "none", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]},
            404,
            "not_found_error",
            "model: none",
        ),
    ],
    ids=["no key", "bad key", "no version", "no model", "unknown model"],
)
def test_errors_have_anthropic_s_shape(headers, body, status, kind, text):
    script = ask(engine(), "/v1/messages", body, headers=headers)
    found = json_of(script)
    assert script.status == status
    assert list(found) == ["type", "error", "request_id"]
    assert found["type"] == "error"
    assert found["error"] == {"type": kind, "message": text}
    assert found["request_id"].encode() == dict(script.headers)[b"request-id"]


def test_answers_carry_anthropic_s_headers():
    names = {name for name, _ in message(engine()).headers}
    assert {
        b"request-id",
        b"anthropic-organization-id",
        b"anthropic-ratelimit-requests-limit",
        b"anthropic-ratelimit-input-tokens-remaining",
        b"anthropic-ratelimit-output-tokens-reset",
    } <= names
