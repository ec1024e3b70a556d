"""A simulated model as judge: its word is what the recorded outcomes imply, and errs as told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_asking import chat, engine, json_of, message

from farthing.evidence import questions_of, read_question
from farthing.sim import Judging, Recorded, Rule, read_rule
from farthing.sim.errors import BadRules

JUDGE = "claude-haiku-5-5"
PROMPTS = 400
RUBRIC = "An answer is good if it is right."


def lines():
    """`strong` is right, `weak` wrong, `half` half right, `silent` right without an answer."""
    for number in range(PROMPTS):
        yield {
            "id": f"q{number}",
            "prompt": f"What is {number}  plus 1?",
            "outcomes": {
                "strong": {"score": 1.0, "answer": str(number + 1)},
                "other": {"score": 1.0, "answer": f"{number + 1}.0"},
                "half": {"score": 0.5, "answer": f"about {number}"},
                "weak": {"score": 0.0, "answer": str(number + 7)},
                "silent": {"score": 1.0},
                "lost": {"score": 0.0},
            },
        }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("judging") / "outcomes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines()))
    found = Recorded()
    found.add_outcomes(path)
    return found


def judging(recorded, **errs):
    rules = (Rule(model=JUDGE, judging=Judging(**errs)),) if errs else ()
    return engine(recorded=recorded, rules=rules)


def said(asked, model, number):
    answer = json_of(chat(asked, model=model, messages=prompt(number)))
    return answer["choices"][0]["message"]["content"]


def prompt(number):
    return [{"role": "user", "content": f"What is {number}  plus 1?"}]


def word(asked, question):
    answer = json_of(message(asked, model=JUDGE, messages=[{"role": "user", "content": question}]))
    return answer["content"][0]["text"]


def words(asked, number, first="strong", second="weak"):
    """The judge's words on two models' answers, in both orders."""
    request = f"system: Be brief.\n\nuser: {prompt(number)[0]['content']}"
    answers = (said(asked, model, number) for model in (first, second))
    return tuple(word(asked, question) for question in questions_of(RUBRIC, request, *answers))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("strong", "weak", ("A", "B")),
        ("weak", "strong", ("B", "A")),
        ("strong", "other", ("SAME", "SAME")),
        ("strong", "half", ("A", "B")),
        ("half", "weak", ("A", "B")),
        ("silent", "lost", ("A", "B")),
        ("silent", "strong", ("SAME", "SAME")),
        ("lost", "weak", ("SAME", "SAME")),
    ],
)
def test_the_better_recorded_answer_is_the_better_one_in_both_orders(
    recorded, first, second, expected
):
    assert words(judging(recorded), 3, first, second) == expected


def test_an_answer_that_nobody_recorded_is_no_good(recorded):
    asked = judging(recorded)
    question, _ = questions_of(RUBRIC, "user: What is 3 plus 1?", "I'd rather not say.", "4")
    assert word(asked, question) == "B"


def test_a_judge_s_word_is_one_token_and_the_question_is_paid_for_in_full(recorded):
    question, _ = questions_of(RUBRIC, "user: What is 3 plus 1?", "4", "10")
    asked = judging(recorded)
    answer = json_of(message(asked, model=JUDGE, messages=[{"role": "user", "content": question}]))
    assert answer["usage"]["output_tokens"] == 1
    assert answer["usage"]["input_tokens"] >= len(question) / 4


def test_in_both_protocols_and_to_any_model_the_word_is_the_same(recorded):
    question, _ = questions_of(RUBRIC, "user: What is 3 plus 1?", "4", "10")
    asked = judging(recorded)
    answer = json_of(chat(asked, messages=[{"role": "user", "content": question}]))
    assert answer["choices"][0]["message"]["content"] == "A" == word(asked, question)


def test_a_prompt_that_is_not_recorded_is_answered_like_any_question(recorded):
    question, _ = questions_of(RUBRIC, "user: Who are you?", "4", "10")
    assert word(judging(recorded), question) not in {"A", "B", "SAME"}
    about, _ = questions_of(RUBRIC, "user: What is 3 plus 1?", "4", "10")
    assert word(engine(), about) not in {"A", "B", "SAME"}  # without a record


def test_the_last_turn_of_a_conversation_is_what_was_answered(recorded):
    request = "user: What is 9 plus 1?\n\nassistant: 10\n\nuser: What is 3 plus 1?"
    question, _ = questions_of(RUBRIC, request, "4", "10")
    assert word(judging(recorded), question) == "A"


def share(found):
    found = list(found)
    return sum(found) / len(found)


def test_a_wrong_word_is_wrong_in_both_orders_as_often_as_told(recorded):
    asked = judging(recorded, wrong=0.2)
    found = [words(asked, number) for number in range(PROMPTS)]
    assert set(found) == {("A", "B"), ("B", "A")}
    assert share(one == ("B", "A") for one in found) == pytest.approx(0.2, abs=0.06)
    alike = [words(asked, number, "strong", "other") for number in range(PROMPTS)]
    assert share(one == ("SAME", "SAME") for one in alike) == pytest.approx(0.8, abs=0.06)
    assert {("A", "B"), ("B", "A")} < set(alike)


def test_a_bias_to_what_stands_first_shows_as_orders_that_disagree(recorded):
    asked = judging(recorded, first=0.3)
    found = [words(asked, number) for number in range(PROMPTS)]
    assert set(found) == {("A", "B"), ("A", "A")}  # the first order says A anyhow
    assert share(one == ("A", "A") for one in found) == pytest.approx(0.3, abs=0.07)


def test_the_same_question_gets_the_same_word_and_another_seed_another_error(recorded):
    def found(seed):
        rules = (Rule(judging=Judging(wrong=0.5)),)
        asked = engine(recorded=recorded, rules=rules, seed=seed)
        return [words(asked, number) for number in range(40)]

    assert found(1) == found(1) != found(2)


def test_the_command_line_says_how_a_judge_errs():
    rule = read_rule('model = "claude-*", judging = { wrong = 0.1, first = 0.05 }')
    assert rule.judging == Judging(wrong=0.1, first=0.05)
    with pytest.raises(BadRules, match="Nothing was started"):
        read_rule("judging = { wrong = 2 }")


@given(st.text(), st.text(), st.text(), st.text())
def test_a_question_to_a_judge_can_be_read_back(rubric, request, first, second):
    """Whatever the texts, unless they imitate the question's own form."""
    if any("<request>" in text or "answer_" in text for text in (rubric, request, first, second)):
        return
    question, turned = questions_of(rubric, request, first, second)
    read = read_question(question)
    assert (read.request, read.first, read.second) == (request, first, second)
    again = read_question(turned)
    assert (again.request, again.first, again.second) == (request, second, first)


@given(st.text())
def test_no_other_text_is_taken_for_a_question_to_a_judge(text):
    assert read_question(text) is None
