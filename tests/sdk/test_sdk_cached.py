"""The official Python SDKs can't tell a replayed answer from a live one, but by its id and time."""

from __future__ import annotations

import json
import re

import pytest
import scenarios
from gateway_process import running_gateway
from scenarios import Target
from sim_thread import running_simulator

from farthing.codecs.anthropic_replay import whole_message
from farthing.codecs.openai_replay import whole_chat

CACHED = '[gateway]\nstream_cost = "never"\n[cache]\nmode = "on"\ntemperature_max = 2.0\nhas_live_words = false\n'
# What each answer bears anew, and headers that tell of a provider's own work for one request.
OWN = (
    (re.compile(r"\b(chatcmpl-|msg_01)\w+"), r"\1ID"),
    (re.compile(r'(\\*"created\\*": ?)\d+'), r"\g<1>0"),
)
PER_REQUEST = frozenset(
    {
        "anthropic-ratelimit-input-tokens-remaining",
        "openai-processing-ms",
        "request-id",
        "x-ratelimit-remaining-tokens",
        "x-request-id",
        "x-sim-score",
    }
)
# The provider's own cache makes its second answer count other tokens than its first.
CHANGING = frozenset({"openai_prompt_caching", "anthropic_prompt_caching"})
# They ask the same whole and streamed, so one form is made from the other: as told, in fewer pieces.
MIXED = frozenset({"anthropic_message_async", "anthropic_thinking"})


def plain(result):
    """A result without what is each answer's own."""

    def without(value):
        if isinstance(value, dict):
            return {n: without(v) for n, v in value.items() if n not in PER_REQUEST}
        return [without(v) for v in value] if isinstance(value, list) else value

    text = json.dumps(without(result), indent=1)
    for pattern, shown in OWN:
        text = pattern.sub(shown, text)
    return text


@pytest.fixture(scope="module")
def behind():
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def cached(tmp_path_factory, behind):
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(folder, behind.base_url, extra=CACHED) as gateway:
        yield lambda name: Target(gateway, headers={"x-farthing-feature": name})


@pytest.fixture(scope="module")
def direct():
    with running_simulator() as simulator:
        yield Target(simulator.base_url)


@pytest.mark.parametrize("name", sorted(set(scenarios.SCENARIOS) - CHANGING - MIXED))
def test_the_sdk_sees_no_difference_when_answers_are_replayed(cached, direct, name):
    scenario = scenarios.SCENARIOS[name]
    expected = plain(scenario(direct))
    scenario(cached(name))
    assert plain(scenario(cached(name))) == expected


def test_thinking_reads_the_same_whole_and_streamed(cached, direct):
    for _ in range(2):
        got = scenarios.anthropic_thinking(cached("thinking"))
        assert read(got) == read(scenarios.anthropic_thinking(direct))
        assert got["kinds"][0] == "message_start"
        assert got["kinds"][-1] == "message_stop"


def test_replayed_answers_reach_no_provider(cached, behind):
    for name in ("openai_chat", "openai_stream_helper", "openai_tools", "anthropic_thinking"):
        scenarios.SCENARIOS[name](cached("again"))
        before = len(behind.log)
        scenarios.SCENARIOS[name](cached("again"))
        assert len(behind.log) == before, name


@pytest.mark.parametrize(
    ("whole", "streamed"),
    [
        ("openai_chat", "openai_stream_with_usage"),
        ("openai_chat", "openai_stream_without_usage"),
        ("openai_chat", "openai_stream_helper"),
        ("openai_tools", "openai_tools_streamed"),
        ("anthropic_message_async", "anthropic_stream_helper"),
        ("anthropic_tools", "anthropic_tools_streamed"),
    ],
)
@pytest.mark.parametrize("is_whole_first", [True, False])
def test_an_answer_stored_in_one_form_reads_as_live_in_the_other(
    tmp_path, direct, whole, streamed, is_whole_first
):
    first, then = (whole, streamed) if is_whole_first else (streamed, whole)
    expected = scenarios.SCENARIOS[then](direct)
    with (
        running_simulator() as simulator,
        running_gateway(tmp_path, simulator.base_url, extra=CACHED) as gateway,
    ):
        scenarios.SCENARIOS[first](Target(gateway))
        got = scenarios.SCENARIOS[then](Target(gateway))
    assert read(got) == read(expected)


def read(result):
    """What a program makes of a result: streams put together, ids and headers left out."""
    if isinstance(result, dict) and isinstance(result.get("raw"), str):
        result = {"raw": _assembled(result["raw"])}
    if isinstance(result, dict):
        result = {n: v for n, v in result.items() if n not in ("kinds", "headers")}
    return json.loads(plain(result))


def _assembled(raw):
    if raw.startswith("event:"):
        return json.loads(whole_message(raw.encode()))
    return json.loads(whole_chat(raw.encode())) if raw.startswith("data:") else json.loads(raw)
