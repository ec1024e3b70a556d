"""What is read of requests: all kinds of content, and the words for what is wrong."""

from __future__ import annotations

import pytest
from sim_asking import USER, ask, chat, engine, json_of, message

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {}}}}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def openai_tokens(*content):
    asked = chat(engine(), messages=[{"role": "user", "content": list(content)}])
    return json_of(asked)["usage"]["prompt_tokens"]


def anthropic_tokens(*content):
    asked = message(engine(), messages=[{"role": "user", "content": list(content)}])
    return json_of(asked)["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "text", "text": "four" * 10}, 10),
        ({"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}}, 85),
        ({"type": "image_url", "image_url": {"url": "https://x/y"}}, 765),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, 250),
        ({"type": "file", "file": {"file_id": "f"}}, 1500),
    ],
    ids=["text", "low image", "image", "audio", "file"],
)
def test_each_kind_of_openai_part_counts(part, tokens):
    assert openai_tokens(part) - openai_tokens() == tokens


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"type": "text", "text": "four" * 10}, 10),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y"}}, 1334),
        ({"type": "document", "source": {"type": "url", "url": "https://x/y"}}, 2000),
        ({"type": "tool_result", "tool_use_id": "t", "content": "four" * 10}, 11),
    ],
    ids=["text", "image", "document", "tool result"],
)
def test_each_kind_of_anthropic_block_counts(block, tokens):
    empty = {"type": "text", "text": ""}
    assert anthropic_tokens(block) - anthropic_tokens(empty) == tokens


def test_a_conversation_with_calls_and_thinking_counts_them():
    turns = [
        *USER,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "four" * 5, "signature": "s"},
                {"type": "tool_use", "id": "t", "name": "look", "input": {"at": "x"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "y"}]},
    ]
    answer = json_of(message(engine(), messages=turns, tools=[LOOK]))
    assert answer["stop_reason"] == "end_turn"
    assert answer["usage"]["input_tokens"] > 340
    messages = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [CALLED], "name": "helper"},
        {"role": "tool", "tool_call_id": "call_1", "content": "y"},
    ]
    answer = json_of(chat(engine(), messages=messages, tools=[TOOL]))
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "any", "disable_parallel_tool_use": True}, ["look"]),
        ({"type": "tool", "name": "other"}, ["other"]),
        ({"type": "none"}, []),
    ],
    ids=["any", "tool", "none"],
)
def test_anthropic_s_tool_choice_is_respected(choice, names):
    tools = [LOOK, {**LOOK, "name": "other"}]
    content = json_of(message(engine(), tools=tools, tool_choice=choice))["content"]
    assert [block["name"] for block in content if block["type"] == "tool_use"] == names


def test_calls_that_do_not_fit_the_limit_become_cut_text():
    answer = json_of(chat(engine(), tools=[TOOL], tool_choice="required", max_tokens=3))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


def test_structured_output_is_json_in_both_protocols():
    schema = {"type": "object", "properties": {"n": {"const": 7}}}
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = json_of(chat(engine(), response_format=named))
    assert answer["choices"][0]["message"]["content"] == '{"n":7}'
    asked = {"format": {"type": "json_schema", "schema": schema}}
    assert json_of(message(engine(), output_config=asked))["content"][0]["text"] == '{"n":7}'
    plain = json_of(chat(engine(), response_format={"type": "text"}))
    assert not plain["choices"][0]["message"]["content"].startswith("{")


def test_effort_decides_how_much_is_thought():
    def thought(effort):
        options = {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
        answer = json_of(message(engine(), max_tokens=20_000, **options))
        return answer["usage"]["output_tokens_details"]["thinking_tokens"]

    assert thought("low") < thought("medium") < thought("max")


def test_a_mark_on_the_whole_request_caches_all_of_it():
    asked = engine()
    long = [{"role": "user", "content": "An order can be returned. " * 300}]
    options = {"messages": long, "tools": [LOOK], "cache_control": {"type": "ephemeral"}}
    first, second = (json_of(message(asked, **options))["usage"] for _ in range(2))
    assert first["cache_creation_input_tokens"] == second["cache_read_input_tokens"] > 1024
    assert first["input_tokens"] == second["input_tokens"] == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"messages": "x"}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: at least one message is required"),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            "messages.0.role: Input should be a valid value",
        ),
        ({"temperature": 2}, "temperature: Input should be less than or equal to 1"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ],
    ids=["type", "empty", "role", "above", "below"],
)
def test_anthropic_says_what_is_wrong_and_where(change, text):
    script = message(engine(), **change)
    assert script.status == 400
    assert json_of(script)["error"]["message"].startswith(text)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": 3}, "invalid_type", "messages"),
        ({"top_p": 2}, "decimal_above_max_value", "top_p"),
    ],
    ids=["role", "type", "above"],
)
def test_openai_says_what_is_wrong_and_where(change, code, param):
    error = json_of(chat(engine(), **change))["error"]
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/chat/completions", "GET", 405),
        ("/v1/messages", "GET", 405),
        ("/v1/messages/unknown", "POST", 404),
        ("/v1/models", "POST", 405),
        ("/v1/models/none", "GET", 404),
        ("/anthropic/v1/models/none", "GET", 404),
    ],
)
def test_other_methods_and_paths_are_refused(path, method, status):
    headers = {"x-api-key": "k", "authorization": "Bearer k"}
    if path.startswith("/anthropic"):
        headers["anthropic-version"] = "2023-06-01"
    assert ask(engine(), path, method=method, headers=headers).status == status


@pytest.mark.parametrize("given", [[], [""], ["x"] * 2049, [{"a": 1}]], ids=str)
def test_wrong_embedding_inputs_are_refused(given):
    body = {"model": "text-embedding-3-small", "input": given}
    assert ask(engine(), "/v1/embeddings", body).status == 400


def test_embeddings_and_counts_fail_when_told_to():
    headers = {"x-sim-fault": "close"}
    body = {"model": "text-embedding-3-small", "input": "x"}
    assert ask(engine(), "/v1/embeddings", body, headers=headers).status == 0
    without = ask(engine(), "/v1/embeddings", body, headers={"x-sim-fault": "no_usage"})
    assert "usage" not in json_of(without)
    counted = {"model": "claude-sonnet-5-5", "messages": USER}
    script = ask(engine(), "/v1/messages/count_tokens", counted, headers=headers)
    assert script.status == 0


def test_only_the_keys_given_are_taken():
    asked = engine(keys=("sk-only",))
    assert chat(asked).status == 401
    assert chat(asked, {"authorization": "Bearer sk-only"}).status == 200
