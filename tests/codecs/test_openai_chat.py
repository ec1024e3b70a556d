import base64
import json

import pytest
from recorded import CHAT_ANSWER

from farthing.call import Conversation, Endpoint
from farthing.codecs import BadRequest, RequestView, codec_for
from farthing.money import Money
from farthing.usage import STANDARD, Terms, Usage

codec = codec_for(Endpoint.OPENAI_CHAT)
USER = {"role": "user", "content": "Hi"}


def body(**members):
    return json.dumps({"model": "m", "messages": [USER], **members}).encode()


def view(**members):
    return codec.read_request(body(**members))


# Reading a request


def test_a_request_is_read_whatever_else_it_holds():
    got = view(
        stream=True,
        max_tokens=5,
        max_completion_tokens=70,
        n=3,
        stream_options={"include_usage": True, "new": 1},
        service_tier="flex",
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        metadata={"session_id": "s1", "feature": "search", "number": 5},
        logprobs=True,
        seed=7,
        response_format={"type": "json_schema"},
        prediction={"type": "content", "content": "x"},
        store=True,
        field_of_tomorrow={"deep": [1.0]},
    )
    assert got.model == "m"
    assert got.is_streamed
    assert got.wants_usage
    assert got.has_stream_options
    assert (got.output_most, got.choices, got.service_tier) == (70, 3, "flex")
    assert (got.user, got.session, got.cache_key) == ("u", "s1", "k")
    assert got.metadata == {"session_id": "s1", "feature": "search"}


def test_what_is_not_asked_for_has_a_plain_default():
    got = view()
    assert got == RequestView(
        model="m",
        conversation=got.conversation,
        input_estimate=got.input_estimate,
        input_most=got.input_most,
        last_message=got.last_message,
    )


def test_the_last_message_is_kept_as_it_was_written():
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": [1, "b"]}]
    assert json.loads(bytes(view(messages=messages).last_message)) == [1, "b"]


@pytest.mark.parametrize(
    ("members", "user"),
    [({"safety_identifier": "s"}, "s"), ({"user": 5}, ""), ({"user": None}, "")],
)
def test_a_hint_of_a_wrong_type_is_no_hint_and_no_error(members, user):
    assert view(**members, metadata="odd", service_tier=1, prompt_cache_key=[]).user == user


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_a_limit_that_limits_nothing_is_none(limit):
    assert view(max_tokens=limit, n=0).output_most == 0


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [{"role": 5}]}, "messages[0].role"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"stream_options": []}, "stream_options"),
    ],
)
def test_a_wrong_type_is_refused_in_the_providers_style(members, param):
    with pytest.raises(BadRequest) as caught:
        view(**members)
    error = json.loads(codec.write_error(caught.value.problem))["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


ASSISTANT = {"role": "assistant", "content": "Ok"}
CALL = {"role": "assistant", "content": None, "tool_calls": []}
TOOL = {"role": "tool", "tool_call_id": "1", "content": "42"}


@pytest.mark.parametrize(
    ("messages", "turn", "step"),
    [
        ([], 0, 0),
        ([{"role": "system", "content": "Be brief"}], 0, 0),
        ([USER], 1, 0),
        ([USER, USER], 1, 0),
        ([USER, ASSISTANT, USER], 2, 0),
        ([USER, CALL, TOOL, CALL, TOOL], 1, 2),
        ([USER, CALL, TOOL, ASSISTANT, USER], 2, 0),
        ([{"role": "user"}], 1, 0),
    ],
)
def test_turns_are_the_users_and_steps_the_assistants_since(messages, turn, step):
    got = view(messages=messages).conversation
    assert (got.turn, got.step) == (turn, step)
    assert len(got.last_turn) == (16 if turn else 0)


def test_the_last_turn_is_known_again_by_its_bytes_alone():
    first = view(messages=[USER], temperature=0).conversation
    again = view(messages=[USER, CALL, TOOL], temperature=1).conversation
    other = view(messages=[{"role": "user", "content": "Ho"}]).conversation
    pair = view(messages=[USER, USER]).conversation
    assert first == Conversation(turn=1, step=0, last_turn=again.last_turn)
    assert len({first.last_turn, other.last_turn, pair.last_turn}) == 3


def test_text_counts_by_its_length_and_beyond_ascii_more():
    plain = view(messages=[{"role": "user", "content": "a" * 4000}]).input_estimate
    assert 1000 <= plain <= 1030
    wide = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "费" * 1000}]}, ensure_ascii=False
    ).encode()
    assert 1000 <= codec.read_request(wide).input_estimate <= 1030


