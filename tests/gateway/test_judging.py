"""The judges of the configuration: which is asked, what it says, what it may not judge."""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace

import pytest

from farthing.codecs import Shown
from farthing.errors import CallerError, ConfigError
from farthing.evidence import EvidenceSettings, JudgeSettings, family_of
from farthing.gateway.aside import AsideAnswer
from farthing.gateway.judging import JudgeFailed, Judges
from farthing.money import Money

INBOUND = SimpleNamespace(body=b'{"messages": [{"role": "user", "content": "2 + 2?"}]}')
CALL = '[{"name": "refund", "arguments": {"order": 7}}]'


class Model:
    """A judging model that replies from a list."""

    def __init__(self, *replies, status=200):
        self.replies = list(replies)
        self.questions = []
        self.status = status

    async def question(self, inbound, model, text, *, lever, why):
        assert (inbound, why) == (INBOUND, "a judge's word")
        self.questions.append((model, text, lever))
        entry = SimpleNamespace(cost=Money(100), call_id="call_j")
        return AsideAnswer(status=self.status, body=b"", text=self.replies.pop(0), entry=entry)


def judges(name="j", **settings):
    given = {name: JudgeSettings(**settings)} if settings else {}
    return Judges(EvidenceSettings(mode="on", judge=name, judges=given))


def judged(made, name, candidate, reference, asker=None):
    sides = (one if isinstance(one, Shown) else Shown(text=one) for one in (candidate, reference))
    return asyncio.run(made.judge(asker, INBOUND, name, *sides))


@pytest.mark.parametrize(
    ("settings", "candidate", "reference", "scores"),
    [
        ({"kind": "exact"}, "Yes.", "Yes", (0, 1)),
        ({"kind": "normalised"}, "Yes.", "yes", (1, 1)),
        ({"kind": "numeric", "tolerance": "0.1"}, "about 98", "100", (1, 1)),
        ({"kind": "fields", "only": ["a"]}, '{"a": 1, "b": 2}', '{"a": 1, "b": 3}', (1, 1)),
        ({"kind": "parses", "language": "python"}, "def f(", "def f(): ...", (0, 1)),
        ({"kind": "parses", "language": "json"}, "{}", "no json", (1, 0)),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else None,
)
def test_each_kind_judges_as_it_is_told_to(settings, candidate, reference, scores):
    score = judged(judges(**settings), "j", candidate, reference)
    assert (score.candidate, score.reference) == scores


def test_a_schema_is_read_from_its_file(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"type": "object", "required": ["a"]}))
    made = judges(kind="schema", schema_file=str(path))
    assert judged(made, "j", '{"a": 1}', "{}").candidate == 1
    assert judged(made, "j", '{"a": 1}', "{}").reference == 0
    assert made.is_alone("j")
    path.write_text("no json")
    with pytest.raises(ConfigError, match="schema_file"):
        judges(kind="schema", schema_file=str(path))


def test_tool_calls_are_compared_where_there_are_any_whatever_the_kind():
    called = Shown(tools=CALL)
    same = Shown(tools='[{"name": "refund", "arguments": "{\\"order\\": 7}"}]')
    made = judges("normalised")
    assert judged(made, "normalised", same, called).candidate == 1
    assert judged(made, "normalised", "I can refund that.", called).candidate == 0


def test_code_is_run_within_its_limits():
    command = [sys.executable, "-I", "-"]
    made = judges(kind="code", command=command, seconds_max=20)
    assert judged(made, "j", "```python\nassert 2 + 2 == 4\n```", "1/0").candidate == 1
    assert judged(made, "j", "assert 2 + 2 == 5", "").candidate == 0
    left = "from pathlib import Path; assert not list(Path().iterdir())"
    assert judged(made, "j", left, "").candidate == 1
    assert "no code" in judged(made, "j", "", "").reason


