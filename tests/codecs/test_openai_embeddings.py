import json

import pytest

from farthing.call import Endpoint
from farthing.codecs import BadRequest, RequestView, codec_for
from farthing.money import Money
from farthing.usage import Usage

codec = codec_for(Endpoint.OPENAI_EMBEDDINGS)
VIEW = RequestView(model="m", input_estimate=7)


@pytest.mark.parametrize(
    ("source", "tokens"),
    [("a" * 398, 100), (["a" * 198, "a" * 196], 101), ([1, 2, 3], 3), ([[1, 2], [3]], 3)],
    ids=["text", "texts", "tokens", "lists of tokens"],
)
def test_input_is_counted_in_each_of_its_forms(source, tokens):
    got = codec.read_request(json.dumps({"model": "m", "input": source, "user": "u"}).encode())
    assert (got.model, got.user, got.input_estimate) == ("m", "u", tokens)
    assert got.conversation.turn == 0


def test_a_request_without_input_is_refused():
    with pytest.raises(BadRequest, match="input"):
        codec.read_request(b'{"model":"m"}')


def test_only_the_model_is_ever_changed():
    body = b'{"input":"m","model":"m","dimensions":256}'
    assert codec.write_request(body, codec.read_request(body), "m") is body
    got = codec.write_request(body, codec.read_request(body), "n")
    assert got == b'{"input":"m","model":"n","dimensions":256}'


def answer(**members):
    return json.dumps({"object": "list", "data": [{"embedding": [0.1]}], **members}).encode()


def test_an_answer_tells_its_usage():
    got = codec.read_answer(
        answer(model="e", usage={"prompt_tokens": 8, "total_tokens": 8, "cost": 0.1})
    )
    assert (got.usage, got.model_served) == (Usage(input=8), "e")
    assert got.provider_cost == Money.usd("0.1")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no usage"),
        ({"usage": {"prompt_tokens": "x"}}, "cannot be read"),
        ({"usage": {"prompt_tokens": 1, "cost": "x"}}, "cannot be read"),
    ],
)
def test_missing_or_unreadable_usage_is_estimated_and_told(members, words):
    got = codec.read_answer(answer(**members), VIEW)
    assert got.usage == Usage(input=7, is_estimated=True)
    assert words in got.error
    assert codec.read_answer(answer(**members)).usage is None


def test_counts_that_differ_give_the_larger_as_an_estimate():
    got = codec.read_answer(answer(usage={"prompt_tokens": 8, "total_tokens": 9}))
    assert got.usage == Usage(input=9, is_estimated=True)
    assert "total_tokens = 9" in got.error


def test_an_answer_that_cannot_be_read_or_is_an_error_is_told():
    assert "cannot be read" in codec.read_answer(b"<", VIEW).error
    assert "boom" in codec.read_answer(b'{"error":{"message":"boom"}}').error


def test_a_stream_is_only_passed_on():
    reader = codec.stream(VIEW)
    assert reader.feed(b"data: {}\n\n") == b"data: {}\n\n"