def picture(size, **more):
    url = "data:image/png;base64," + base64.b64encode(b"\0" * size).decode()
    return {"type": "image_url", "image_url": {"url": url, **more}}


@pytest.mark.parametrize(
    ("part", "most"),
    [
        (picture(3_000_000), 3_779),
        (picture(3_000_000, detail="low"), 85),
        ({"type": "image_url", "image_url": {"url": "https://x/y.png"}}, 3_779),
        ({"type": "input_audio", "input_audio": {"data": "A" * 533_000, "format": "mp3"}}, 1_001),
        ({"type": "file", "file": {"file_data": "A" * 39_000, "filename": "x.pdf"}}, 7_784),
    ],
    ids=["image", "low detail", "address", "audio", "document"],
)
def test_media_does_not_count_as_text(part, most):
    content = [{"type": "text", "text": "What is this?"}, part]
    got = view(messages=[{"role": "user", "content": content}])
    assert most <= got.input_estimate <= most + 60


def test_parts_of_a_form_we_do_not_know_count_as_text():
    got = view(messages=[{"role": "user", "content": [5, "x" * 400]}])
    assert 100 <= got.input_estimate <= 130
    assert got.conversation.turn == 1


def test_a_cache_breakpoint_in_a_part_is_seen():
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert view(messages=[{"role": "system", "content": [part]}]).cache_write_ttl == "5m"


# Writing a request


def test_a_request_that_need_not_change_is_the_same_object():
    for sent in (body(), body(stream=True, stream_options={"include_usage": True})):
        assert codec.write_request(sent, codec.read_request(sent), "m") is sent
    streamed = body(stream=True)
    unmetered = codec.write_request(streamed, codec.read_request(streamed), "m", meter=False)
    assert unmetered is streamed


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        (b'{"model":"m","messages":[],"stream":true}\n',
         b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}\n'),
        (b'{"stream_options":null,"model":"m","messages":[],"stream":true}',
         b'{"stream_options":{"include_usage":true},"model":"m","messages":[],"stream":true}'),
        (b'{"model":"m","stream_options":{ },"messages":[],"stream":true}',
         b'{"model":"m","stream_options":{ "include_usage":true},"messages":[],"stream":true}'),
        (b'{"model":"m","stream_options":{"include_usage": false,"a":1.0},"messages":[],"stream":true}',
         b'{"model":"m","stream_options":{"include_usage": true,"a":1.0},"messages":[],"stream":true}'),
        (b'{"model":"m","stream_options":{"include_usage":null},"messages":[],"stream":true}',
         b'{"model":"m","stream_options":{"include_usage":true},"messages":[],"stream":true}'),
        (b'{"model":"m","stream_options":{"include_obfuscation":false},"messages":[],"stream":true}',
         b'{"model":"m","stream_options":{"include_obfuscation":false,"include_usage":true},"messages":[],"stream":true}'),
    ],
    ids=["absent", "null", "empty", "false", "null inside", "another option"],
)  # fmt: skip
def test_a_stream_is_asked_for_its_usage_and_nothing_else_changes(sent, written):
    got = codec.read_request(sent)
    assert not got.wants_usage
    assert codec.write_request(sent, got, "m") == written


def test_a_view_of_another_body_still_gives_a_request_that_asks():
    other = RequestView(model="m", is_streamed=True, has_stream_options=True)
    got = codec.write_request(b'{"model":"m","stream":true}', other, "m")
    assert json.loads(got)["stream_options"] == {"include_usage": True}


def test_the_model_is_renamed_and_every_other_byte_kept():
    sent = (
        b'{ "messages":[{"role":"user","content":"\\"model\\":\\"m\\" \\u00fc\\/"}],\t'
        b'"temperature":1.0,"top_p":1e-0,"seed":9007199254740993,"model" : "m","x":null }'
    )
    got = codec.write_request(sent, codec.read_request(sent), "gpt-5")
    assert got == sent.replace(b'"model" : "m"', b'"model" : "gpt-5"')


