import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.codecs.counts import (
    ChatCounts,
    EmbeddingCounts,
    ResponseCounts,
    UsageError,
    read_chat,
    read_embeddings,
    read_responses,
)
from farthing.codecs.counts.openai import read_openai_chat, read_openrouter
from farthing.usage import Usage

COUNT = st.integers(0, 10_000)


def chat(**usage):
    return read_chat(msgspec.convert(usage, ChatCounts))


@st.composite
def prompts(draw):
    """(prompt_tokens, details) that keep the rule: two partitions of the same tokens."""
    text, audio, image = draw(COUNT), draw(COUNT), draw(COUNT)
    prompt = text + audio + image
    cached = draw(st.integers(0, prompt))
    written = draw(st.integers(0, prompt - cached))
    return prompt, {
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "audio_tokens": audio,
        "image_tokens": image,
        "text_tokens": text,
    }


@given(prompts(), COUNT, COUNT, COUNT)
def test_openai_chat_adds_up_to_the_providers_total(prompt, visible, reasoning, audio):
    completion = visible + reasoning + audio
    usage = chat(
        prompt_tokens=prompt[0],
        completion_tokens=completion,
        total_tokens=prompt[0] + completion,
        prompt_tokens_details=prompt[1],
        completion_tokens_details={"reasoning_tokens": reasoning, "audio_tokens": audio},
    )
    assert usage.prompt_tokens == prompt[0]
    assert usage.completion_tokens == completion
    assert usage.cache_read == prompt[1]["cached_tokens"]
    assert usage.image_input <= prompt[1]["image_tokens"]
    assert usage.audio_input <= prompt[1]["audio_tokens"]
    assert (usage.output, usage.reasoning, usage.audio_output) == (visible, reasoning, audio)


@given(prompts(), COUNT, COUNT, st.booleans())
def test_xai_adds_up_with_reasoning_beside_completion(prompt, completion, reasoning, has_total):
    total = {"total_tokens": prompt[0] + completion + reasoning} if has_total else {}
    usage = chat(
        prompt_tokens=prompt[0],
        completion_tokens=completion,
        prompt_tokens_details=prompt[1],
        completion_tokens_details={"reasoning_tokens": reasoning},
        cost_in_usd_ticks=1,
        **total,
    )
    assert usage.prompt_tokens == prompt[0]
    assert (usage.output, usage.reasoning) == (completion, reasoning)


@given(COUNT, COUNT, COUNT, COUNT)
def test_deepseek_adds_up(hit, miss, visible, reasoning):
    usage = chat(
        prompt_tokens=hit + miss,
        completion_tokens=visible + reasoning,
        total_tokens=hit + miss + visible + reasoning,
        prompt_cache_hit_tokens=hit,
        prompt_cache_miss_tokens=miss,
        completion_tokens_details={"reasoning_tokens": reasoning},
    )
    assert usage == Usage(input=miss, cache_read=hit, output=visible, reasoning=reasoning)


@given(COUNT, COUNT, COUNT)
def test_mistral_adds_up(cached, fresh, output):
    usage = chat(prompt_tokens=cached + fresh, completion_tokens=output, num_cached_tokens=cached)
    assert usage == Usage(input=fresh, cache_read=cached, output=output)


@given(prompts(), COUNT, COUNT, COUNT)
def test_responses_add_up(prompt, visible, reasoning, long):
    written = prompt[1]["cache_write_tokens"]
    long = min(long, written)
    counts = msgspec.convert(
        {
            "input_tokens": prompt[0],
            "output_tokens": visible + reasoning,
            "total_tokens": prompt[0] + visible + reasoning,
            "input_tokens_details": {
                **prompt[1],
                "cache_write_tokens_details": {
                    "ttl_12h_tokens": long,
                    "ttl_30m_tokens": written - long,
                },
            },
            "output_tokens_details": {"reasoning_tokens": reasoning},
        },
        ResponseCounts,
    )
    usage = read_responses(counts)
    assert usage.prompt_tokens + usage.completion_tokens == counts.total_tokens
    assert usage.cache_write_1h == long


def test_audio_billed_by_the_second_is_not_free_by_accident():
    with pytest.raises(UsageError, match=r"prompt_audio_seconds = 12, beside prompt_tokens = 4"):
        chat(prompt_tokens=4, prompt_audio_seconds=12)
    assert chat(prompt_tokens=4, prompt_audio_seconds={}) == Usage(input=4)


def test_responses_without_details_are_plain_input_and_output():
    assert read_responses(ResponseCounts(input_tokens=3, output_tokens=2)) == Usage(
        input=3, output=2
    )


# Named regressions: each figure is the one the report gives.


def test_litellm_37407_a_cached_image_is_not_billed_again_as_an_image():
    usage = chat(
        prompt_tokens=2461,
        completion_tokens=303,
        prompt_tokens_details={"cached_tokens": 2432, "image_tokens": 1142, "text_tokens": 1319},
        cost_in_usd_ticks=49_100_000,
    )
    assert usage.prompt_tokens == 2461
    assert usage == Usage(image_input=29, cache_read=2432, output=303)


def test_litellm_37407_a_cache_that_stays_within_the_text_leaves_the_image_whole():
    usage = chat(
        prompt_tokens=2461,
        completion_tokens=0,
        prompt_tokens_details={"cached_tokens": 512, "image_tokens": 1142, "text_tokens": 1319},
    )
    assert usage == Usage(input=807, image_input=1142, cache_read=512)


