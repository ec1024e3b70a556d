"""The engine in process: SDK clients without a socket, records, prices."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import anthropic
import openai
import pytest
from sim_thread import running_simulator

from farthing import Farthing
from farthing.call import Attribution, Endpoint, Pricing
from farthing.errors import ConfigError
from farthing.ledger import ReportQuery
from farthing.money import Money
from farthing.pricing import Priced, Unpriced
from farthing.usage import Usage

USER = [{"role": "user", "content": "How do I return an order?"}]


@pytest.fixture(scope="module")
def upstream():
    with running_simulator() as simulator:
        yield simulator.base_url


@pytest.fixture
def farthing(tmp_path, upstream):
    tables = {
        "ledger": {"data_dir": str(tmp_path), "drain_interval_ms": 20},
        "retry": {"retries_max": 0},
        "providers": {
            "openai": {"base_url": f"{upstream}/v1", "api_key": "sk-sim"},
            "anthropic": {"base_url": upstream, "api_key": "sk-ant-sim"},
        },
    }
    with Farthing(tables) as made:
        yield made


def entries(farthing):
    with farthing.ledger() as ledger:
        return list(ledger.entries())


def test_an_openai_client_is_metered_and_answers_as_ever(farthing, upstream):
    asked = {"model": "gpt-4o-mini", "messages": USER}
    with openai.OpenAI(base_url=f"{upstream}/v1", api_key="sk-sim") as plain:
        direct = plain.chat.completions.create(**asked)
    with farthing.openai(feature="support", session="s1") as client:
        answer = client.chat.completions.create(**asked)
    assert answer.choices == direct.choices
    farthing.close()
    (entry,) = entries(farthing)
    assert entry.attribution == Attribution(feature="support", session="s1")
    assert entry.attempts[0].usage.prompt_tokens == answer.usage.prompt_tokens
    assert entry.cost > Money(0)


def test_streams_flow_through_and_settle_when_they_end(farthing):
    with (
        farthing.anthropic(feature="chat") as client,
        client.messages.stream(model="claude-sonnet-5-5", max_tokens=64, messages=USER) as stream,
    ):
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text
    farthing.close()
    (entry,) = entries(farthing)
    assert entry.is_streamed
    assert entry.attempts[0].usage.output == final.usage.output_tokens


def test_asynchronous_clients_work_on_their_own_loop(farthing):
    async def scenario():
        async with farthing.async_openai() as client:
            stream = await client.chat.completions.create(
                model="gpt-4o-mini", messages=USER, stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        async with farthing.async_anthropic() as client:
            message = await client.messages.create(
                model="claude-sonnet-5-5", max_tokens=9, messages=USER
            )
        return "".join(pieces), message

    text, message = asyncio.run(scenario())
    assert text
    assert message.usage.output_tokens > 0
    farthing.close()
    assert [e.endpoint for e in entries(farthing)] == [
        Endpoint.OPENAI_CHAT,
        Endpoint.ANTHROPIC_MESSAGES,
    ]


def test_a_provider_error_raises_what_the_sdk_always_raises(farthing):
    with farthing.openai() as client, pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=USER)
    assert raised.value.code == "model_not_found"


def test_a_stream_that_is_left_is_settled_as_cancelled(farthing):
    with farthing.openai() as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=USER,
            stream=True,
            extra_headers={"x-sim-token-ms": "50", "x-sim-output-tokens": "200"},
        )
        next(iter(stream))
        stream.close()
    farthing.close()
    (entry,) = entries(farthing)
    assert entry.status.value == "cancelled"


def test_the_sdks_own_timeout_cancels_the_call(farthing):
    with (
        farthing.openai(timeout=0.1, max_retries=0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(
            model="gpt-4o-mini", messages=USER, extra_headers={"x-sim-first-byte-ms": "5000"}
        )
    farthing.close()
    (entry,) = entries(farthing)
    assert entry.status.value == "cancelled"


def test_an_existing_client_can_be_wrapped(farthing):
    with anthropic.Anthropic(api_key="sk-own", base_url="http://127.0.0.1:1") as own:
        wrapped = farthing.wrap(own, feature="wrapped")
        wrapped.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=USER)
    farthing.close()
    assert entries(farthing)[0].attribution.feature == "wrapped"
    with pytest.raises(TypeError, match="openai or anthropic client"):
        farthing.wrap(object())


def test_calls_made_elsewhere_can_be_recorded(farthing):
    usage = Usage(input=1000, cache_read=1000, output=100)
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    entry = farthing.record(
        model="gpt-4o-2024-08-06", usage=usage, at=at, attribution=Attribution(feature="batch")
    )
    # $2.50 fresh, $1.25 cached, $10 out per million tokens.
    assert entry.cost == Money.usd("0.00475")
    own = farthing.record(model="house", usage=usage, cost=Money.usd("0.5"))
    assert own.attempts[0].pricing is Pricing.PROVIDER
    farthing.close()
    with farthing.ledger() as ledger:
        report = ledger.report(ReportQuery(by=("feature",)))
        assert ledger.call(entry.call_id) == entry
    assert report.total == Money.usd("0.50475")


def test_costs_can_be_asked_for_without_a_call(farthing):
    usage = Usage(input=1_000_000)
    priced = farthing.cost(usage, "gpt-4o-2024-08-06")
    assert isinstance(priced, Priced)
    assert priced.total == Money.usd("2.5")
    assert isinstance(farthing.cost(usage, "no-such-model"), Unpriced)
    with pytest.raises(ValueError, match="time zone"):
        farthing.cost(usage, "gpt-4o", at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_what_the_configuration_decides_cannot_be_given_to_a_client(farthing):
    with pytest.raises(TypeError, match="base_url"):
        farthing.openai(base_url="http://elsewhere")


def test_a_faulty_configuration_starts_nothing(tmp_path):
    with pytest.raises(ConfigError, match="unknown key"):
        Farthing({"gatewy": {}}, data_dir=tmp_path)


def test_raw_bytes_are_the_providers(farthing, upstream):
    asked = {"model": "gpt-4o-mini", "messages": USER}
    with openai.OpenAI(base_url=f"{upstream}/v1", api_key="sk-sim") as plain:
        direct = plain.chat.completions.with_raw_response.create(**asked)
    with farthing.openai() as client:
        metered = client.chat.completions.with_raw_response.create(**asked)
    assert json.loads(metered.text)["choices"] == json.loads(direct.text)["choices"]
    assert metered.headers["x-farthing-cost"]


def test_the_library_serves_equal_calls_from_the_same_cache(tmp_path, upstream):
    tables = {
        "ledger": {"data_dir": str(tmp_path), "drain_interval_ms": 20},
        "cache": {"mode": "on"},
        "providers": {"openai": {"base_url": f"{upstream}/v1", "api_key": "sk-sim"}},
    }
    with Farthing(tables) as made:
        with made.openai(feature="faq") as client:
            first, again = (
                client.chat.completions.create(model="gpt-4o-mini", temperature=0, messages=USER)
                for _ in range(2)
            )
            stream = client.chat.completions.create(
                model="gpt-4o-mini", temperature=0, messages=USER, stream=True
            )
            text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert again.choices == first.choices
        assert text == first.choices[0].message.content
        made.close()
        moves = [[m.lever for m in entry.moves] for entry in entries(made)]
    assert sorted(moves) == [[], ["exact-cache"], ["exact-cache"]]
