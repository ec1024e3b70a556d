"""Usage: seeded, steered, cached, and in each provider's own fields."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_asking import USER, HandClock, body_of, chat, chunks_of, engine, json_of, message

from farthing.sim import Rule
from farthing.sim.tokens import count_tokens, first_tokens, pieces

LONG = [{"role": "system", "content": "An order can be returned within days. " * 200}, *USER]


def test_the_same_seed_and_bytes_give_the_same_bytes():
    first, second = chat(engine(seed=3)), chat(engine(seed=3))
    assert body_of(first) == body_of(second)
    assert first.headers == second.headers
    assert body_of(first) != body_of(chat(engine(seed=4)))


def test_a_repeat_is_the_same_answer_unless_varied():
    plain, varied = engine(), engine(is_varied=True)
    assert body_of(chat(plain)) == body_of(chat(plain))
    assert body_of(chat(varied)) != body_of(chat(varied))


def test_ready_answers_equal_those_made_anew():
    asked = engine()
    assert body_of(chat(asked, stream=True)) == body_of(chat(asked, stream=True))
    assert [entry.number for entry in asked.log] == [1, 2]
    assert body_of(chat(asked, {"authorization": "Bearer invalid"})) != body_of(chat(asked))


def test_asking_for_usage_does_not_change_the_answer():
    plain = chunks_of(chat(engine(), stream=True))
    with_usage = chunks_of(chat(engine(), stream=True, stream_options={"include_usage": True}))
    assert [c["choices"] for c in plain] == [c["choices"] for c in with_usage[:-1]]
    assert plain[0]["id"] == with_usage[0]["id"]


@given(st.text(max_size=200), st.integers(0, 60))
@settings(max_examples=100)
def test_the_first_tokens_of_a_text_are_at_most_so_many_and_begin_it(text, tokens):
    cut = first_tokens(text, tokens)
    assert text.startswith(cut)
    assert count_tokens(cut) <= tokens
    assert "".join(pieces(text)) == text


@pytest.mark.parametrize("is_streamed", [False, True])
def test_steered_counts_are_reported_exactly_by_openai(is_streamed):
    headers = {
        "x-sim-input-tokens": "5000",
        "x-sim-cached-tokens": "1280",
        "x-sim-output-tokens": "700",
        "x-sim-reasoning-tokens": "200",
    }
    asked = engine()
    options = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    script = chat(asked, headers, max_tokens=10, **options)
    usage = chunks_of(script)[-1]["usage"] if is_streamed else json_of(script)["usage"]
    assert usage["prompt_tokens"] == 5000
    assert usage["prompt_tokens_details"]["cached_tokens"] == 1280
    assert usage["completion_tokens"] == 700
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 200
    (entry,) = asked.log
    billed = entry.usage
    assert (billed.input, billed.cache_read, billed.output, billed.reasoning) == (
        3720,
        1280,
        500,
        200,
    )


def test_steered_counts_are_reported_exactly_by_anthropic():
    headers = {
        "x-sim-input-tokens": "5000",
        "x-sim-cached-tokens": "1000",
        "x-sim-cache-write-tokens": "500",
        "x-sim-cache-write-1h-tokens": "250",
        "x-sim-output-tokens": "70",
    }
    usage = json_of(message(engine(), headers))["usage"]
    assert usage["input_tokens"] == 3250
    assert usage["cache_read_input_tokens"] == 1000
    assert usage["cache_creation_input_tokens"] == 750
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 500,
        "ephemeral_1h_input_tokens": 250,
    }
    assert usage["output_tokens"] == 70


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-sim-output-tokens", "many"), ("x-sim-nonsense", "1"), ("x-sim-fault", "unheard-of")],
)
def test_steering_that_cannot_be_read_is_refused_by_name(header, value):
    script = chat(engine(), {header: value})
    assert script.status == 400
    assert value in body_of(script).decode() or header in body_of(script).decode()


def test_a_long_prompt_is_cached_for_its_key_until_it_has_been_idle_for_long():
    clock = HandClock()
    asked = engine(clock)

    def cached(**headers):
        answer = json_of(chat(asked, headers, messages=LONG))
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert cached() == 0
    hit = cached()
    assert hit >= 1024
    assert hit % 128 == 0
    assert cached(authorization="Bearer another") == 0
    clock.at_s += 3600
    assert cached() == 0


def test_a_longer_conversation_reads_the_part_it_shares():
    asked = engine()
    chat(asked, messages=LONG)
    grown = [*LONG, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "How?"}]
    usage = json_of(chat(asked, messages=grown))["usage"]
    assert 1024 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def _marked(ttl, extra=""):
    mark = {"type": "ephemeral", "ttl": ttl}
    text = "An order can be returned within days. " * 200
    return {
        "system": [{"type": "text", "text": text, "cache_control": mark}],
        "messages": [{"role": "user", "content": "How?" + extra}],
    }


@pytest.mark.parametrize(("ttl", "field"), [("5m", "5m"), ("1h", "1h")])
def test_a_marked_prompt_is_written_once_then_read(ttl, field):
    asked = engine()
    first = json_of(message(asked, **_marked(ttl)))["usage"]
    second = json_of(message(asked, **_marked(ttl, " And when?")))["usage"]
    written = first["cache_creation"][f"ephemeral_{field}_input_tokens"]
    assert written == first["cache_creation_input_tokens"] > 1024
    assert (second["cache_read_input_tokens"], second["cache_creation_input_tokens"]) == (
        written,
        0,
    )


@pytest.mark.parametrize(
    ("ttl", "after_s", "is_read"), [("5m", 299, 1), ("5m", 301, 0), ("1h", 3599, 1)]
)
def test_a_written_prompt_lives_as_long_as_its_mark_says(ttl, after_s, is_read):
    clock = HandClock()
    asked = engine(clock)
    message(asked, **_marked(ttl))
    clock.at_s += after_s
    usage = json_of(message(asked, **_marked(ttl)))["usage"]
    assert bool(usage["cache_read_input_tokens"]) == bool(is_read)


def test_an_unmarked_prompt_is_not_cached():
    asked = engine()
    text = "An order can be returned within days. " * 200
    for _ in range(2):
        usage = json_of(message(asked, system=text))["usage"]
        assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (0, 0)


STEERED = {
    "x-sim-input-tokens": "1000",
    "x-sim-cached-tokens": "128",
    "x-sim-output-tokens": "300",
    "x-sim-reasoning-tokens": "100",
}


def test_openrouter_reports_its_cost_exactly():
    rule = Rule(usd_per_million_input="2.5", usd_per_million_output="10")
    path = "/openrouter/api/v1/chat/completions"
    script = chat(engine(rules=(rule,)), STEERED, path, model="openai/gpt-4o")
    assert b'"cost": 0.0055' in body_of(script)
    usage = json_of(script)["usage"]
    assert usage["cost_details"]["upstream_inference_prompt_cost"] == 0.0025
    assert usage["prompt_tokens_details"]["cached_tokens"] == 128


def test_openrouter_streams_usage_unasked_after_a_comment():
    path = "/openrouter/api/v1/chat/completions"
    script = chat(engine(), STEERED, path, model="openai/gpt-4o", stream=True)
    assert body_of(script).startswith(b": OPENROUTER PROCESSING\n\n")
    assert chunks_of(script)[-1]["usage"]["total_tokens"] == 1300


def test_deepseek_reports_hits_and_misses_and_shows_its_reasoning():
    path = "/deepseek/chat/completions"
    answer = json_of(chat(engine(), STEERED, path, model="deepseek-reasoner"))
    assert answer["usage"]["prompt_cache_hit_tokens"] == 128
    assert answer["usage"]["prompt_cache_miss_tokens"] == 872
    assert len(answer["choices"][0]["message"]["reasoning_content"]) == 400
    streamed = chunks_of(chat(engine(), STEERED, path, model="deepseek-reasoner", stream=True))
    assert streamed[-1]["choices"][0]["finish_reason"] == "stop"
    assert streamed[-1]["usage"] == answer["usage"]


def test_xai_counts_reasoning_beside_completion_and_reports_ticks():
    answer = json_of(chat(engine(), STEERED, "/xai/v1/chat/completions", model="grok-4"))
    usage = answer["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"]) == (200, 1300)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 100
    assert usage["cost_in_usd_ticks"] == 22_000_000


def test_a_rule_can_give_a_model_another_provider_s_style():
    asked = engine(rules=(Rule(model="sim-*", style="deepseek"),))
    assert "prompt_cache_hit_tokens" in json_of(chat(asked, model="sim-x"))["usage"]


def test_recorded_bytes_are_json_whatever_the_prompt():
    asked = engine()
    prompt = [{"role": "user", "content": 'quote " back \\ emoji 🙂 \u2028 nul \x00'}]
    assert json.loads(body_of(chat(asked, messages=prompt)))["choices"]
