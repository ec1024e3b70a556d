import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.codecs import BilledPart
from farthing.codecs.counts import (
    ConverseCounts,
    GeminiCounts,
    MessageCounts,
    UsageError,
    read_converse,
    read_gemini,
    read_messages,
)
from farthing.codecs.counts.anthropic import merge, read_parts, read_terms
from farthing.usage import STANDARD, Terms, Usage

COUNT = st.integers(0, 10_000)


def messages(**usage):
    return msgspec.convert(usage, MessageCounts)


def gemini(**usage):
    return read_gemini(msgspec.convert(usage, GeminiCounts))


@given(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
def test_anthropic_adds_up_to_input_plus_caches_plus_output(fresh, read, short, long, text, think):
    usage = read_messages(
        messages(
            input_tokens=fresh,
            cache_read_input_tokens=read,
            cache_creation_input_tokens=short + long,
            cache_creation={"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            output_tokens=text + think,
            output_tokens_details={"thinking_tokens": think},
        )
    )
    assert usage.prompt_tokens == fresh + read + short + long
    assert usage.completion_tokens == text + think
    assert (usage.cache_write_5m, usage.cache_write_1h) == (short, long)


def test_litellm_9812_cache_creation_is_not_charged_a_second_time_as_input():
    usage = read_messages(messages(input_tokens=4, cache_creation_input_tokens=12_304))
    assert usage == Usage(input=4, cache_write_5m=12_304)


def test_litellm_31724_one_hour_writes_do_not_stand_at_the_five_minute_rate():
    usage = read_messages(
        messages(
            cache_creation_input_tokens=500,
            cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500},
        )
    )
    assert usage == Usage(cache_write_1h=500)


@pytest.mark.parametrize(("ttl", "bucket"), [("5m", "cache_write_5m"), ("1h", "cache_write_1h")])
def test_writes_without_a_breakdown_had_the_lifetime_the_request_asked_for(ttl, bucket):
    usage = read_messages(messages(cache_creation_input_tokens=9), write_ttl=ttl)
    assert usage == Usage(**{bucket: 9})


def test_a_breakdown_without_a_total_stands_for_itself():
    usage = read_messages(messages(cache_creation={"ephemeral_1h_input_tokens": 9}))
    assert usage == Usage(cache_write_1h=9)


@pytest.mark.parametrize(
    ("usage", "names"),
    [
        (
            {
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_5m_input_tokens": 4},
            },
            ["ephemeral_5m_input_tokens", "= 4", "cache_creation_input_tokens = 3"],
        ),
        (
            {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}},
            ["thinking_tokens = 4", "output_tokens = 3"],
        ),
    ],
)
def test_anthropic_usage_that_contradicts_itself_names_both(usage, names):
    with pytest.raises(UsageError) as caught:
        read_messages(messages(**usage))
    for name in names:
        assert name in str(caught.value)
    assert messages(**usage).rough().is_estimated


def test_litellm_39294_a_model_that_declined_midway_is_billed_at_its_own_rates():
    # The record of https://github.com/ccusage/ccusage/issues/1552 (read 2026-11-24).
    counts = messages(
        input_tokens=2,
        output_tokens=13_658,
        cache_read_input_tokens=79_214,
        iterations=[
            {
                "type": "message",
                "model": "claude-fable-5",
                "input_tokens": 2,
                "output_tokens": 578,
                "cache_creation_input_tokens": 10_421,
                "cache_read_input_tokens": 72_769,
            },
            {
                "type": "fallback_message",
                "model": "claude-opus-4-8",
                "input_tokens": 2,
                "output_tokens": 13_658,
                "cache_read_input_tokens": 79_214,
            },
        ],
    )
    assert read_messages(counts) == Usage(input=2, output=13_658, cache_read=79_214)
    assert read_parts(counts, "claude-opus-4-8") == (
        BilledPart(
            kind="message",
            model="claude-fable-5",
            usage=Usage(input=2, output=578, cache_write_5m=10_421, cache_read=72_769),
        ),
    )


def test_a_model_that_declined_before_any_output_is_not_billed():
    counts = messages(
        iterations=[
            {"type": "message", "model": "a", "input_tokens": 9, "output_tokens": 0},
            {"type": "fallback_message", "model": "b", "input_tokens": 9, "output_tokens": 5},
        ]
    )
    assert read_parts(counts, "b") == ()


