import itertools
import json
import re
from pathlib import Path

import pytest
from alert_doubles import NOON_US, usd
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.budgets.alerts import Alert, anomaly_event
from farthing.budgets.alerts.forms import as_text
from farthing.budgets.runaway import RunawayDetector, RunawaySettings, mark_of
from farthing.money import Money

SECOND_US = 1_000_000
DATA = Path(__file__).parents[3] / "shared" / "data"


def detector(**rules):
    quiet = {
        "loop_notify": 0,
        "loop_stop": 0,
        "steps_notify": 0,
        "spend_usd_per_hour_notify": "0",
    }
    return RunawayDetector(RunawaySettings(**(quiet | rules)))


def said(found, marks, session="s", every_us=SECOND_US):
    """What a session's calls lead to: the number of the call, the action and the reason."""
    told = []
    for number, mark in enumerate(marks, 1):
        evidence = found.look(session, mark, NOON_US + number * every_us)
        if evidence is not None:
            told.append((number, evidence.action, evidence.reason))
    return told


def test_the_same_call_again_and_again_is_told_once_and_then_stopped_for_good():
    found = detector(loop_notify=4, loop_stop=6)
    assert said(found, [1] * 8) == [
        (4, "notify", "loop"), (6, "stop", "loop"), (7, "stop", "loop"), (8, "stop", "loop"),
    ]  # fmt: skip
    assert found.look("s", 99, NOON_US).action == "stop"
    assert found.look("other", 1, NOON_US) is None


def test_a_stopped_session_is_free_again_once_enough_others_were_seen_since_its_last_call():
    found = detector(steps_stop=2, sessions_most=2)
    assert said(found, [1, 2]) == [(2, "stop", "steps")]
    found.look("other", 1, NOON_US)
    assert found.look("s", 3, NOON_US).action == "stop"  # its refused calls keep it in mind
    found.look("other", 2, NOON_US)
    found.look("third", 1, NOON_US)
    assert found.look("s", 4, NOON_US) is None


def test_a_cycle_of_several_calls_is_a_loop_too():
    assert said(detector(loop_window=12, loop_notify=4), [1, 2, 3] * 4) == [(10, "notify", "loop")]


def test_equal_calls_that_lie_far_apart_are_no_loop():
    marks = [-1 if number % 5 == 0 else number for number in range(100)]
    assert said(detector(loop_window=12, loop_notify=4), marks) == []


def test_steps_are_counted():
    assert said(detector(steps_notify=3, steps_stop=5), range(10, 16)) == [
        (3, "notify", "steps"), (5, "stop", "steps"), (6, "stop", "steps"),
    ]  # fmt: skip


def spend(found, cost, calls, every_s):
    told = []
    for number in range(calls):
        now_us = NOON_US + number * every_s * SECOND_US
        evidence = found.look("s", number, now_us)
        found.book("s", usd(cost), now_us)
        if evidence is not None:
            told.append((number, evidence))
    return told


def test_spending_beyond_the_rate_is_told_and_spending_below_it_is_not():
    rules = {"spend_usd_per_hour_notify": "10"}
    assert spend(detector(**rules), "0.02", 1000, every_s=10) == []  # $7.20 an hour
    ((number, evidence),) = spend(detector(**rules), "0.04", 1000, every_s=10)  # $14.40
    assert evidence.reason == "spend_rate"
    assert 10 <= float(str(evidence.rate_usd_hour)) <= 11
    assert 20 <= number <= 120  # within the window's length, not on the first dear call


def test_one_dear_call_is_not_a_rate():
    assert spend(detector(spend_usd_per_hour_notify="10"), "3", 5, every_s=1) == []


def test_the_evidence_can_be_checked():
    found = detector(loop_notify=3)
    evidence = None
    for number in range(3):
        evidence = found.look("trace-7", 5, NOON_US + number * SECOND_US) or evidence
        found.book("trace-7", usd("0.25"), NOON_US + number * SECOND_US)
    assert str(evidence) == (
        "Session trace-7: 3 of its last 3 calls are the same but for digits; "
        "$0.50 in 3 calls and 2 s."
    )


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        (b"page 1 of 20", b"page 17 of 20", True),
        (b"it is 12:00:01", b"it is\n 12:00:59", True),
        (b"file not found: a.py", b"file not found: b.py", False),
        (b"x" * 10_000 + b"end", b"y" + b"x" * 9_999 + b"end", True),
        (b"", b"  42", True),
    ],
)
def test_a_mark_sees_through_digits_and_blanks_and_nothing_else(one, other, is_equal):
    assert (mark_of(one) == mark_of(other)) is is_equal