def test_a_cache_that_spans_text_and_images_caps_the_audio_last():
    usage = chat(
        prompt_tokens=100,
        prompt_tokens_details={"cached_tokens": 95, "image_tokens": 20, "audio_tokens": 10},
    )
    assert usage == Usage(cache_read=95, audio_input=5)


def test_litellm_34801_and_bifrost_904_cached_tokens_leave_the_input_at_full_rate():
    usage = chat(
        prompt_tokens=73_550,
        completion_tokens=20_480,
        total_tokens=94_030,
        prompt_tokens_details={"cached_tokens": 65_304},
    )
    assert usage == Usage(input=8_246, cache_read=65_304, output=20_480)


def test_gpt_5_6_cache_writes_are_billed_in_place_of_input_not_on_top():
    usage = chat(
        prompt_tokens=18_014,
        prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 18_011},
    )
    assert usage == Usage(input=3, cache_write_5m=18_011)


def test_openrouter_cache_writes_lie_within_the_prompt():
    counts = msgspec.convert(
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "cost": 0.95,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 100},
            "server_tool_use": {"web_search_requests": 3},
        },
        ChatCounts,
    )
    want = Usage(input=84, cache_read=10, cache_write_5m=100, output=2, web_search=3)
    assert read_openrouter(counts) == read_chat(counts) == want


def test_gemini_through_openai_names_thoughts_only_in_the_total():
    usage = chat(prompt_tokens=10, completion_tokens=5, total_tokens=115)
    assert usage == Usage(input=10, output=5, reasoning=100)


def test_grok_through_another_provider_keeps_its_reasoning_beside_completion():
    usage = chat(
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=115,
        completion_tokens_details={"reasoning_tokens": 100},
    )
    assert usage == Usage(input=10, output=5, reasoning=100)


def test_an_xai_model_that_counts_reasoning_within_is_told_by_its_total():
    usage = chat(
        prompt_tokens=10,
        completion_tokens=105,
        total_tokens=115,
        completion_tokens_details={"reasoning_tokens": 100},
        cost_in_usd_ticks=5,
    )
    assert usage == Usage(input=10, output=5, reasoning=100)


def test_a_null_detail_and_an_absent_one_are_no_tokens():
    assert chat(prompt_tokens=3, completion_tokens=1, prompt_tokens_details=None) == Usage(
        input=3, output=1
    )


@pytest.mark.parametrize(
    ("usage", "names"),
    [
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
            ["cached_tokens", "= 9", "prompt_tokens", "= 5"],
        ),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"image_tokens": 9}},
            ["image_tokens", "= 9", "prompt_tokens", "= 5"],
        ),
        (
            {"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
            ["reasoning_tokens", "= 3", "completion_tokens", "= 2"],
        ),
        (
            {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 5},
            ["total_tokens", "= 5", "prompt_tokens + completion_tokens", "= 6"],
        ),
        (
            {
                "prompt_tokens": 4,
                "completion_tokens": 2,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            ["total_tokens", "by 10", "reasoning_tokens = 3"],
        ),
        (
            {"prompt_tokens": 4, "prompt_cache_hit_tokens": 9},
            ["prompt_cache_hit_tokens = 9", "prompt_tokens = 4"],
        ),
        (
            {"prompt_tokens": 4, "prompt_cache_hit_tokens": 1, "prompt_cache_miss_tokens": 1},
            ["prompt_cache_hit_tokens = 1", "prompt_cache_miss_tokens = 1", "prompt_tokens = 4"],
        ),
    ],
)
def test_usage_that_contradicts_itself_names_both_fields_and_both_numbers(usage, names):
    with pytest.raises(UsageError) as caught:
        chat(**usage)
    for name in names:
        assert name in str(caught.value)


@given(st.integers(1, 10_000))
def test_embeddings_take_whichever_count_is_sent(tokens):
    for usage in (
        {"prompt_tokens": tokens, "total_tokens": tokens},
        {"prompt_tokens": tokens},
        {"total_tokens": tokens},
    ):
        assert read_embeddings(msgspec.convert(usage, EmbeddingCounts)) == Usage(input=tokens)


def test_embeddings_whose_counts_differ_are_refused_with_both_numbers():
    counts = EmbeddingCounts(prompt_tokens=3, total_tokens=4)
    with pytest.raises(UsageError, match=r"prompt_tokens = 3 and total_tokens = 4"):
        read_embeddings(counts)
    assert counts.rough() == Usage(input=4, is_estimated=True)


@given(prompts(), COUNT, COUNT, COUNT)
def test_the_short_way_for_text_says_what_the_long_way_says(prompt, visible, reasoning, audio):
    completion = visible + reasoning + audio
    usage = {
        "prompt_tokens": prompt[0],
        "completion_tokens": completion,
        "total_tokens": prompt[0] + completion,
        "prompt_tokens_details": prompt[1],
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio},
    }
    counts = msgspec.convert(usage, ChatCounts)
    assert read_chat(counts) == read_openai_chat(counts)
    text = msgspec.convert(usage | {"prompt_tokens_details": None}, ChatCounts)
    assert read_chat(text) == read_openai_chat(text)


def test_text_whose_parts_exceed_their_whole_is_refused_on_the_short_way_too():
    with pytest.raises(UsageError):
        chat(
            prompt_tokens=5,
            completion_tokens=5,
            total_tokens=10,
            prompt_tokens_details={"cached_tokens": 6},
        )