def test_a_compaction_is_billed_beside_the_message_and_a_tool_loop_is_not():
    counts = messages(
        input_tokens=23_000,
        output_tokens=1_000,
        iterations=[
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    )
    assert read_parts(counts, "m") == (
        BilledPart(kind="compaction", model="m", usage=Usage(input=180_000, output=3_500)),
    )


def test_an_advisor_is_billed_at_the_advisors_model():
    counts = messages(
        iterations=[
            {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 823},
        ]
    )
    assert [part.model for part in read_parts(counts, "claude-sonnet-5")] == ["claude-opus-5"]


def test_message_delta_revises_the_counts_of_message_start_and_never_lowers_them():
    start = messages(input_tokens=9, output_tokens=1, service_tier="priority")
    delta = messages(input_tokens=0, output_tokens=40, cache_read_input_tokens=7)
    merged = merge(start, delta)
    assert (merged.input_tokens, merged.output_tokens) == (9, 40)
    assert (merged.cache_read_input_tokens, merged.service_tier) == (7, "priority")


@pytest.mark.parametrize(
    ("usage", "terms"),
    [
        ({}, STANDARD),
        ({"service_tier": "standard", "inference_geo": "global", "speed": "standard"}, STANDARD),
        ({"inference_geo": "not_available"}, STANDARD),
        ({"service_tier": "priority"}, Terms(service_tier="priority")),
        ({"service_tier": "batch"}, Terms(is_batch=True)),
        ({"inference_geo": "us", "speed": "fast"}, Terms(region="us", speed="fast")),
    ],
)
def test_the_terms_are_those_the_answer_names(usage, terms):
    assert read_terms(messages(**usage)) == terms


@given(COUNT, COUNT, COUNT, COUNT, COUNT, st.data())
def test_gemini_adds_up_to_the_total(text, audio, image, thoughts, tools, data):
    prompt = text + audio + image
    cached = data.draw(st.integers(0, prompt))
    out, spoken = data.draw(COUNT), data.draw(COUNT)
    named = data.draw(st.booleans())
    c_text = min(cached, text)
    c_image = min(cached - c_text, image)
    details = [("TEXT", c_text), ("IMAGE", c_image), ("AUDIO", cached - c_text - c_image)]
    total = prompt + out + spoken + thoughts + tools
    usage = gemini(
        promptTokenCount=prompt,
        cachedContentTokenCount=cached,
        candidatesTokenCount=out + spoken,
        thoughtsTokenCount=thoughts,
        toolUsePromptTokenCount=tools,
        totalTokenCount=total,
        promptTokensDetails=[
            {"modality": "AUDIO", "tokenCount": audio},
            {"modality": "IMAGE", "tokenCount": image},
        ],
        candidatesTokensDetails=[{"modality": "AUDIO", "tokenCount": spoken}],
        cacheTokensDetails=[{"modality": m, "tokenCount": c} for m, c in details if named],
    )
    assert usage.prompt_tokens + usage.completion_tokens == total
    assert usage.cache_read == cached
    assert usage.reasoning == thoughts


def test_litellm_14849_gemini_cached_tokens_are_not_billed_as_fresh_ones():
    usage = gemini(promptTokenCount=1000, cachedContentTokenCount=900, candidatesTokenCount=10)
    assert usage == Usage(input=100, cache_read=900, output=10)


def test_gemini_says_itself_which_modality_was_cached():
    usage = gemini(
        promptTokenCount=100,
        cachedContentTokenCount=30,
        promptTokensDetails=[{"modality": "VIDEO", "tokenCount": 40}],
        cacheTokensDetails=[{"modality": "VIDEO", "tokenCount": 30}],
    )
    assert usage == Usage(input=60, cache_read=30, image_input=10)


def test_gemini_usage_whose_parts_miss_the_total_is_refused_with_both_numbers():
    with pytest.raises(UsageError, match=r"totalTokenCount = 9, yet its parts add up to 8"):
        gemini(promptTokenCount=8, totalTokenCount=9)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_bedrock_adds_up_to_its_total(fresh, output, read, short, long):
    counts = msgspec.convert(
        {
            "inputTokens": fresh,
            "outputTokens": output,
            "totalTokens": fresh + output + read + short + long,
            "cacheReadInputTokens": read,
            "cacheWriteInputTokens": short + long,
            "cacheDetails": [
                {"ttl": "1h", "inputTokens": long},
                {"ttl": "5m", "inputTokens": short},
            ],
        },
        ConverseCounts,
    )
    usage = read_converse(counts)
    assert usage.prompt_tokens + usage.completion_tokens == counts.total_tokens
    assert (usage.cache_write_5m, usage.cache_write_1h) == (short, long)