@pytest.mark.parametrize(
    "code",
    ["x = bytearray(2_000_000_000)", "while True: pass"],
    ids=["memory", "time"],
)
def test_code_that_takes_too_much_is_ended(code):
    made = judges(kind="code", command=[sys.executable, "-I", "-"], seconds_max=1)
    assert judged(made, "j", code, "").candidate == 0


def test_code_sees_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    made = judges(kind="code", command=[sys.executable, "-I", "-"], seconds_max=20)
    looks = "import os; assert 'OPENAI_API_KEY' not in os.environ"
    assert judged(made, "j", looks, "").candidate == 1


def test_a_model_is_asked_in_both_orders_on_the_account_of_evidence():
    made = judges(kind="model", model="anthropic/claude-haiku-4-5", rubric="Prefer brevity.")
    model = Model("A", "B")
    score = judged(made, "j", "four", "It is four.", model)
    assert (score.candidate, score.reference, score.cost) == (1.0, 1.0, Money(200))
    (first, second) = model.questions
    assert first[0] == "anthropic/claude-haiku-4-5"
    assert first[2] == "evidence"
    assert "user: 2 + 2?" in first[1]
    assert first[1].index("It is four.") > first[1].index("\nfour\n")
    assert second[1].index("It is four.") < second[1].index("\nfour\n")
    assert judged(made, "j", "four", "five", Model("A", "A")).candidate == 0.5
    assert judged(made, "j", "four", "five", Model("B", "A")).candidate == 0.0


def test_a_judge_that_fails_gives_no_score():
    made = judges(kind="model", model="claude-haiku-4-5")
    with pytest.raises(JudgeFailed, match="status 500"):
        judged(made, "j", "a", "b", Model("", status=500))


def test_a_model_does_not_judge_its_own_family_unless_it_may():
    made = judges(kind="model", model="openai/gpt-5")
    with pytest.raises(CallerError, match="of the family 'gpt'"):
        made.check("j", "gpt-4o-mini")
    made.check("j", "claude-haiku-4-5")
    judges(kind="model", model="gpt-5", is_same_family_allowed=True).check("j", "gpt-4o-mini")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini", "gpt"),
        ("openai/o3", "gpt"),
        ("anthropic.claude-sonnet-4-5-v1:0", "claude"),
        ("us.anthropic.claude-haiku-4-5", "claude"),
        ("openrouter/meta-llama/llama-3.1-8b", "llama"),
        ("deepseek-chat", "deepseek"),
        ("sim-large", "sim"),
        ("4", "4"),
    ],
)
def test_families_are_told_by_their_names(model, family):
    assert family_of(model) == family


@pytest.mark.parametrize(
    "document",
    [
        {"judge": "nobody"},
        {"judges": {"j": {"kind": "model"}}},
        {"judges": {"j": {"kind": "code"}}},
        {"judges": {"j": {"kind": "schema"}}},
        {"features": {"support": {"judge": "nobody"}}},
    ],
    ids=str,
)
def test_a_judge_that_lacks_what_it_needs_is_a_fault_of_the_configuration(document):
    from farthing.config import load_config

    with pytest.raises(ConfigError, match=r"judge|needs"):
        load_config({"evidence": document}, {})


def test_meaning_is_compared_where_the_extra_is_installed():
    pytest.importorskip("onnxruntime")
    made = judges(kind="embedding", similarity=0.8)
    told = "You can return an order within 30 days."
    assert judged(made, "j", "Orders can be returned within 30 days.", told).candidate == 1
    assert judged(made, "j", "The weather is nice in Lisbon.", told).candidate == 0
    assert judged(made, "j", "", told).candidate == 0


def test_without_its_extra_the_embedding_judge_says_what_to_install():
    settings = EvidenceSettings(mode="on", judge="embedding")
    with pytest.raises(ConfigError, match=r"pip install 'farthing\[semantic\]'"):
        Judges(settings, needed=("no_such_package",))
