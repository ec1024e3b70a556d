"""What an answer says and what a request demands, in both protocols, also where forms are strange."""

from __future__ import annotations

import json

import pytest

from farthing.call import Endpoint
from farthing.codecs import (
    Demands,
    Said,
    add_models,
    demands_of,
    head_of,
    said_in,
    with_effort,
    write_models,
)

CHAT, MESSAGES = Endpoint.OPENAI_CHAT, Endpoint.ANTHROPIC_MESSAGES


def body(document):
    return json.dumps(document).encode()


def chat(message, finish="stop"):
    return body({"choices": [{"message": message, "finish_reason": finish}]})


def message(*blocks, stop="end_turn"):
    return body({"content": list(blocks), "stop_reason": stop})


@pytest.mark.parametrize(
    ("endpoint", "answer", "said"),
    [
        (CHAT, chat({"content": "hi"}), Said(text="hi")),
        (CHAT, chat({"content": None}), Said()),
        (CHAT, chat({"content": 5}), Said()),
        (
            CHAT,
            chat({"content": [{"type": "text", "text": "a"}, {"type": "other"}, "x"]}),
            Said(text="a"),
        ),
        (CHAT, chat({"content": "h"}, "length"), Said(text="h", is_cut=True)),
        (CHAT, chat({"refusal": "no"}), Said(is_refusal=True)),
        (
            CHAT,
            chat({"tool_calls": [{"function": {"name": "f", "arguments": '{"b":1,"a":2}'}}]}),
            Said(calls=(("f", '{"a":2,"b":1}'),)),
        ),
        (
            CHAT,
            chat({"function_call": {"name": "f", "arguments": "no json"}}),
            Said(calls=(("f", "no json"),)),
        ),
        (MESSAGES, message({"type": "text", "text": "hi"}), Said(text="hi")),
        (
            MESSAGES,
            message(
                {"type": "tool_use", "name": "f", "input": {"b": 1, "a": 2}}, stop="max_tokens"
            ),
            Said(calls=(("f", '{"a":2,"b":1}'),), is_cut=True),
        ),
        (MESSAGES, message(stop="refusal"), Said(is_refusal=True)),
        (CHAT, b"not json", None),
        (CHAT, b"{}", None),
        (CHAT, body({"choices": []}), None),
        (Endpoint.OPENAI_EMBEDDINGS, b"{}", None),
    ],
)
def test_an_answer_is_read_as_what_it_says(endpoint, answer, said):
    assert said_in(endpoint, answer) == said


SCHEMA = {"type": "object"}
TOOL = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("request_", "demands"),
    [
        ({"messages": []}, Demands()),
        ({"messages": [], "tools": TOOL}, Demands(tools=True)),
        ({"messages": [], "functions": TOOL}, Demands(tools=True)),
        ({"messages": [], "tools": []}, Demands()),
        ({"response_format": {"type": "json_object"}}, Demands(is_json=True)),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            Demands(is_json=True, schema=SCHEMA),
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            Demands(is_json=True, schema=SCHEMA),
        ),
        ({"output_config": {}}, Demands()),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            Demands(images=True),
        ),
        ({"messages": 5, "tools": TOOL}, Demands(tools=True)),
    ],
)
def test_a_request_tells_what_it_demands(request_, demands):
    assert demands_of(body(request_)) == demands


def test_the_word_image_in_a_text_demands_no_pictures():
    assert not demands_of(
        body({"messages": [{"role": "user", "content": 'an "image_url"'}]})
    ).images


def test_a_prompt_s_head_is_the_system_s_and_the_messages_text_in_order():
    asked = {
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "Two and more"},
            {"role": "user", "content": "never reached"},
        ],
    }
    assert head_of(body(asked), 14) == "Be kind.\nOne\nTwo"
    assert head_of(body(asked), 500).endswith("never reached")
    assert head_of(b"not json", 14) == ""


def test_an_effort_is_asked_for_where_the_request_names_none():
    asked = with_effort(CHAT, b'{"model":"m"}', "low")
    assert json.loads(asked) == {"model": "m", "reasoning_effort": "low"}
    assert with_effort(CHAT, asked, "high") == asked
    assert with_effort(MESSAGES, b"{}", "low") == b"{}"


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_models_are_added_before_a_provider_s_own_and_the_rest_stays(protocol):
    theirs = json.loads(write_models(protocol, ["a"])) | {"more": {"x": 1.50}}
    found = json.loads(add_models(protocol, json.dumps(theirs).encode(), ["farthing/auto"]))
    assert [model["id"] for model in found["data"]] == ["farthing/auto", "a"]
    assert found["more"] == {"x": 1.5}
    assert found.get("first_id") == (None if protocol == "openai" else "farthing/auto")


@pytest.mark.parametrize("theirs", [b"no json", b"{}", b'{"data": 5}', b"\xff"])
def test_a_list_of_models_that_can_t_be_read_stays_as_it_is(theirs):
    assert add_models("openai", theirs, ["farthing/auto"]) == theirs