def test_memory_is_bounded():
    found = RunawayDetector(RunawaySettings(sessions_most=10, loop_window=4))
    for number in range(1000):
        found.look(f"s{number % 50}", number, NOON_US)
    assert len(found) == 10
    held = next(iter(found._sessions.values()))
    for number in range(100):
        found.look("s1", number, NOON_US)
    assert max(len(held.marks), len(found._sessions["s1"].counts)) <= 4
    found.book("long gone", Money(1), NOON_US)


@settings(max_examples=60)
@given(marks=st.lists(st.integers(0, 3), max_size=80), window=st.integers(2, 12))
def test_the_count_is_that_of_the_last_calls(marks, window):
    found = detector(loop_window=window, loop_notify=3)
    told = said(found, marks)
    counts = [marks[max(0, n + 1 - window) : n + 1].count(mark) for n, mark in enumerate(marks)]
    first = next((n + 1 for n, count in enumerate(counts) if count >= 3), None)
    assert told == ([] if first is None else [(first, "notify", "loop")])


# Real agents: what must not be told.


def last_messages(history):
    """The last message before each of the model's turns, as the calls' bodies end with it."""
    for before, turn in itertools.pairwise(history):
        if turn["role"] == "assistant":
            yield json.dumps(before.get("content") or before).encode()


def real_sessions():
    conversations = json.loads((DATA / "prompts" / "tau_airline.json").read_text())
    for number, one in enumerate(conversations):
        yield f"tau {number}", list(last_messages(one["traj"]))
    for path in sorted((DATA / "prompts").glob("*.traj")):
        yield path.name, list(last_messages(json.loads(path.read_text())["history"]))


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real traces are not here")
def test_of_real_agents_none_is_told_or_stopped():
    found = RunawayDetector(RunawaySettings(loop_stop=16))
    sessions = calls = 0
    told = []
    for name, messages in real_sessions():
        sessions += 1
        for number, message in enumerate(messages):
            calls += 1
            evidence = found.look(name, mark_of(message), NOON_US + number * 5 * SECOND_US)
            found.book(name, usd("0.02"), NOON_US + number * 5 * SECOND_US)
            if evidence is not None:
                told.append(evidence)
    assert sessions >= 200
    assert calls > 2000
    assert told == []


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real traces are not here")
def test_a_real_agent_that_is_made_to_loop_is_stopped_within_sixteen_calls():
    name, messages = next(iter(real_sessions()))
    found = RunawayDetector(RunawaySettings(loop_stop=16))
    for number, message in enumerate(messages):
        assert found.look(name, mark_of(message), NOON_US + number) is None
    stuck = re.sub(rb"\d+", b"7", messages[-1])
    actions = [found.look(name, mark_of(stuck), NOON_US + n) for n in range(16)]
    assert actions[-1].action == "stop"


def test_a_runaway_session_is_told_once_for_each_rule_and_once_more_when_it_is_stopped(box):
    found = detector(loop_notify=4, loop_stop=6, steps_notify=5)
    told = [found.look("s", 1, NOON_US + n) for n in range(9)]
    added = [box.outbox.add(anomaly_event(one)) for one in told if one is not None]
    assert added == [True, True, True, False, False, False]
    box.outbox.spread(lambda _event: ("ops",))
    deliveries = box.outbox.claim(NOON_US)
    texts = [as_text(Alert(event=delivery.event)) for delivery in deliveries]
    assert any(
        "are the same but for digits" in text and "It was stopped." in text for text in texts
    )
    assert texts[0].startswith("Unusual spending: session=s, $0.00")


def test_by_default_it_only_tells():
    found = RunawayDetector(RunawaySettings())
    assert {action for _, action, _ in said(found, [1] * 500)} == {"notify"}
