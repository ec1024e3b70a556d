"""Steps decide purely, and replay on outcomes gives what the decision gives call by call."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from farthing.levers.routing import (
    Accept,
    Agree,
    Answered,
    Ask,
    Classes,
    Outcomes,
    Prompt,
    Result,
    Route,
    Single,
    Step,
    Verify,
    decide,
    describe,
)
from farthing.levers.routing.arms import replay
from farthing.levers.routing.table import make_table

STRONG = Single("strong")
VOTE = Agree(("a", "b", "c"), STRONG)


def test_two_voters_are_asked_at_once_and_agreement_ends_it():
    assert decide(VOTE, {}) == Ask(("a", "b"))
    agreed = {"a": Answered("x"), "b": Answered("x")}
    assert decide(VOTE, agreed) == Accept("a")


def test_a_third_voter_can_side_with_either():
    split = {"a": Answered("x"), "b": Answered("y")}
    assert decide(VOTE, split) == Ask(("c",))
    assert decide(VOTE, {**split, "c": Answered("y")}) == Accept("b")
    assert decide(VOTE, {**split, "c": Answered("z")}) == Ask(("strong",))


def test_answers_without_a_key_agree_with_nothing():
    silent = {model: Answered() for model in "abc"}
    assert decide(VOTE, silent) == Ask(("strong",))


def test_an_answer_that_passes_its_validators_is_taken():
    step = Verify("a", ("schema", "parses"), STRONG)
    assert decide(step, {}) == Ask(("a",))
    assert decide(step, {"a": Answered(passed=frozenset({"schema", "parses"}))}) == Accept("a")
    assert decide(step, {"a": Answered(passed=frozenset({"schema"}))}) == Ask(("strong",))


def test_a_route_goes_by_its_score_and_an_unknown_score_goes_to_the_strong():
    step = Route("characters", 100, Single("a"), STRONG)
    assert decide(step, {}, {"characters": 99}) == Ask(("a",))
    assert decide(step, {}, {"characters": 100}) == Ask(("strong",))
    assert decide(step, {}) == Ask(("strong",))


def test_steps_survive_being_written_and_read():
    step = Route("characters", 100, Verify("a", ("schema",), VOTE), Single("b", "high"))
    assert msgspec.json.decode(msgspec.json.encode(step), type=Step) == step
    assert describe(step) == (
        "a if it passes schema, else agree(a, b, c) else strong where characters < 100, "
        "else b (high)"
    )


MODELS = ("a", "b", "c", "strong")
RESULTS = st.fixed_dictionaries(
    {
        model: st.builds(
            Result,
            score=st.sampled_from([0.0, 0.5, 1.0]),
            cost_usd=st.decimals("0.001", "0.5", places=3),
            answer=st.sampled_from([None, "x", "y", "z"]),
        )
        for model in MODELS
    }
)


def is_right_once(rows):
    return any(row["strong"].score for row in rows)


@given(st.lists(RESULTS, min_size=1, max_size=20).filter(is_right_once))
def test_replay_gives_what_the_decision_gives_call_by_call(rows):
    prompts = tuple(Prompt(id=str(i), outcomes=row) for i, row in enumerate(rows))
    table = make_table(Outcomes(prompts, (), ""), "strong")
    steps = [Single("a"), Agree(("a", "b"), STRONG), VOTE, Agree(("b", "c"), Single("a"))]
    arms = replay(table, steps)
    for row, step in enumerate(steps):
        for column, prompt in enumerate(prompts):
            asked: dict[str, Answered] = {}
            while isinstance(move := decide(step, asked), Ask):
                for model in move.models:
                    told = prompt.outcomes[model].answer
                    asked[model] = Answered(None if told is None else str(told))
            paid = sum(prompt.outcomes[model].cost.nanodollars for model in asked)
            assert arms.scores[row, column] == prompt.outcomes[move.model].score
            assert arms.costs[row, column] == paid
    assert np.all(arms.known)


def test_the_class_is_the_tag_else_the_template_else_unknown():
    classes = Classes(("translate the text below into # languages please",))
    assert classes.name("refund", "anything") == "refund"
    told = classes.name(None, "Translate the text below into 3 languages, please: ...")
    assert told == "unknown"  # the comma is a word of the template
    told = classes.name(None, "Translate the text below into 3 languages please")
    assert told == "template: translate the text below into # languages please"
