import json

import pytest
from recorded import MESSAGE_ANSWER

from farthing.call import Endpoint
from farthing.codecs import Answer, BadRequest, RequestView, codec_for
from farthing.usage import NO_USAGE, Terms, Usage

codec = codec_for(Endpoint.ANTHROPIC_MESSAGES)
counting = codec_for(Endpoint.ANTHROPIC_COUNT_TOKENS)
USER = {"role": "user", "content": "Hi"}
VIEW = RequestView(model="m", input_estimate=7)


def body(**members):
    return json.dumps({"model": "m", "messages": [USER], **members}).encode()


def view(**members):
    return codec.read_request(body(**members))


def test_a_request_is_read_whatever_else_it_holds():
    got = view(
        stream=True,
        max_tokens=1024,
        service_tier="auto",
        metadata={"user_id": "u-1"},
        system="Be brief",
        thinking={"type": "adaptive"},
        field_of_tomorrow=1,
    )
    assert (got.model, got.is_streamed, got.output_most) == ("m", True, 1024)
    assert (got.service_tier, got.user, got.session) == ("auto", "u-1", "")
    assert counting.read_request(body()).output_most == 0


UUID = "c9b7f7d2-6b5e-4d7e-8a63-0f6f0d1c2b3a"


@pytest.mark.parametrize(
    ("user_id", "user", "session"),
    [
        (f"user_ab12_account_{UUID}_session_{UUID}", "user_ab12", UUID),
        (f"user_ab12_account__session_{UUID}", "user_ab12", UUID),
        (f'{{"device_id":"d","account_uuid":"","session_id":"{UUID}"}}', "d", UUID),
        ('{"session_id":"s"}', '{"session_id":"s"}', "s"),
        ("{broken", "{broken", ""),
        ("user_account_session", "user_account_session", ""),
    ],
)
def test_a_coding_agents_user_id_names_its_session(user_id, user, session):
    got = view(metadata={"user_id": user_id})
    assert (got.user, got.session) == (user, session)


def test_a_session_may_be_named_beside_the_user():
    assert view(metadata={"user_id": "u", "session_id": "s"}).session == "s"
    assert view(metadata=5).session == ""


RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}
REMINDED = {"role": "user", "content": [*RESULT["content"], {"type": "text", "text": "go on"}]}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "input": {}}]}
TEXT = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}


@pytest.mark.parametrize(
    ("messages", "turn", "step"),
    [
        ([USER], 1, 0),
        ([USER, CALL, RESULT], 1, 1),
        ([USER, CALL, REMINDED, CALL, RESULT], 1, 2),
        ([USER, CALL, RESULT, {"role": "assistant", "content": "Ok"}, TEXT], 2, 0),
    ],
)
def test_a_tools_result_is_no_turn_of_the_users(messages, turn, step):
    got = view(messages=messages).conversation
    assert (got.turn, got.step) == (turn, step)


def cached(ttl=None):
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return [{"type": "text", "text": "x", "cache_control": control}]


@pytest.mark.parametrize(
    ("members", "ttl"),
    [
        ({}, ""),
        ({"system": cached()}, "5m"),
        ({"system": cached("5m")}, "5m"),
        ({"system": cached("1h"), "messages": [{"role": "user", "content": cached()}]}, "1h"),
        ({"system": cached(), "messages": [{"role": "user", "content": cached("1h")}]}, "1h"),
        ({"tools": [{"name": "f", "cache_control": {"type": "ephemeral", "ttl": "24h"}}]}, "1h"),
        ({"cache_control": {"type": "ephemeral"}}, "5m"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "1h"),
        ({"cache_control": {"type": "ephemeral"}, "system": cached("1h")}, "1h"),
    ],
)
def test_the_longest_cache_lifetime_asked_for_is_known(members, ttl):
    assert view(**members).cache_write_ttl == ttl


def source(size, kind="base64"):
    return {"type": kind, "media_type": "image/png", "data": "A" * size}


@pytest.mark.parametrize(
    ("block", "most"),
    [
        ({"type": "image", "source": source(4_000_000)}, 4_784),
        ({"type": "image", "source": {"type": "url", "url": "https://x"}}, 4_784),
        ({"type": "document", "source": source(39_000)}, 7_784),
        ({"type": "document", "source": source(4_000, "text")}, 1_000),
        (
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "content": [{"type": "image", "source": source(4_000_000)}],
            },
            4_784,
        ),
    ],
    ids=["image", "address", "document", "text document", "image in a tool's result"],
)
def test_media_does_not_count_as_text(block, most):
    got = view(messages=[{"role": "user", "content": [block]}])
    assert most <= got.input_estimate <= most + 70


