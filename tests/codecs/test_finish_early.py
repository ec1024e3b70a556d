"""A stream whose money is gone ends as one whose limit on output is reached."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import CHAT_STREAM_ASKED, MESSAGE_STREAM

from farthing.call import Endpoint
from farthing.codecs import RequestView, codec_for
from farthing.codecs.sse import Splitter, read_event

# Where the event begins that ends the chat by itself.
CHAT_END = CHAT_STREAM_ASKED.rindex(b"\n\n", 0, CHAT_STREAM_ASKED.index(b'"tool_calls"}')) + 2
TOLD = {"code": "budget_exceeded", "budget": "support"}
VIEW = RequestView(model="m", is_streamed=True, input_estimate=50)


def events(stream):
    splitter = Splitter()
    blocks = splitter.split(stream)
    assert splitter.close() == b""
    return [read_event(block).data for block in blocks]


def cut(endpoint, stream, first, second, view=VIEW):
    """What a client has after the stream was stopped in place of its second part."""
    reader = codec_for(endpoint).stream(view)
    got = reader.feed(stream[:first])
    while True:
        shown = reader.feed(stream[first:second])
        last = reader.finish_early(shown, TOLD)
        if last is not None:
            return got + last, reader.close()[1]
        got += shown
        first, second = second, second + 50


@given(st.data())
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_chat_cut_anywhere_is_a_whole_stream_that_ends_for_length(wants_usage, data):
    first = data.draw(st.integers(1, CHAT_END))
    second = data.draw(st.integers(first, CHAT_END))
    view = RequestView(
        model="m", is_streamed=True, input_estimate=50, wants_usage=wants_usage,
        has_stream_options=wants_usage,
    )  # fmt: skip
    got, answer = cut(Endpoint.OPENAI_CHAT, CHAT_STREAM_ASKED, first, second, view)
    *chunks, done = events(got)
    assert done == b"[DONE]"
    told = [json.loads(chunk) for chunk in chunks]
    usage = told.pop() if wants_usage else None
    assert told[-1]["choices"][0]["finish_reason"] == "length"
    assert told[-1]["farthing"] == TOLD
    assert {c["id"] for c in told if "id" in c} <= {json.loads(chunks[0]).get("id")}
    if usage is not None:
        assert usage["choices"] == []
        assert usage["usage"]["total_tokens"] >= 50
    assert answer.finish_reason.startswith("length")


@given(st.data())
def test_a_message_cut_anywhere_is_a_whole_stream_that_ends_for_max_tokens(data):
    first = data.draw(st.integers(1, MESSAGE_STREAM.index(b"event: message_delta")))
    second = data.draw(st.integers(first, MESSAGE_STREAM.index(b"event: message_delta")))
    got, answer = cut(Endpoint.ANTHROPIC_MESSAGES, MESSAGE_STREAM, first, second)
    told = [json.loads(event) for event in events(got) if event]
    kinds = [event["type"] for event in told]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"
    assert told[-2]["farthing"] == TOLD
    assert answer.finish_reason == "max_tokens"
    assert answer.usage.is_estimated


def test_a_chat_cut_before_its_first_event_still_ends():
    got, answer = cut(Endpoint.OPENAI_CHAT, b": comment\n\ndata: [1]\n\n", 11, 11)
    assert events(got)[-1] == b"[DONE]"
    assert answer.usage.is_estimated


TEXTS = st.lists(st.text(max_size=8), max_size=6)


@given(TEXTS, TEXTS)
def test_no_text_can_be_more_tokens_than_the_bound(texts, thoughts):
    chat = codec_for(Endpoint.OPENAI_CHAT).stream(VIEW)
    message = codec_for(Endpoint.ANTHROPIC_MESSAGES).stream(VIEW)
    for kind, pieces in (("content", texts), ("reasoning_content", thoughts)):
        for text in pieces:
            delta = {"choices": [{"index": 0, "delta": {kind: text}}]}
            chat.feed(b"data: %b\n\n" % json.dumps(delta).encode())
            part = {"text": text} if kind == "content" else {"thinking": text}
            event = {"type": "content_block_delta", "index": 0, "delta": part}
            message.feed(b"event: x\ndata: %b\n\n" % json.dumps(event).encode())
    bytes_of_text = sum(len(text.encode("utf-8", "replace")) for text in texts + thoughts)
    assert chat.output_most >= bytes_of_text
    assert message.output_most == bytes_of_text


def test_tool_arguments_and_wide_characters_count_too():
    reader = codec_for(Endpoint.OPENAI_CHAT).stream(VIEW)
    call = {"function": {"name": "f", "arguments": "x" * 40}}
    delta = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    reader.feed(b"data: %b\n\n" % json.dumps(delta).encode())
    assert reader.output_most >= 41
    reader.feed('data: {"choices":[{"delta":{"content":"漢字"}}]}\n\n'.encode())
    assert reader.output_most >= 47
