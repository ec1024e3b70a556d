"""Judges that need no network, and the judge that is asked through a function."""

from __future__ import annotations

import json

import pytest

from farthing.call import Conversation
from farthing.errors import CallerError
from farthing.evidence import (
    Asked,
    ModelJudge,
    calibrate,
    exact,
    fields,
    normalised,
    numeric,
    parses,
    regenerated,
    schema,
    tool_calls,
)
from farthing.money import Money


@pytest.mark.parametrize(
    ("judge", "candidate", "reference", "score"),
    [
        (exact, "Yes", "Yes", 1),
        (exact, "Yes", "yes", 0),
        (normalised, " **YES**. ", "yes", 1),
        (normalised, "yes", "no", 0),
        (numeric(), "so it is 1,250 in all", "1250", 1),
        (numeric(), "about 5%", "0.05", 1),
        (numeric(), "3.14", "3.1416", 0),
        (numeric("0.001"), "3.14", "3.1416", 1),
        (numeric(), "none", "4", 0),
        (numeric(), "None", "none", 1),
        (fields(), '{"a": 1, "b": [1, 2]}', '{"b": [1, 2], "a": 1}', 1),
        (fields(), '{"a": 1, "b": 3}', '{"a": 1, "b": 2}', 0.5),
        (fields(), '{"a": 1, "c": 3}', '{"a": 1}', 0.5),
        (fields(only=["a"]), '{"a": 1, "c": 3}', '{"a": 1}', 1),
        (fields(), '```json\n{"a": 1}\n```', '{"a": 1}', 1),
        (fields(), '{"a": true}', '{"a": 1}', 0),
        (fields(), "sorry", '{"a": 1}', 0),
        (parses("python"), "```python\nx = 1\n```", "", 1),
        (parses("python"), "x = = 1", "", 0),
        (parses("python"), "", "", 0),
        (parses("json"), "[1, 2]", "", 1),
        (parses("json"), "[1, 2", "", 0),
    ],
)
def test_a_judge_scores(judge, candidate, reference, score):
    assert judge(candidate, reference).score == score


def calls(*named):
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in named])


def test_tool_calls_agree_in_any_order_and_form():
    mine = calls(("b", {}), ("a", {"x": 1, "y": 2}))
    other = calls(("a", '{"y": 2, "x": 1}'), ("b", {}))
    assert tool_calls(mine, other).score == 1


def test_a_missing_a_wrong_and_an_extra_tool_call_count():
    wanted = calls(("a", {"x": 1}), ("b", {}))
    assert tool_calls(calls(("a", {"x": 1})), wanted).score == 0.5
    assert tool_calls(calls(("a", {"x": 2}), ("b", {})), wanted).score == 0.5
    assert tool_calls(calls(("a", {}), ("a", {}), ("a", {})), calls(("a", {}))).score < 0.5
    assert tool_calls("no calls", wanted).score == 0
    assert tool_calls("[]", "[]").score == 1


WANTED = {
    "type": "object",
    "required": ["name", "age"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        "when": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^2026-"}]},
    },
}


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ({"name": "x", "age": 3}, 1),
        ({"name": "x", "age": 3, "tags": ["a"], "when": "2026-01-01"}, 1),
        ({"name": "x"}, 0),
        ({"name": "", "age": 3}, 0),
        ({"name": "x", "age": -1}, 0),
        ({"name": "x", "age": True}, 0),
        ({"name": "x", "age": 1.5}, 0),
        ({"name": "x", "age": 3, "more": 1}, 0),
        ({"name": "x", "age": 3, "tags": ["c"]}, 0),
        ({"name": "x", "age": 3, "tags": ["a", "b", "a"]}, 0),
        ({"name": "x", "age": 3, "when": "2025"}, 0),
    ],
    ids=str,
)
def test_an_answer_is_held_to_its_schema(answer, score):
    assert schema(WANTED)(json.dumps(answer), "").score == score


def test_a_schema_that_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="oneOf"):
        schema({"properties": {"a": {"oneOf": []}}})


def test_the_same_question_again_in_a_session_marks_the_answer_before_it():
    first = Conversation(turn=1, step=0, last_turn="ab")
    other = Conversation(turn=2, step=0, last_turn="cd")
    turns = [("s", first), ("t", first), ("s", first), ("s", other), ("", first), ("", first)]
    assert regenerated(turns) == [True, False, False, False, False, False]


def judge_that_says(*replies):
    said = iter(replies)
    return ModelJudge(
        lambda _: Asked(next(said), Money(5)),
        rubric="Be fair.",
        family="one",
        candidate_family="two",
    )


@pytest.mark.parametrize(
    ("replies", "score"),
    [
        (("A", "B"), 1.0),  # the candidate stood first, then second
        (("B", "A"), 0.0),
        (("SAME", "same."), 1.0),
        (("A", "A"), 0.5),  # whatever stands first
        (("well", "B"), 0.5),
    ],
)
def test_a_model_judge_is_believed_only_where_both_orders_agree(replies, score):
    found = judge_that_says(*replies).judge("q", "candidate", "reference")
    assert (found.score, found.cost) == (score, Money(10))


def test_a_judge_of_the_candidates_own_family_is_refused():
    with pytest.raises(CallerError, match="both of the family"):
        ModelJudge(lambda _: Asked("A"), rubric="", family="x", candidate_family="x")


def test_a_judge_is_calibrated_on_labels_of_people():
    found = calibrate([1.0] * 45 + [0.5] * 5 + [0.0] * 10, [True] * 50 + [False] * 10)
    assert (found.agreed, found.labels, found.is_enough) == (55, 60, True)
    assert found.agreement.low < 55 / 60 < found.agreement.high