def test_a_wrong_type_is_refused_in_the_providers_style():
    with pytest.raises(BadRequest) as caught:
        view(max_tokens="many")
    error = json.loads(codec.write_error(caught.value.problem))
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["param"] == "max_tokens"


@pytest.mark.parametrize("one", [codec, counting])
def test_only_the_model_is_ever_changed(one):
    sent = b'{"max_tokens":5,"model":"m","messages":[],"stream":true, "top_p":1.0}'
    got = one.read_request(sent)
    assert one.write_request(sent, got, "m") is sent
    assert one.write_request(sent, got, "n") == sent.replace(b'"m"', b'"n"')


# Answers


def test_an_answer_tells_usage_terms_model_and_reason():
    got = codec.read_answer(MESSAGE_ANSWER)
    assert got.usage == Usage(
        input=12,
        cache_read=4000,
        cache_write_5m=100,
        cache_write_1h=200,
        output=50,
        reasoning=40,
        web_search=2,
    )
    assert got.terms == Terms(service_tier="priority", region="us", speed="fast")
    assert (got.model_served, got.finish_reason) == ("claude-sonnet-5", "tool_use")
    assert got.error == ""


def answer(usage, **members):
    return json.dumps({"type": "message", "model": "m", "usage": usage, **members}).encode()


def test_parts_are_added_to_what_is_billed():
    iterations = [{"type": "compaction", "input_tokens": 100, "output_tokens": 10}]
    got = codec.read_answer(
        answer({"input_tokens": 1, "output_tokens": 2, "iterations": iterations})
    )
    assert got.usage == Usage(input=1, output=2)
    assert got.usage_billed == Usage(input=101, output=12)


def test_writes_without_a_breakdown_are_priced_by_what_the_request_asked_for():
    long = RequestView(model="m", cache_write_ttl="1h")
    got = codec.read_answer(answer({"cache_creation_input_tokens": 9}), long)
    assert got.usage == Usage(cache_write_1h=9)


def test_a_refusal_before_any_output_is_not_billed():
    usage = {"input_tokens": 106, "output_tokens": 0}
    assert codec.read_answer(answer(usage, stop_reason="refusal")).usage == NO_USAGE
    usage = {"input_tokens": 106, "output_tokens": 1}
    assert codec.read_answer(answer(usage, stop_reason="refusal")).usage == Usage(
        input=106, output=1
    )


def test_usage_that_contradicts_itself_is_estimated_and_says_so():
    got = codec.read_answer(
        answer(
            {
                "input_tokens": 5,
                "cache_creation_input_tokens": 1,
                "cache_creation": {"ephemeral_1h_input_tokens": 2},
            }
        )
    )
    assert got.usage == Usage(input=5, cache_write_5m=1, is_estimated=True)
    assert "cache_creation_input_tokens = 1" in got.error


@pytest.mark.parametrize("usage", [None, {"input_tokens": "x"}, 5])
def test_usage_that_is_missing_or_unreadable_is_estimated_from_lengths(usage):
    content = [
        {"type": "text", "text": "12345678"},
        {"type": "thinking", "thinking": "1234"},
        {"type": "tool_use", "input": {"ab": "cd"}},
    ]
    raw = answer(usage, content=content)
    assert codec.read_answer(raw).usage is None
    got = codec.read_answer(raw, VIEW)
    assert got.usage == Usage(input=7, output=5, reasoning=1, is_estimated=True)
    assert "missing or cannot be read" in got.error


def test_content_of_a_form_we_do_not_know_counts_by_its_bytes():
    got = codec.read_answer(answer(None, content=[{"text": 5}] * 2), VIEW)
    assert got.usage == Usage(input=7, output=7, is_estimated=True)
    assert codec.read_answer(answer({"input_tokens": 1}, content=5)).usage == Usage(input=1)


def test_an_answer_that_cannot_be_read_or_is_an_error_is_told():
    assert codec.read_answer(b"<").usage is None
    assert codec.read_answer(b"<", VIEW).usage == Usage(input=7, is_estimated=True)
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert "overloaded_error: Overloaded" in codec.read_answer(error).error


def test_counting_tokens_costs_nothing_and_tells_the_count():
    assert counting.read_answer(b'{"input_tokens":2095}') == Answer(usage=NO_USAGE, counted=2095)
    got = counting.read_answer(b'{"input_tokens":"x"}')
    assert (got.usage, got.counted) == (NO_USAGE, 0)
    assert "cannot be read" in got.error
