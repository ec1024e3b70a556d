"""Comparisons, states and money in one file that many processes share (V1 to V3)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from farthing.evidence import (
    Compared,
    Evidence,
    EvidenceStore,
    EvidenceStoreError,
    Feedback,
    Mode,
)
from farthing.money import Money

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
CENT = Money.usd("0.01")


@pytest.fixture
def store(tmp_path):
    opened = EvidenceStore(tmp_path)
    yield opened
    opened.close()


def compared(number, score=1.0, lever="routing", scope="support", **more):
    return Compared(
        evidence=Evidence(
            call=f"call_{number}",
            lever=lever,
            feature=scope,
            judge="exact",
            score=score,
            reference=1.0,
            probability=0.05,
            at_us=NOW + number,
            cost=CENT,
        ),
        candidate_call=f"call_{number}",
        reference_call=f"call_{number}_aside",
        **more,
    )


def shadowed(state):
    return msgspec.structs.replace(state, mode=Mode.CANARY_1, since_us=NOW, reason="safe")


def test_looking_makes_no_file(store, tmp_path):
    assert store.comparisons("routing", "support") == []
    assert (store.states(), store.trail(), store.is_stopped) == ([], [], False)
    assert list(tmp_path.iterdir()) == []


def test_comparisons_come_back_as_they_were_in_the_order_they_came(store):
    given = [compared(n, score=n / 4, version="gpt-4o-mini") for n in range(4)]
    for one in given:
        assert store.add(one)
    found = store.comparisons("routing", "support")
    assert [msgspec.structs.replace(one, id=0) for one in found] == given
    after = store.comparisons("routing", "support", after=found[1].id)
    assert after == found[2:]
    assert store.comparisons("routing", "other") == []


def test_the_same_comparison_counts_once(store):  # V1
    assert store.add(compared(1))
    assert not store.add(compared(1, score=0.0))
    assert [one.evidence.score for one in store.comparisons("routing", "support")] == [1.0]


def test_a_change_stands_with_its_line_in_the_trail(store):  # V2
    store.change("routing", "support", shadowed, "ladder")
    (state,) = store.states()
    assert (state.mode, state.reason) == (Mode.CANARY_1, "safe")
    (line,) = store.trail()
    assert (line.before, line.after, line.actor, line.reason) == ("", "canary-1", "ladder", "safe")


def test_what_stays_the_same_leaves_no_trail(store):
    store.change("routing", "support", lambda state: state, "ladder")
    assert (store.states(), store.trail()) == ([], [])


def test_a_change_that_fails_midway_changes_nothing(store):  # V2
    def fails(state):
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError):
        store.change("routing", "support", fails, "ladder")
    assert (store.states(), store.trail()) == ([], [])


def test_one_switch_stops_all_and_is_in_the_trail(store):
    assert store.stop(is_stopped=True, now_us=NOW, actor="person", reason="an incident")
    assert store.is_stopped
    assert not store.stop(is_stopped=True, now_us=NOW, actor="person", reason="again")
    assert store.stop(is_stopped=False, now_us=NOW + 1, actor="person", reason="over")
    assert not store.is_stopped
    assert [(line.lever, line.after, line.reason) for line in store.trail()] == [
        ("*", "running", "over"),
        ("*", "stopped", "an incident"),
    ]


def test_a_day_never_costs_more_than_its_cap(store):  # V3
    cap = Money.usd("0.025")
    assert store.take(CENT, cap, NOW)
    assert store.take(CENT, cap, NOW)
    assert not store.take(CENT, cap, NOW)
    store.give_back(CENT, Money.usd("0.002"), NOW)
    assert store.spent(NOW) == Money.usd("0.012")
    assert store.take(CENT, cap, NOW)
    assert store.take(CENT, cap, NOW + DAY)


def test_threads_and_connections_together_stay_within_the_cap(tmp_path):  # V3
    stores = [EvidenceStore(tmp_path) for _ in range(3)]
    taken = []

    def take(own):
        taken.append(sum(own.take(CENT, Money.usd("0.3"), NOW) for _ in range(20)))

    threads = [threading.Thread(target=take, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 30
    assert stores[0].spent(NOW) == Money.usd("0.3")
    for own in stores:
        own.close()


def test_the_last_word_on_a_call_counts(store):
    said = Feedback(
        call_id="call_1", tenant="acme", feature="support", score=1.0, comment="", at_us=NOW
    )
    store.note_feedback(said)
    store.note_feedback(msgspec.structs.replace(said, score=0.0, comment="wrong price"))
    assert [(one.score, one.comment) for one in store.feedback("support")] == [(0.0, "wrong price")]
    assert store.feedback("other") == []


def test_labels_stand_beside_the_comparisons(store):
    store.add(compared(1))
    (found,) = store.comparisons("routing", "support")
    store.label(found.id, is_good=False, now_us=NOW)
    assert store.labels() == {found.id: False}


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_evidence_store as samples
from farthing.evidence import EvidenceStore
store = EvidenceStore(Path(sys.argv[1]))
number = 0
while True:
    store.add(samples.compared(number))
    print(number, flush=True)
    number += 1
"""


def test_what_was_stored_outlives_a_process_that_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while int(process.stdout.readline()) < 20:
            pass
        process.send_signal(signal.SIGKILL)
        told = 20 + len(process.stdout.read().split())
    store = EvidenceStore(tmp_path)
    found = store.comparisons("routing", "support")
    assert told <= len(found) <= told + 2
    assert store.add(compared(1_000_000))
    store.close()


def test_a_file_of_another_version_is_left_alone(store, tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "evidence.sqlite") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(EvidenceStoreError, match="another version"):
        store.add(compared(1))
