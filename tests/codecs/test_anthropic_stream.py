import json

import pytest
from recorded import MESSAGE_STREAM

from farthing.call import Endpoint
from farthing.codecs import RequestView, codec_for
from farthing.codecs import sse as sse_module
from farthing.usage import STANDARD, Usage

codec = codec_for(Endpoint.ANTHROPIC_MESSAGES)
VIEW = RequestView(model="m", is_streamed=True, input_estimate=50)


def run(*parts, view=VIEW):
    reader = codec.stream(view)
    for part in parts:
        assert reader.feed(part) is part
    tail, answer = reader.close()
    assert tail == b""
    return answer, reader.is_complete


def event(kind, **members):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(**usage):
    return event("message_start", message={"model": "claude-sonnet-5", "usage": usage})


def test_a_whole_stream_is_measured():
    answer, complete = run(MESSAGE_STREAM)
    assert complete
    assert answer.usage == Usage(input=472, cache_read=7, cache_write_1h=10, output=89)
    assert (answer.model_served, answer.finish_reason) == ("claude-sonnet-5", "tool_use")
    assert (answer.terms, answer.error) == (STANDARD, "")


def test_a_cut_anywhere_gives_the_same_answer_and_no_byte_is_touched():
    whole = run(MESSAGE_STREAM)
    for at in range(len(MESSAGE_STREAM)):
        assert run(MESSAGE_STREAM[:at], MESSAGE_STREAM[at:]) == whole


def test_a_stream_cut_after_message_start_keeps_its_measured_input():
    cut = MESSAGE_STREAM[: MESSAGE_STREAM.index(b"event: message_delta")]
    answer, complete = run(cut)
    assert not complete
    assert answer.usage == Usage(
        input=472, cache_read=7, cache_write_1h=10, output=8, reasoning=5, is_estimated=True
    )


def test_a_stream_cut_before_message_start_is_all_estimate():
    assert run(b"event: ping\ndata: {}\n\n")[0].usage == Usage(input=50, is_estimated=True)


def test_the_input_may_be_revised_at_the_end_and_is_never_lowered():
    delta = event("message_delta", delta={"stop_reason": "end_turn"},
                  usage={"input_tokens": 30, "cache_read_input_tokens": 0, "output_tokens": 4})  # fmt: skip
    answer, _ = run(start(input_tokens=0, cache_read_input_tokens=9, output_tokens=1), delta)
    assert answer.usage == Usage(input=30, cache_read=9, output=4)


def test_a_message_delta_without_message_start_still_counts():
    answer, _ = run(event("message_delta", delta={}, usage={"output_tokens": 4}))
    assert answer.usage == Usage(output=4)


def test_a_message_delta_without_usage_is_no_final_count():
    answer, _ = run(start(input_tokens=3, output_tokens=1), event("message_delta", delta={}))
    assert answer.usage == Usage(input=3, output=1, is_estimated=True)


@pytest.mark.parametrize(
    ("delta", "output", "reasoning"),
    [
        ({"type": "text_delta", "text": "x" * 40}, 10, 0),
        ({"type": "input_json_delta", "partial_json": "x" * 40}, 10, 0),
        ({"type": "thinking_delta", "thinking": "x" * 40}, 0, 10),
        ({"type": "signature_delta", "signature": "x" * 40}, 0, 0),
        ({"type": "citations_delta", "citation": {}}, 0, 0),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_every_kind_of_delta_counts_when_the_stream_is_cut(delta, output, reasoning):
    sent = event("content_block_delta", index=0, delta=delta)
    answer, _ = run(start(input_tokens=3, output_tokens=0), sent)
    assert answer.usage == Usage(input=3, output=output, reasoning=reasoning, is_estimated=True)


def test_bifrost_5387_a_stream_cut_after_a_fallback_names_the_model_that_took_over():
    block = {
        "type": "fallback",
        "from": {"model": "claude-fable-5"},
        "to": {"model": "claude-opus-5"},
    }
    plain = event("content_block_start", index=1, content_block={"type": "text", "text": ""})
    answer, _ = run(
        start(input_tokens=3), event("content_block_start", index=0, content_block=block), plain
    )
    assert answer.model_served == "claude-opus-5"


def test_an_error_event_is_told_and_is_no_end():
    error = {"type": "overloaded_error", "message": "Overloaded"}
    answer, complete = run(start(input_tokens=3), event("error", error=error))
    assert answer.error == "overloaded_error: Overloaded"
    assert not complete
    assert answer.usage.is_estimated


def test_events_of_tomorrow_and_events_without_their_object_pass():
    odd = [event(k) for k in ("new_kind", "message_start", "content_block_start", "error")]
    answer, complete = run(*odd, event("content_block_delta", delta=None), event("message_stop"))
    assert complete
    assert answer.error == ""


def test_a_broken_event_and_broken_usage_are_told_a_few_times():
    answer, _ = run(b"data: {\n\n" * 1000)
    assert answer.error.count("cannot be read") == 5
    broken = event("message_start", message={"model": "x", "usage": {"input_tokens": "y"}})
    answer, _ = run(broken)
    assert answer.usage == Usage(input=50, is_estimated=True)
    assert "usage cannot be read" in answer.error
    assert answer.model_served == "x"


def test_usage_that_contradicts_itself_is_estimated_and_says_so():
    usage = {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}}
    answer, _ = run(start(input_tokens=3), event("message_delta", delta={}, usage=usage))
    assert answer.usage == Usage(input=3, output=3, is_estimated=True)
    assert "thinking_tokens = 4" in answer.error


def test_an_event_beyond_the_limit_is_passed_on_unread_and_flagged():
    reader = codec.stream(VIEW)
    reader._splitter = sse_module.Splitter(limit=1000)
    long = event("content_block_delta", index=0, delta={"text": "x" * 5000})
    assert reader.feed(long[:3000]) == long[:3000]
    tail, answer = reader.close()
    assert tail == b""
    assert "longer than the limit" in answer.error
