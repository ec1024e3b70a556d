"""Counts that a provider writes as floats: whole ones are read in every codec, others never."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.call import Endpoint
from farthing.codecs import RequestView, codec_for
from farthing.codecs.counts import ChatCounts, GeminiCounts, MessageCounts
from farthing.codecs.counts.decoder import CountsDecoder
from farthing.money import Money
from farthing.usage import Usage

VIEW = RequestView(model="m", input_estimate=7, wants_usage=True)
CHAT = {"prompt_tokens": 10.0, "completion_tokens": 2.0, "total_tokens": 12.0,
        "prompt_tokens_details": {"cached_tokens": 4.0}}  # fmt: skip
MESSAGE = {"input_tokens": 10.0, "output_tokens": 2.0, "cache_creation_input_tokens": 3.0,
           "cache_creation": {"ephemeral_1h_input_tokens": 3.0}}  # fmt: skip
CHAT_USAGE = Usage(input=6, cache_read=4, output=2)
MESSAGE_USAGE = Usage(input=10, cache_write_1h=3, output=2)

chats = CountsDecoder(ChatCounts)


def read(endpoint, **answer):
    return codec_for(endpoint).read_answer(json.dumps(answer).encode(), VIEW)


def streamed(endpoint, *events):
    stream = codec_for(endpoint).stream(VIEW)
    for event in events:
        stream.feed(f"data: {json.dumps(event)}\n\n".encode())
    return stream.close()[1]


def test_a_chat_answer_is_metered():
    got = read(Endpoint.OPENAI_CHAT, model="m", choices=[], usage=CHAT)
    assert (got.usage, got.error) == (CHAT_USAGE, "")


def test_a_streamed_chat_is_metered():
    got = streamed(Endpoint.OPENAI_CHAT, {"model": "m", "choices": [], "usage": CHAT})
    assert (got.usage, got.error) == (CHAT_USAGE, "")


def test_a_streamed_message_is_metered():
    got = streamed(
        Endpoint.ANTHROPIC_MESSAGES,
        {
            "type": "message_start",
            "message": {"model": "m", "usage": {**MESSAGE, "output_tokens": 1.0}},
        },
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2.0}},
        {"type": "message_stop"},
    )
    assert (got.usage, got.error) == (MESSAGE_USAGE, "")


def test_embeddings_are_metered():
    got = read(Endpoint.OPENAI_EMBEDDINGS, model="m", usage={"prompt_tokens": 8.0})
    assert (got.usage, got.error) == (Usage(input=8), "")


def test_a_message_is_metered_with_all_that_was_billed_within_it():
    parts = [{"type": "compaction", "input_tokens": 100.0, "output_tokens": 1.0}]
    got = read(Endpoint.ANTHROPIC_MESSAGES, model="m", usage={**MESSAGE, "iterations": parts})
    assert (got.usage, got.error) == (MESSAGE_USAGE, "")
    assert got.usage_billed == Usage(input=110, cache_write_1h=3, output=3)


def test_tokens_that_were_counted_are_read():
    got = read(Endpoint.ANTHROPIC_COUNT_TOKENS, input_tokens=10.0)
    assert (got.counted, got.error) == (10, "")


def test_ticks_of_a_stated_cost_are_read():
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    got = read(Endpoint.OPENAI_CHAT, model="m", usage={**usage, "cost_in_usd_ticks": 37756000.0})
    assert (got.provider_cost, got.usage) == (Money.usd("0.0037756"), Usage(input=10, output=2))


@pytest.mark.parametrize(
    ("shape", "counts"), [(GeminiCounts, {"promptTokenCount": 5}), (MessageCounts, {})]
)
def test_any_shape_of_counts_reads_floats_as_it_reads_integers(shape, counts):
    floats = {name: float(count) for name, count in counts.items()}
    whole = CountsDecoder(shape).decode(json.dumps(counts).encode())
    assert CountsDecoder(shape).decode(json.dumps(floats).encode()) == whole


@given(st.integers(0, 2**53 - 1), st.sampled_from(["{}.0", "{}e0", "{}.000"]))
def test_every_whole_float_is_exactly_its_count(count, form):
    raw = b'{"prompt_tokens": %b}' % form.format(count).encode()
    assert chats.decode(raw).prompt_tokens == count


@pytest.mark.parametrize(
    "count",
    ["10.5", "-1.0", "-1", "true", "false", '"10"', '"10.0"', "9007199254740993.0", "1e300",
     "1e999", "NaN", "Infinity", "[10.0]", "[" * 3000 + "1.0" + "]" * 3000],
)  # fmt: skip
def test_what_is_no_count_stays_unread(count):
    with pytest.raises(msgspec.DecodeError):
        chats.decode(b'{"completion_tokens": 2.0, "prompt_tokens": %b}' % count.encode())


def test_a_member_that_is_no_count_is_told_as_it_was_written():
    with pytest.raises(msgspec.ValidationError, match=r"got `float` - at `\$\.prompt_tokens`"):
        chats.decode(b'{"prompt_tokens": 1.5}')
