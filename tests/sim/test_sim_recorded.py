"""Recorded answers: Outcomes and Samples files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from packing import zstd
from sim_asking import ask, chat, engine, json_of, message

from farthing.sim import Recorded, Rule
from farthing.sim.errors import BadRules

SHARED = Path(__file__).parents[3] / "shared" / "data"
OUTCOMES = {
    "id": "q1",
    "prompt": "What is  two\nplus two?",
    "outcomes": {
        "strong": {"score": 1.0, "answer": "4", "input_tokens": 150, "output_tokens": 40},
        "weak": {"score": 0.0, "answer": "5", "input_tokens": 150, "output_tokens": 30},
        "silent": {"score": 1.0},
    },
}
SAMPLES = {
    "id": "q2",
    "question": "Three plus three?",
    "models": {
        "strong": {
            "input_tokens": 20,
            "samples": [
                {"answer": "6", "correct": True, "output_tokens": 11},
                {"answer": "7", "correct": False, "output_tokens": 12},
                {"answer": "6", "correct": True, "output_tokens": 13},
            ],
        }
    },
}


@pytest.fixture
def recorded(tmp_path):
    outcomes = tmp_path / "outcomes.jsonl.gz"
    outcomes.write_bytes(gzip.compress(json.dumps(OUTCOMES).encode() + b"\n"))
    samples = tmp_path / "samples.jsonl"
    samples.write_text(json.dumps(SAMPLES) + "\n\n")
    found = Recorded()
    assert found.add_outcomes(outcomes) == 1
    assert found.add_samples(samples) == 1
    return found


def asked_of(asked, model, question="What is two plus  two?", **options):
    script = chat(asked, model=model, messages=[{"role": "user", "content": question}], **options)
    answer = json_of(script)
    content = answer["choices"][0]["message"]["content"]
    return content, answer["usage"], dict(script.headers).get(b"x-sim-score")


def test_a_file_may_be_packed_with_zstd(tmp_path):
    path = tmp_path / "outcomes.jsonl.zst"
    path.write_bytes(zstd.compress(json.dumps(OUTCOMES).encode()))
    assert Recorded().add_outcomes(path) == 1


def test_a_packed_file_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "outcomes.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(OUTCOMES).encode())[:-5])
    with pytest.raises(BadRules, match=r"outcomes\.jsonl\.gz: the data breaks off"):
        Recorded().add_outcomes(path)


def test_a_known_prompt_is_answered_as_recorded(recorded):
    asked = engine(recorded=recorded)
    content, usage, score = asked_of(asked, "strong")
    assert content.endswith("\n\nAnswer: 4")
    assert (usage["prompt_tokens"], usage["completion_tokens"], score) == (150, 40, b"1")
    assert len(content) == 160
    content, usage, score = asked_of(asked, "weak")
    assert content.endswith("Answer: 5")
    assert (usage["completion_tokens"], score) == (30, b"0")


def test_anthropic_answers_as_recorded_too(recorded):
    asked = engine(recorded=recorded)
    script = message(
        asked, model="strong", messages=[{"role": "user", "content": "What is two plus two?"}]
    )
    answer = json_of(script)
    assert answer["content"][0]["text"].endswith("Answer: 4")
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (150, 40)


def test_a_bare_answer_is_the_recorded_one_alone(recorded):
    content, usage, _ = asked_of(engine(recorded=recorded, is_worked=False), "strong")
    assert (content, usage["completion_tokens"]) == ("4", 40)


def test_models_without_recorded_answers_agree_when_right_and_differ_when_wrong(recorded):
    asked = engine(recorded=recorded, is_worked=False)
    assert asked_of(asked, "silent")[0].startswith("right-")
    assert asked_of(asked, "strong", "Something else?")[2] is None


def test_samples_come_one_by_one_and_start_again(recorded):
    asked = engine(recorded=recorded, is_worked=False)
    found = [asked_of(asked, "strong", "Three plus three?") for _ in range(4)]
    assert [content for content, _, _ in found] == ["6", "7", "6", "6"]
    assert [usage["completion_tokens"] for _, usage, _ in found] == [11, 12, 13, 11]
    assert [score for _, _, score in found] == [b"1", b"0", b"1", b"1"]


def test_a_seed_starts_the_samples_elsewhere(recorded):
    def first(seed):
        asked = engine(recorded=recorded, seed=seed, is_worked=False)
        return asked_of(asked, "strong", "Three plus three?")[1]["completion_tokens"]

    assert {first(seed) for seed in range(1, 12)} == {11, 12, 13}
    assert first(5) == first(5)


def test_a_limit_that_cuts_the_answer_costs_its_score(recorded):
    content, usage, score = asked_of(engine(recorded=recorded), "strong", max_tokens=5)
    assert (len(content), usage["completion_tokens"], score) == (20, 5, b"0")


def test_a_degraded_model_gives_another_model_s_wrong_answer(recorded):
    asked = engine(recorded=recorded, is_worked=False, rules=(Rule(model="strong", accuracy=0),))
    assert asked_of(asked, "strong")[::2] == ("5", b"0")
    assert asked_of(asked, "weak")[::2] == ("5", b"0")


def test_accuracy_is_a_share_also_of_what_nobody_recorded():
    asked = engine(rules=(Rule(accuracy=0.7),), is_worked=False)
    scores = [asked_of(asked, "gpt-4o", f"Question {n}?")[2] for n in range(300)]
    assert 180 <= scores.count(b"1") <= 240
    assert scores.count(b"0") + scores.count(b"1") == 300


def test_recorded_models_are_listed(recorded):
    listed = json_of(ask(engine(recorded=recorded), "/v1/models", method="GET"))
    assert {"strong", "weak", "silent"} <= {model["id"] for model in listed["data"]}


def test_a_line_that_is_none_is_named(tmp_path):
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(OUTCOMES) + '\n{"prompt": 3}\n')
    with pytest.raises(BadRules, match=r"broken\.jsonl, line 2"):
        Recorded().add_outcomes(path)
    with pytest.raises(BadRules, match="nowhere"):
        Recorded().add_samples(tmp_path / "nowhere.jsonl")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "name", "prompts"),
    [
        ("outcomes", "mix15.dev.jsonl.gz", 2697),
        ("samples", "game24.jsonl", 100),
        ("samples", "gsm8k-openai-2021.jsonl", 1319),
    ],
)
def test_the_real_files_load_whole(kind, name, prompts):
    path = SHARED / kind / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    found = Recorded()
    add = found.add_outcomes if kind == "outcomes" else found.add_samples
    assert add(path) == prompts
