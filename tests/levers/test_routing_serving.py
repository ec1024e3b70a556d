"""The pure parts of serving: names, answers that agree, decisions, drift, the trail."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.codecs import Demands
from farthing.levers.routing.answers import final_answer
from farthing.levers.routing.drift import Chart
from farthing.levers.routing.facts import is_snapshot_of, lacks
from farthing.levers.routing.serving import share_of
from farthing.levers.routing.settings import ModelFacts
from farthing.levers.routing.task_kinds import KINDS, OTHER, kind_of
from farthing.levers.routing.trail import Event, Trail
from farthing.levers.routing.virtual import Virtual, read_virtual


@pytest.mark.parametrize(
    ("name", "virtual"),
    [
        ("farthing/auto", Virtual("auto")),
        ("farthing/auto:refunds", Virtual("auto", "refunds")),
        ("farthing/auto@0.98", Virtual("auto", "", 0.98)),
        ("farthing/support:a:b@1", Virtual("support", "a:b", 1.0)),
        ("gpt-4o", None),
        ("auto", None),
    ],
)
def test_a_virtual_name_says_pool_feature_and_floor(name, virtual):
    assert read_virtual(name) == virtual


@pytest.mark.parametrize("floor", ["0", "1.1", "-1", "nan", "x", ""])
def test_a_floor_that_is_none_is_refused(floor):
    with pytest.raises(ValueError, match="no quality floor"):
        read_virtual(f"farthing/auto@{floor}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I think so.\n\nAnswer: 42", "Let me see...\nFinal answer: **42.0**"),
        ("so \\boxed{x^{2}}", "Answer: $x^{2}$"),
        ("#### 1,250", "Answer: 1250"),
        ('{"a": 1, "b": [2]}', '```json\n{"b": [2], "a": 1}\n```'),
        ("Yes.", "yes"),
        ("The answer is: Paris", "paris"),
    ],
)
def test_answers_that_say_the_same_agree(one, other):
    assert final_answer(one) == final_answer(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Answer: 42", "Answer: 43"),
        ("Answer: 5%", "Answer: 5"),
        ("42 it is, and not 17", "17 it is, and not 42"),
        ('{"a": 1}', '{"a": "1"}'),
        ("A long text about the sea.", "Another long text about the sea."),
    ],
)
def test_answers_that_say_another_thing_do_not_agree(one, other):
    assert final_answer(one) != final_answer(other)


def test_what_is_said_in_tool_calls_is_compared_as_calls_in_any_order():
    a, b = ("f", '{"x":1}'), ("g", "{}")
    assert final_answer("text", (a, b)) == final_answer("", (b, a))
    assert final_answer("", (a,)) != final_answer("", (b,))


@given(st.text(max_size=200))
def test_an_answer_agrees_with_itself_and_an_empty_one_with_nothing(text):
    assert final_answer(text) == final_answer(text)
    assert (final_answer(text) is None) == (not text.strip())


@pytest.mark.parametrize(
    ("served", "asked", "is_one"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o-2024-08-06", "gpt-4o", True),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5", True),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", False),
        ("gpt-4o-20", "gpt-4o", False),
    ],
)
def test_a_snapshot_is_told_by_a_date_behind_the_name(served, asked, is_one):
    assert is_snapshot_of(served, asked) is is_one


def test_what_a_model_lacks_is_told_in_words():
    facts = ModelFacts(context_tokens=100, has_tools=False, region="us")
    assert lacks(facts, Demands(), 101, "") == "the call may need more than its 100 tokens"
    assert lacks(facts, Demands(tools=True), 100, "") == "it calls no tools"
    assert lacks(facts, Demands(), 100, "eu") == "it is not in eu"
    assert lacks(facts, Demands(), 100, "us") == ""


def test_a_canary_s_share_is_stable_and_fair():
    places = [share_of("policy", f"user-{n}") for n in range(4000)]
    assert places == [share_of("policy", f"user-{n}") for n in range(4000)]
    assert 0.22 < sum(place < 0.25 for place in places) / 4000 < 0.28
    assert share_of("another", "user-1") != share_of("policy", "user-1")


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
def test_false_alarms_are_as_rare_as_is_said(share):
    dice = random.Random(1)
    calls, alarms = 0, 0
    for _ in range(20):
        labels = 1000
        chart = Chart(sum(dice.random() < share for _ in range(labels)), labels, calls=1000)
        for _ in range(4000):
            calls += 1
            if chart.add(is_hit=dice.random() < share):
                alarms += 1
                chart.reset()
    assert alarms <= calls / 1000


@pytest.mark.parametrize(
    ("before", "after", "way", "most"),
    [(0.02, 1.0, "risen", 12), (0.2, 0.7, "risen", 40), (0.3, 0.02, "fallen", 90)],
)
def test_a_drift_is_noticed_soon(before, after, way, most):
    dice = random.Random(2)
    chart = Chart(int(before * 1000), 1000, calls=1_000_000)
    found = ""
    while not found:
        found = chart.add(is_hit=dice.random() < after)
    assert found == way
    assert chart.count <= most


def test_workers_read_each_other_s_trail(tmp_path):
    one, two = Trail(tmp_path), Trail(tmp_path)
    told = {"at": "2026-11-25T00:00:00+00:00", "pool": "auto", "policy": "abc"}
    one.append(Event(kind="begun", facts={"m": "p1"}, **told))
    one.append(Event(kind="seen", facts={"m": "m-2024-01-01"}, **told))
    one.append(Event(kind="stopped", told="drift", **told))
    two.refresh()
    kept = two.of("auto", "abc")
    assert (kept.stopped, kept.prices, kept.snapshots) == (
        "drift",
        {"m": "p1"},
        {"m": "m-2024-01-01"},
    )
    two.append(Event(kind="resumed", **told))
    one.refresh()
    assert one.of("auto", "abc").stopped == ""


def test_a_line_of_the_trail_that_breaks_off_is_read_once_it_is_whole(tmp_path):
    trail = Trail(tmp_path)
    line = b'{"at":"t","kind":"stopped","pool":"auto","policy":"abc","told":"why"}\n'
    (tmp_path / "trail.jsonl").write_bytes(b"not json\n" + line[:20])
    assert trail.refresh() == []
    with (tmp_path / "trail.jsonl").open("ab") as file:
        file.write(line[20:])
    assert [event.told for event in trail.refresh()] == ["why"]


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Is this review positive or negative? I loved it", "classification"),
        ("Extract all names and dates from the letter as JSON.", "extraction"),
        ("Write a poem about the sea.", OTHER),
    ],
)
def test_a_task_s_kind_is_told_by_its_words(prompt, kind):
    assert kind_of(prompt).name == kind
    assert kind in KINDS


def test_the_kinds_file_tells_what_was_measured():
    import farthing.levers.routing.task_kinds as module

    told = json.loads(Path(module.__file__).with_suffix(".json").read_text())["measured"]
    assert told["accuracy"] > 0.5
    assert told["wrong_of_trusted"] <= 0.1


def test_reading_a_policy_and_deciding_needs_no_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import farthing.levers.routing.serving, farthing.gateway.routing"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
