"""The official Python SDKs against the simulator itself."""

from __future__ import annotations

import json

import pytest
import scenarios
from scenarios import Target
from sim_thread import running_simulator

from farthing.sim import INSTANT, Rule, SimSettings


@pytest.fixture(scope="module")
def target():
    with running_simulator() as simulator:
        yield Target(simulator.base_url)


@pytest.fixture(scope="module")
def twins():
    with running_simulator() as first, running_simulator() as second:
        yield Target(first.base_url), Target(second.base_url)


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_every_scenario_gives_equal_results_on_equal_simulators(twins, name):
    first, second = (scenarios.SCENARIOS[name](twin) for twin in twins)
    assert json.dumps(first) == json.dumps(second)


def test_a_chat_answer_has_text_and_usage_that_adds_up(target):
    answer = scenarios.openai_chat(target)["parsed"]
    usage = answer["usage"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["completion_tokens"] == -(-len(answer["choices"][0]["message"]["content"]) // 4)


def test_a_streamed_answer_is_the_whole_answer_in_pieces(target):
    whole = scenarios.openai_chat(target)["parsed"]
    final = scenarios.openai_stream_helper(target)["final"]
    assert final["id"] == whole["id"]
    assert final["choices"][0]["message"]["content"] == whole["choices"][0]["message"]["content"]


def test_a_streamed_message_is_the_whole_message_in_pieces(target):
    whole = scenarios.anthropic_message_async(target)["answer"]
    streamed = scenarios.anthropic_stream_helper(target)
    assert streamed["final"]["content"][0]["text"] == whole["content"][0]["text"]
    assert streamed["text"] == whole["content"][0]["text"]
    assert streamed["final"]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_tools_are_called_in_parallel_and_then_answered(target):
    openai_tools = scenarios.openai_tools(target)
    calls = openai_tools["first"]["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_forecast"]
    assert all(json.loads(call["function"]["arguments"])["city"] for call in calls)
    assert openai_tools["first"]["choices"][0]["finish_reason"] == "tool_calls"
    assert openai_tools["second"]["choices"][0]["message"]["content"]
    anthropic_tools = scenarios.anthropic_tools(target)
    assert [b["type"] for b in anthropic_tools["first"]["content"]] == ["tool_use", "tool_use"]
    assert anthropic_tools["first"]["stop_reason"] == "tool_use"
    assert anthropic_tools["second"]["stop_reason"] == "end_turn"


def test_structured_answers_fit_their_schema(target):
    for parsed in (
        scenarios.openai_parse(target)["parsed"],
        scenarios.anthropic_parse(target)["parsed"],
    ):
        assert set(parsed) == {"order", "amount", "reasons"}
    assert scenarios.openai_json_object(target)["answer"]


def test_reasoning_is_counted_inside_output(target):
    usage = scenarios.openai_reasoning(target)["usage"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < reasoning < usage["completion_tokens"]
    thinking = scenarios.anthropic_thinking(target)
    assert [block["type"] for block in thinking["final"]["content"]] == ["thinking", "text"]
    assert thinking["whole"]["content"] == thinking["final"]["content"]


def test_the_second_long_prompt_is_read_from_the_cache():
    with running_simulator() as simulator:
        target = Target(simulator.base_url)
        first, second = scenarios.openai_prompt_caching(target)
        assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert cached >= 1024
        assert cached % 128 == 0
        first, second = scenarios.anthropic_prompt_caching(target)
        written = first["usage"]["cache_creation"]["ephemeral_1h_input_tokens"]
        assert written == first["usage"]["cache_creation_input_tokens"] > 1024
        assert second["usage"]["cache_read_input_tokens"] == written
        assert second["usage"]["input_tokens"] == first["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("case", "error", "code"),
    [
        ("unknown model", "NotFoundError", "model_not_found"),
        ("bad parameter", "BadRequestError", "decimal_above_max_value"),
        ("bad type", "BadRequestError", "invalid_type"),
        ("no messages", "BadRequestError", "empty_array"),
        ("rate limit", "RateLimitError", "rate_limit_exceeded"),
        ("quota", "RateLimitError", "insufficient_quota"),
        ("server error", "InternalServerError", None),
        ("unavailable", "InternalServerError", None),
    ],
)
def test_openai_failures_have_their_types_and_codes(target, case, error, code):
    failure = scenarios.openai_errors(target)[case]
    assert (failure["type"], failure["code"]) == (error, code)


@pytest.mark.parametrize(
    ("case", "error", "kind"),
    [
        ("unknown model", "NotFoundError", "not_found_error"),
        ("bad parameter", "BadRequestError", "invalid_request_error"),
        ("no messages", "BadRequestError", "invalid_request_error"),
        ("rate limit", "RateLimitError", "rate_limit_error"),
        ("server error", "InternalServerError", "api_error"),
        ("overloaded", "OverloadedError", "overloaded_error"),
        ("too large", "ContentTooLargeError", "request_too_large"),
    ],
)
def test_anthropic_failures_have_their_types_and_kinds(target, case, error, kind):
    failure = scenarios.anthropic_errors(target)[case]
    assert (failure["type"], failure["body"]["error"]["type"]) == (error, kind)
    assert failure["body"]["request_id"] == failure["headers"]["request-id"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("openai_bad_key", "AuthenticationError"),
        ("anthropic_bad_key", "AuthenticationError"),
        ("openai_bad_json", "BadRequestError"),
        ("anthropic_bad_json", "BadRequestError"),
        ("openai_timeout", "APITimeoutError"),
        ("anthropic_timeout", "APITimeoutError"),
    ],
)
def test_other_failures_have_their_types(target, name, error):
    assert scenarios.SCENARIOS[name](target)["type"] == error


def test_a_stream_that_fails_midway_raises_after_what_arrived(target):
    openai_event = scenarios.openai_error_event(target)
    assert len(openai_event["seen"]) == 4
    assert openai_event["failure"]["type"] == "APIError"
    anthropic_event = scenarios.anthropic_error_event(target)
    assert [event["type"] for event in anthropic_event["seen"]][:2] == [
        "message_start",
        "content_block_start",
    ]
    assert anthropic_event["failure"]["body"]["error"]["type"] == "overloaded_error"


def test_a_stream_cut_at_arbitrary_bytes_reads_the_same(target):
    ragged = scenarios.openai_ragged_stream(target)
    assert ragged["failure"]["type"] == "none"
    assert ragged["seen"][-1]["choices"][0]["finish_reason"] == "stop"


def test_the_sdk_retries_a_rate_limit_and_gets_its_answer():
    rule = Rule(fault="429; retry_after_ms=1", times=1)
    with running_simulator(SimSettings(pace=INSTANT, rules=(rule,))) as simulator:
        client = Target(simulator.base_url).openai(max_retries=1)
        answer = client.chat.completions.create(model="gpt-4o", messages=scenarios.USER)
        client.close()
        assert answer.choices[0].message.content
        assert [entry.status for entry in simulator.log] == [429, 200]
