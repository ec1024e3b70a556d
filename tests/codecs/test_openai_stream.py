import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import CHAT_STREAM_ASKED, CHAT_STREAM_UNASKED, CHAT_USAGE, chunk

from farthing.call import Endpoint
from farthing.codecs import RequestView, codec_for
from farthing.codecs import sse as sse_module
from farthing.codecs.openai_stream import ChatStream
from farthing.money import Money
from farthing.usage import Terms, Usage

codec = codec_for(Endpoint.OPENAI_CHAT)
PLAIN = RequestView(model="m", is_streamed=True, input_estimate=50)
ASKING = RequestView(model="m", is_streamed=True, input_estimate=50, wants_usage=True)
MEASURED = Usage(input=14, cache_read=5, output=6, reasoning=4)


def run(view, *parts, meter=True):
    reader = codec.stream(view, meter=meter)
    out = b"".join(reader.feed(part) for part in parts)
    tail, answer = reader.close()
    return out + tail, answer, reader.is_complete


def test_a_client_that_did_not_ask_gets_the_bytes_it_would_have_got():
    out, answer, complete = run(PLAIN, CHAT_STREAM_ASKED)
    assert out == CHAT_STREAM_UNASKED
    assert complete
    assert answer.usage == MEASURED
    assert answer.terms == Terms(service_tier="flex")
    assert (answer.model_served, answer.finish_reason) == ("gpt-4o-2024-08-06", "tool_calls")
    assert answer.error == ""


def test_a_cut_anywhere_gives_the_same_bytes_and_the_same_answer():
    whole = run(PLAIN, CHAT_STREAM_ASKED)
    for at in range(len(CHAT_STREAM_ASKED)):
        assert run(PLAIN, CHAT_STREAM_ASKED[:at], CHAT_STREAM_ASKED[at:]) == whole


@pytest.mark.parametrize("ends", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
def test_other_line_ends_are_hidden_from_alike_wherever_the_cut(ends):
    asked, unasked = (
        stream.replace(b"\n", ends) for stream in (CHAT_STREAM_ASKED, CHAT_STREAM_UNASKED)
    )
    for at in range(len(asked)):
        out, answer, complete = run(PLAIN, asked[:at], asked[at:])
        assert out == unasked
        assert answer.usage == MEASURED
        assert complete


def test_a_client_that_asked_gets_every_byte_at_once_and_the_same_object():
    reader = codec.stream(ASKING)
    for at in range(0, len(CHAT_STREAM_ASKED), 7):
        part = CHAT_STREAM_ASKED[at : at + 7]
        assert reader.feed(part) is part
    tail, answer = reader.close()
    assert (tail, answer.usage) == (b"", MEASURED)


def test_an_event_that_need_not_change_is_the_same_object():
    reader = codec.stream(PLAIN)
    event = chunk('{"index":0,"delta":{"content":"a"}}', "").encode()
    assert reader.feed(event) is event
    several = event * 3
    assert reader.feed(several) is several


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b'data: {"usage":null,"choices":[]}\n\n', b'data: {"choices":[]}\n\n'),
        (b'data: {"choices":[], "usage": null}\n\n', b'data: {"choices":[]}\n\n'),
        (b'data: {"a":{"x":1,"usage":null},"usage":null}\n\n',
         b'data: {"a":{"x":1,"usage":null}}\n\n'),
        (b'data: {"a":{"x":1,"usage":null}}\n\n', None),
        (b'data: {"x":"\\",\\"usage\\":null}","usage":null,"y":[1]}\n\n',
         b'data: {"x":"\\",\\"usage\\":null}","y":[1]}\n\n'),
        (b'data:{"usage":null}\n\n', b"data:{}\n\n"),
        (b': ping\ndata: {"x":1,"usage":null}\n\n', b': ping\ndata: {"x":1}\n\n'),
        (b'data: {"x":1,\ndata: "usage":null,\ndata: "y":2}\n\n',
         b'data: {"x":1,\ndata: "y":2}\n\n'),
        (b": OPENROUTER PROCESSING\n\n", None),
        (b"data: not json\n\n", None),
    ],
    ids=["first", "spaced", "nested too", "nested", "in a string", "no space", "comment",
         "several lines", "only a comment", "broken"],
)  # fmt: skip
def test_only_the_top_level_null_usage_is_taken_out(sent, shown):
    out, _, _ = run(PLAIN, sent)
    assert out == (sent if shown is None else shown)


def test_azures_first_chunk_without_choices_is_no_usage_chunk():
    sent = b'data: {"choices":[],"prompt_filter_results":[{"a":1}],"usage":null}\n\n'
    out, _, _ = run(PLAIN, sent)
    assert out == b'data: {"choices":[],"prompt_filter_results":[{"a":1}]}\n\n'


def test_deepseek_reports_usage_in_its_last_chunk_with_choices_and_that_stays():
    usage = (
        '{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,'
        '"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}'
    )
    last = chunk('{"index":0,"delta":{},"finish_reason":"stop"}', f',"usage":{usage}').encode()
    out, answer, complete = run(PLAIN, last + b"data: [DONE]\n\n")
    assert out == last + b"data: [DONE]\n\n"
    assert answer.usage == Usage(input=5, cache_read=4, output=2)
    assert complete


@pytest.mark.parametrize(("choices", "is_shown"), [('{"delta":{"content":5}}', True), ("", False)])
def test_choices_of_a_form_we_do_not_know_do_not_lose_the_usage(choices, is_shown):
    sent = f'data: {{"choices":[{choices}],"usage":{CHAT_USAGE}}}\n\n'.encode()
    out, answer, _ = run(PLAIN, sent)
    assert (out == sent) == is_shown
    assert (answer.usage, answer.error) == (MEASURED, "")


