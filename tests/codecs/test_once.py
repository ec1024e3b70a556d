import threading

import msgspec
import pytest

from farthing.codecs import BadRequest
from farthing.codecs.once import Flag, OnceDecoder, Text, Whole


class Shape(msgspec.Struct):
    model: Text
    stream: Flag | None = None
    n: Whole | None = None
    free: int = 0


decoder = OnceDecoder(Shape)


def test_members_are_decoded_by_their_kinds():
    shape = decoder.decode(b'{"free":3,"model":"m","stream":true,"n":2}')
    assert (shape.model.value, shape.stream.value, shape.n.value) == ("m", True, 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","model":"dear"}',
        b'{"model":"cheap","x":{},"m\\u006fdel":"dear"}',
        b'{"model":"m","n":1,"n":9}',
        b'{"model":"m","n":9,"n":null}',
        b'{"model":"m","stream":false,"x":"\\"stream\\"","stream":true}',
    ],
)
def test_a_member_that_stands_twice_is_refused_by_name(body):
    with pytest.raises(BadRequest, match="more than once") as caught:
        decoder.decode(body)
    assert caught.value.problem.param in ("model", "n", "stream")
    assert caught.value.problem.status == 400


def test_a_twice_named_member_that_does_not_matter_is_left_to_the_provider():
    assert decoder.decode(b'{"free":1,"model":"m","free":2}').free == 2


def test_the_same_name_deeper_down_is_another_member():
    assert decoder.decode(b'{"x":{"model":"a","n":1},"model":"b"}').model.value == "b"


def test_a_decode_on_another_thread_is_no_duplicate():
    bodies = [b'{"model":"m","stream":true,"n":2}'] * 500
    errors = []

    def decode_all():
        for body in bodies:
            try:
                decoder.decode(body)
            except BadRequest as error:
                errors.append(error)

    threads = [threading.Thread(target=decode_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_call_counted_for_another_thread_leads_to_a_second_look_and_no_refusal():
    class Meddling(OnceDecoder):
        def _hook(self, kind, value):
            next(self._calls)  # as if another thread had decoded a member just now
            return super()._hook(kind, value)

    assert Meddling(Shape).decode(b'{"model":"m","free":1,"free":2}').model.value == "m"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b'{"model":5}', "model", "Expected a string, got a whole number"),
        (b'{"model":["a"]}', "model", "Expected a string, got an array"),
        (b'{"model":null}', "model", "Expected a string, got null"),
        (b'{"model":"m","n":true}', "n", "Expected a whole number, got a boolean"),
        (b'{"model":"m","n":1.5}', "n", "Expected a whole number, got a number"),
        (b'{"model":"m","n":99999999999999999999}', "n", "out of range"),
        (b'{"model":"m","stream":"yes"}', "stream", "Expected a boolean, got a string"),
        (b'{"model":"m","stream":{}}', "stream", "Expected a boolean, got an object"),
        (b"{}", None, "missing required field `model`"),
        (b"[]", None, "Expected `object`, got `array`"),
        (b"", None, "not valid JSON"),
        (b"\xef\xbb\xbf{}", None, "not valid JSON"),
        (b'{"model":"m"', None, "not valid JSON"),
        (b'{"model":"m"}}', None, "not valid JSON"),
        (b'{"model":"\xff"}', None, "not valid JSON"),
        (b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "not valid JSON"),
    ],
)
def test_a_wrong_body_is_refused_with_the_member_at_fault(body, param, words):
    with pytest.raises(BadRequest) as caught:
        decoder.decode(body)
    problem = caught.value.problem
    assert problem.param == param
    assert words in problem.message
    assert "Nothing was sent" in problem.message
    assert (problem.kind, problem.status) == ("invalid_request_error", 400)
