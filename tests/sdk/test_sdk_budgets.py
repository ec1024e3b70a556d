"""The official Python SDKs meet a budget: one request, the class their users expect, no storm."""

from __future__ import annotations

import anthropic
import openai
import pytest
from gateway_process import SMALL_BUDGETS, running_gateway
from scenarios import CHAT_MODEL, MESSAGES_MODEL, USER
from sim_thread import running_simulator

LONG = {"x-sim-output-tokens": "20000"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_simulator() as simulator:
        folder = tmp_path_factory.mktemp("gateway")
        with running_gateway(folder, simulator.base_url, extra=SMALL_BUDGETS) as base_url:
            yield base_url


@pytest.fixture
def sent():
    """Every request that an SDK sent."""
    return []


@pytest.fixture
def chats(gateway, sent):
    """An OpenAI client with the retries it has by default."""
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-test", http_client=http) as client:
        yield client


@pytest.fixture
def messages(gateway, sent):
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    with anthropic.Anthropic(base_url=gateway, api_key="sk-test", http_client=http) as client:
        yield client


def tagged(feature, **more):
    return {"x-farthing-feature": feature} | more


@pytest.mark.parametrize("is_streamed", [False, True])
def test_openai_sends_one_request_and_raises_a_rate_limit_error(chats, sent, is_streamed):
    with pytest.raises(openai.RateLimitError) as refused:
        chats.chat.completions.create(
            model=CHAT_MODEL, messages=USER, stream=is_streamed, extra_headers=tagged("tiny")
        )
    assert len(sent) == 1
    assert refused.value.code == "budget_exceeded"
    assert refused.value.body["budget"] == "tiny"
    assert refused.value.body["shortfall_usd"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_anthropic_sends_one_request_and_raises_a_rate_limit_error(messages, sent, is_streamed):
    with pytest.raises(anthropic.RateLimitError) as refused:
        messages.messages.create(
            model=MESSAGES_MODEL,
            max_tokens=400,
            messages=USER,
            stream=is_streamed,
            extra_headers=tagged("tiny"),
        )
    assert len(sent) == 1
    assert refused.value.body["error"]["code"] == "budget_exceeded"
    assert refused.value.body["error"]["limit_usd"] == "0.000001"


def test_openai_reads_a_stream_stopped_by_a_budget_as_one_that_ended_for_length(chats, sent):
    stream = chats.chat.completions.create(
        model="gpt-4o", messages=USER, stream=True, extra_headers=tagged("flow", **LONG)
    )
    *_, last = stream
    assert last.choices[0].finish_reason == "length"
    assert last.model_extra["farthing"]["budget"] == "flow"
    assert len(sent) == 1


def test_anthropic_reads_a_stream_stopped_by_a_budget_as_one_that_ended_for_max_tokens(messages):
    with messages.messages.stream(
        model=MESSAGES_MODEL,
        max_tokens=32_000,
        messages=USER,
        extra_headers=tagged("flow", **LONG),
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "max_tokens"
    assert final.content[0].text
