"""What people see of requests and answers."""

from __future__ import annotations

import json

import pytest

from farthing.call import Endpoint
from farthing.codecs import asked_text, question_body, shown, unstreamed, with_tier

CHAT, MESSAGES = Endpoint.OPENAI_CHAT, Endpoint.ANTHROPIC_MESSAGES


def chat(**message):
    return json.dumps({"choices": [{"message": {"role": "assistant", **message}}]}).encode()


def message(*blocks):
    return json.dumps({"type": "message", "content": list(blocks)}).encode()


CALL = {"id": "1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}


@pytest.mark.parametrize(
    ("endpoint", "body", "text"),
    [
        (CHAT, chat(content="Hello"), "Hello"),
        (CHAT, chat(content=[{"type": "text", "text": "Hel"}, {"text": "lo"}, "x"]), "Hello"),
        (CHAT, chat(content=None, refusal="I can't"), "I can't"),
        (CHAT, chat(content=None), ""),
        (
            MESSAGES,
            message({"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}),
            "Hello",
        ),
        (MESSAGES, message({"type": "thinking", "thinking": "hm"}), ""),
        (CHAT, b"{}", ""),
        (CHAT, b"no json", ""),
        (CHAT, b"[]", ""),
        (MESSAGES, b'{"content": [3]}', ""),
        (Endpoint.OPENAI_EMBEDDINGS, b'{"data": []}', ""),
    ],
    ids=str,
)
def test_the_text_of_an_answer(endpoint, body, text):
    assert shown(endpoint, body).text == text


def test_tool_calls_are_told_alike_in_both_protocols():
    wanted = [{"name": "refund", "arguments": {"order": 7}}]
    in_chat = json.loads(shown(CHAT, chat(content=None, tool_calls=[CALL])).tools)
    block = {"type": "tool_use", "id": "1", "name": "refund", "input": {"order": 7}}
    in_message = json.loads(shown(MESSAGES, message(block)).tools)
    assert in_message == wanted
    assert json.loads(in_chat[0]["arguments"]) == wanted[0]["arguments"]
    assert shown(CHAT, chat(content="Hello")).tools == ""


def test_a_stream_shows_what_its_pieces_amount_to():
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Hel", "lo")]
    body = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    assert shown(CHAT, body + b"data: [DONE]\n\n", is_stream=True).text == "Hello"
    assert shown(CHAT, b"data: {}\n\n", is_stream=True).text == ""
    events = [
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    ]
    body = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)
    assert shown(MESSAGES, body, is_stream=True).text == "Hi"


def test_a_request_as_a_judge_reads_it():
    body = json.dumps(
        {
            "system": [{"type": "text", "text": "Be kind."}],
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
                "odd",
            ],
        }
    ).encode()
    assert asked_text(body) == "system: Be kind.\n\nuser: Hi\n\nassistant: Yes?"
    assert asked_text(b"no json") == asked_text(b"[1]") == asked_text(b"{}") == ""


def test_a_request_to_be_answered_whole_keeps_every_other_byte():
    body = b'{"model": "m",  "stream": true, "stream_options": {"x": 1}, "temperature": 1.0}'
    assert unstreamed(body) == b'{"model": "m", "temperature": 1.0}'
    assert unstreamed(b'{"model":"m"}') == b'{"model":"m"}'


def test_a_tier_is_asked_for_where_the_protocol_has_one():
    assert with_tier(CHAT, b'{"model":"m","service_tier":"auto"}', "flex") == (
        b'{"model":"m","service_tier":"flex"}'
    )
    assert with_tier(CHAT, b'{"model":"m"}', "") == b'{"model":"m"}'
    assert with_tier(MESSAGES, b'{"model":"m"}', "flex") == b'{"model":"m"}'


@pytest.mark.parametrize(
    ("endpoint", "limit"), [(CHAT, "max_completion_tokens"), (MESSAGES, "max_tokens")]
)
def test_a_question_is_a_request_of_its_protocol(endpoint, limit):
    asked = json.loads(question_body(endpoint, "m", "Which?", 512))
    assert asked == {
        "model": "m",
        limit: 512,
        "messages": [{"role": "user", "content": "Which?"}],
    }