def test_openrouter_states_its_cost_in_the_stream():
    usage = CHAT_USAGE[:-1] + ',"cost":0.00123}'
    _, answer, _ = run(PLAIN, chunk("", f',"usage":{usage}').encode())
    assert answer.provider_cost == Money.usd("0.00123")


def test_a_provider_that_must_not_be_asked_is_passed_on_whole():
    out, answer, _ = run(PLAIN, CHAT_STREAM_ASKED, meter=False)
    assert out == CHAT_STREAM_ASKED
    assert answer.usage == MEASURED


def delta(**members):
    return chunk(json.dumps({"index": 0, "delta": members}), "").encode()


@pytest.mark.parametrize(
    ("members", "output", "reasoning"),
    [
        ({"content": "x" * 40}, 10, 0),
        ({"refusal": "x" * 40}, 10, 0),
        ({"reasoning_content": "x" * 40}, 0, 10),
        ({"reasoning": "x" * 40, "content": None}, 0, 10),
        ({"reasoning": "x" * 40, "content": "y" * 4}, 1, 10),
        ({"tool_calls": [{"index": 0, "function": {"name": "ab", "arguments": "x" * 38}}]}, 10, 0),
        ({"tool_calls": [{"index": 0}]}, 0, 0),
        ({"tool_calls": [{"index": 0, "function": {"arguments": None}}]}, 0, 0),
        ({"function_call": {"arguments": "x" * 40}}, 10, 0),
        ({"content": [{"type": "thinking", "thinking": "x"}]}, 9, 0),
    ],
    ids=["text", "refusal", "reasoning_content", "reasoning", "both", "tool", "tool start",
         "null arguments", "function", "blocks"],
)  # fmt: skip
def test_hardcap_every_kind_of_delta_counts_when_no_usage_arrives(members, output, reasoning):
    _, answer, complete = run(PLAIN, delta(**members))
    assert answer.usage == Usage(input=50, output=output, reasoning=reasoning, is_estimated=True)
    assert not complete


def test_kong_14768_a_stream_without_usage_is_not_a_stream_of_zero_tokens():
    _, answer, _ = run(PLAIN, CHAT_STREAM_UNASKED)
    assert answer.usage.is_estimated
    assert answer.usage.input == 50
    assert answer.usage.output > 0


def test_usage_that_contradicts_itself_is_flagged_and_the_stream_goes_on():
    usage = '{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":9}}'
    sent = chunk("", f',"usage":{usage}').encode()
    out, answer, _ = run(ASKING, sent)
    assert out == sent
    assert answer.usage == Usage(input=5, output=2, is_estimated=True)
    assert "cached_tokens" in answer.error


def test_an_error_in_the_stream_is_passed_on_and_told():
    sent = b'data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n'
    out, answer, complete = run(PLAIN, delta(content="abcd"), sent)
    assert out.endswith(sent)
    assert "overloaded" in answer.error
    assert not complete
    assert answer.usage.is_estimated


def test_a_null_error_is_none():
    assert run(PLAIN, b'data: {"error":null,"choices":null}\n\n')[1].error == ""


def test_reasons_are_told_per_choice_in_order():
    parts = [chunk(f'{{"index":{i},"finish_reason":"{r}"}}', "") for i, r in ((1, "b"), (0, "a"))]
    assert run(PLAIN, "".join(parts).encode())[1].finish_reason == "a,b"


def test_a_stream_of_broken_events_is_told_a_few_times_and_no_more():
    _, answer, _ = run(PLAIN, b"data: {\n\n" * 1000)
    assert answer.error.count("cannot be read") == 5


@pytest.mark.parametrize("view", [PLAIN, ASKING], ids=["hidden", "asked"])
def test_the_last_event_needs_no_blank_line(view):
    out, answer, _ = run(view, chunk("", f',"usage":{CHAT_USAGE}').encode().rstrip(b"\n"))
    assert answer.usage == MEASURED
    assert (out == b"") == (view is PLAIN)
    assert run(view, b"data: [DONE]")[2]
    out, _, _ = run(view, delta(content="x").rstrip(b"\n"))
    assert out == delta(content="x").rstrip(b"\n")


@pytest.mark.parametrize("view", [PLAIN, ASKING], ids=["hidden", "asked"])
def test_an_event_beyond_the_limit_is_passed_on_unread_and_flagged(view):
    reader = codec.stream(view)
    reader._splitter = sse_module.Splitter(limit=1000)
    long = delta(content="x" * 5000)
    out = reader.feed(long[:3000]) + reader.feed(long[3000:])
    out += reader.feed(CHAT_STREAM_ASKED[-14:])
    tail, answer = reader.close()
    assert out + tail == long + b"data: [DONE]\n\n"
    assert reader.is_complete
    assert "longer than the limit" in answer.error

    reader = codec.stream(view)
    reader._splitter = sse_module.Splitter(limit=1000)
    out = reader.feed(long[:3000])
    tail, answer = reader.close()
    assert out + tail == long[:3000]
    assert answer.usage == Usage(input=50, is_estimated=True)


@given(st.lists(st.integers(0, len(CHAT_STREAM_ASKED)), max_size=10))
def test_any_cuts_show_the_same_bytes(cuts):
    edges = [0, *sorted(cuts), len(CHAT_STREAM_ASKED)]
    parts = [CHAT_STREAM_ASKED[a:b] for a, b in itertools.pairwise(edges)]
    assert run(PLAIN, *parts)[0] == CHAT_STREAM_UNASKED


def test_a_reader_without_metering_is_the_plain_one():
    assert type(codec.stream(ASKING)) is ChatStream