# Reading an answer


def test_an_answer_tells_usage_terms_model_and_reason():
    got = codec.read_answer(CHAT_ANSWER)
    assert got.usage == Usage(input=195, cache_read=1024, output=46, reasoning=64)
    assert (got.model_served, got.finish_reason) == ("gpt-4.1-2025-04-14", "stop")
    assert (got.terms, got.error, got.provider_cost) == (STANDARD, "", None)
    assert got.usage_billed == got.usage


@pytest.mark.parametrize(
    ("tier", "terms"),
    [
        ("auto", STANDARD),
        ("on_demand", STANDARD),
        (None, STANDARD),
        ("flex", Terms(service_tier="flex")),
        ("priority", Terms(service_tier="priority")),
        ("fast", Terms(service_tier="priority")),
        ("scale", Terms(service_tier="scale")),
    ],
)
def test_the_tier_is_the_one_that_served(tier, terms):
    assert codec.read_answer(json.dumps({"service_tier": tier}).encode()).terms == terms


def answer(usage, **members):
    choice = {"index": 0, "message": {"content": "12345678"}, "finish_reason": "stop"}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage, **members}).encode()


def test_the_providers_own_cost_is_kept_beside_the_usage():
    got = codec.read_answer(answer({"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.00014}))
    assert got.provider_cost == Money.usd("0.00014")


def test_several_choices_tell_several_reasons():
    choices = [{"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "length"}]
    assert codec.read_answer(answer({}, choices=choices)).finish_reason == "stop,length"


def test_usage_that_contradicts_itself_is_estimated_and_says_so():
    got = codec.read_answer(
        answer({"prompt_tokens": 5, "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 9}})
    )  # fmt: skip
    assert got.usage == Usage(input=5, output=2, is_estimated=True)
    assert "cached_tokens" in got.error


@pytest.mark.parametrize("usage", [{"prompt_tokens": -1}, {"prompt_tokens": "many"}, [], 2**60])
def test_usage_that_cannot_be_read_is_estimated_from_lengths(usage):
    got = codec.read_answer(answer(usage), RequestView(model="m", input_estimate=7))
    assert got.usage == Usage(input=7, output=2, is_estimated=True)
    assert "cannot be read" in got.error


def test_a_stated_cost_that_is_no_amount_leaves_the_usage_alone():
    got = codec.read_answer(answer({"prompt_tokens": 3, "cost": "free"}))
    assert (got.usage, got.provider_cost) == (Usage(input=3), None)
    assert "not an amount" in got.error


@pytest.mark.parametrize("usage", [None])
def test_missing_usage_is_estimated_where_the_request_is_known_and_never_zero(usage):
    assert codec.read_answer(answer(usage)).usage is None
    got = codec.read_answer(answer(usage), RequestView(model="m", input_estimate=7))
    assert got.usage == Usage(input=7, output=2, is_estimated=True)
    assert "no usage" in got.error


def test_choices_of_a_form_we_do_not_know_do_not_lose_the_usage():
    calls = [{"function": {"name": "f", "arguments": {"an": "object"}}}]
    choices = [{"message": {"tool_calls": calls}, "finish_reason": "stop"}]
    got = codec.read_answer(answer({"prompt_tokens": 3}, choices=choices))
    assert (got.usage, got.model_served, got.error) == (Usage(input=3), "m", "")
    assert codec.read_answer(b'{"choices":5,"usage":{"prompt_tokens":3}}').usage == Usage(input=3)


def test_an_error_within_a_good_status_is_told():
    assert "boom" in codec.read_answer(b'{"error":{"message":"boom","code":1}}').error
    assert '"boom"' in codec.read_answer(b'{"error":"boom"}').error
    assert "42" in codec.read_answer(b'{"error":{"code":42}}').error


@pytest.mark.parametrize("raw", [b"<html>", b'{"model":"\xff"}', b'{"model":5}'])
def test_an_answer_that_cannot_be_read_is_no_crash(raw):
    assert codec.read_answer(raw).usage is None
    got = codec.read_answer(raw, RequestView(model="m", input_estimate=7))
    assert got.usage == Usage(input=7, is_estimated=True)
    assert "cannot be read" in got.error
