import json

import anthropic
import openai
import pytest

from farthing.call import Endpoint
from farthing.codecs import Problem, codec_for, write_models
from farthing.money import Money

REFUSAL = Problem(
    status=429,
    kind="insufficient_quota",
    code="budget_exceeded",
    message='Budget "search/month" has $0.42 left.',
    details={"limit_usd": Money.usd("500"), "message": "not this one"},
)
MISSING = Problem(
    status=404, kind="not_found_error", code="", message="No such model.", param="model"
)
OPENAI = [Endpoint.OPENAI_CHAT, Endpoint.OPENAI_EMBEDDINGS]
ANTHROPIC = [Endpoint.ANTHROPIC_MESSAGES, Endpoint.ANTHROPIC_COUNT_TOKENS]


@pytest.mark.parametrize("endpoint", OPENAI)
def test_an_openai_error_has_its_four_members_and_the_details(endpoint):
    assert json.loads(codec_for(endpoint).write_error(REFUSAL)) == {
        "error": {
            "message": 'Budget "search/month" has $0.42 left.',
            "type": "insufficient_quota",
            "param": None,
            "code": "budget_exceeded",
            "limit_usd": "500.00",
        }
    }
    error = json.loads(codec_for(endpoint).write_error(MISSING))["error"]
    assert (error["param"], error["code"]) == ("model", None)


@pytest.mark.parametrize("endpoint", OPENAI)
def test_an_openai_stream_fails_with_an_error_object_and_no_done(endpoint):
    codec = codec_for(endpoint)
    event = codec.write_error_event(REFUSAL)
    assert event == b"data: " + codec.write_error(REFUSAL) + b"\n\n"


@pytest.mark.parametrize("endpoint", ANTHROPIC)
def test_an_anthropic_error_has_the_type_that_goes_with_its_status(endpoint):
    assert json.loads(codec_for(endpoint).write_error(REFUSAL)) == {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": 'Budget "search/month" has $0.42 left.',
            "code": "budget_exceeded",
            "limit_usd": "500.00",
        },
    }
    error = json.loads(codec_for(endpoint).write_error(MISSING))["error"]
    assert error == {"type": "not_found_error", "message": "No such model.", "param": "model"}


@pytest.mark.parametrize(("status", "kind"), [(503, "api_error"), (418, "invalid_request_error")])
def test_an_unusual_status_still_has_an_anthropic_type(status, kind):
    problem = Problem(status=status, kind="odd", code="c", message="m")
    body = json.loads(codec_for(Endpoint.ANTHROPIC_MESSAGES).write_error(problem))
    assert body["error"]["type"] == kind


@pytest.mark.parametrize("endpoint", ANTHROPIC)
def test_an_anthropic_stream_fails_with_a_named_error_event(endpoint):
    codec = codec_for(endpoint)
    event = codec.write_error_event(REFUSAL)
    assert event == b"event: error\ndata: " + codec.write_error(REFUSAL) + b"\n\n"


def test_models_are_listed_as_openai_lists_them():
    page = json.loads(write_models("openai", ["gpt-5", "claude"]))
    assert page["object"] == "list"
    models = [openai.types.Model.model_validate(item) for item in page["data"]]
    assert [model.id for model in models] == ["gpt-5", "claude"]


def test_models_are_listed_as_anthropic_lists_them():
    page = json.loads(write_models("anthropic", ["a", "b"]))
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "a", "b")
    models = [anthropic.types.ModelInfo.model_construct(**item) for item in page["data"]]
    assert [(model.type, model.id, model.display_name) for model in models] == [
        ("model", "a", "a"),
        ("model", "b", "b"),
    ]
    empty = json.loads(write_models("anthropic", []))
    assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_recorded_call_has_no_wire_format():
    with pytest.raises(KeyError):
        codec_for(Endpoint.RECORDED)
