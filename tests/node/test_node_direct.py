"""The official Node SDKs against the simulator itself, started by its command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from node_clients import HERE, require_node, run_node_clients

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def results():
    require_node()
    command = [Path(sys.executable).with_name("farthing"), "sim", "--port", "0", "--instant"]
    with subprocess.Popen(
        [*command, "--fixed-clock", "1764000000"], stdout=subprocess.PIPE, text=True
    ) as sim:
        try:
            line = sim.stdout.readline()
            base_url = re.search(r"ANTHROPIC_BASE_URL=(\S+)", line)[1]
            yield run_node_clients(base_url), run_node_clients(base_url)
        finally:
            sim.terminate()


def test_the_same_scenarios_print_the_same_results(results):
    first, second = results
    assert first == second


def test_answers_are_read_as_the_sdk_means_them(results):
    found = results[0]
    whole = found["openai_chat"]["choices"]
    assert [choice["finish_reason"] for choice in whole] == ["stop", "stop"]
    calls = found["openai_tools_streamed"]["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_forecast"]
    assert found["openai_schema"]["choices"][0]["message"]["content"].startswith('{"city"')
    assert found["openai_stream_raw"]["body"].endswith("data: [DONE]\n\n")
    assert len(found["openai_embeddings"]["data"][0]["embedding"]) == 8
    assert [block["type"] for block in found["anthropic_tools"]["content"]] == ["tool_use"] * 2
    assert [block["type"] for block in found["anthropic_thinking"]["content"]] == [
        "thinking",
        "text",
    ]
    assert found["anthropic_stream"][-1]["type"] == "message_stop"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("openai_unknown_model", "NotFoundError"),
        ("openai_bad_parameter", "BadRequestError"),
        ("openai_bad_key", "AuthenticationError"),
        ("openai_rate_limit", "RateLimitError"),
        ("openai_server_error", "InternalServerError"),
        ("openai_timeout", "APIConnectionTimeoutError"),
        ("openai_error_event", "APIError"),
        ("anthropic_unknown_model", "NotFoundError"),
        ("anthropic_bad_key", "AuthenticationError"),
        ("anthropic_rate_limit", "RateLimitError"),
        ("anthropic_timeout", "APIConnectionTimeoutError"),
    ],
)
def test_failures_have_their_types(results, name, error):
    assert results[0][name]["type"] == error


def test_the_lock_file_names_no_machine():
    lock = (HERE / "package-lock.json").read_text()
    hosts = set(re.findall(r'"resolved": "https?://([^/]+)', lock))
    assert hosts <= {"registry.npmjs.org"}
