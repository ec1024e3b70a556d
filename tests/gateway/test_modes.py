"""The levers' modes at hand: as they were when last read, whatever becomes of the file."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from farthing.evidence import EvidenceStore, Mode
from farthing.gateway.modes import ModesBoard

NOW = 1_790_000_000_000_000


@pytest.fixture
def store(tmp_path):
    opened = EvidenceStore(tmp_path)
    yield opened
    opened.close()


def serving(state):
    return msgspec.structs.replace(state, mode=Mode.CANARY_10, since_us=NOW, reason="by hand")


def test_what_nobody_decided_is_as_its_lever_says_and_shadow_by_default(store):
    board = ModesBoard(store)
    board.read()
    assert board.mode("routing", "support") is Mode.SHADOW
    assert board.mode("routing", "support", Mode.OFF) is Mode.OFF


def test_what_another_process_decides_counts_from_the_next_look(store, tmp_path):
    board = ModesBoard(store)
    other = EvidenceStore(tmp_path)
    other.change("routing", "support", serving, "person")
    assert board.mode("routing", "support") is Mode.SHADOW
    asyncio.run(board.refresh())
    assert board.mode("routing", "support") is Mode.CANARY_10
    assert board.state("routing", "support").reason == "by hand"
    other.close()


def test_one_switch_makes_every_mode_off_and_keeps_what_was_decided(store):
    board = ModesBoard(store)
    store.change("routing", "support", serving, "person")
    store.stop(is_stopped=True, now_us=NOW, actor="person", reason="an incident")
    board.read()
    assert board.mode("routing", "support", Mode.ON) is Mode.OFF
    assert board.mode("semantic-cache", "other", Mode.ON) is Mode.OFF
    store.stop(is_stopped=False, now_us=NOW, actor="person", reason="over")
    board.read()
    assert board.mode("routing", "support") is Mode.CANARY_10


def test_a_file_that_can_not_be_read_changes_nothing_and_is_told_once(store, tmp_path, caplog):
    board = ModesBoard(store)
    store.change("routing", "support", serving, "person")
    board.read()
    store.close()
    (tmp_path / "evidence.sqlite-wal").unlink(missing_ok=True)
    (tmp_path / "evidence.sqlite").write_bytes(b"no database at all" * 100)
    board.read()
    board.read()
    assert board.mode("routing", "support") is Mode.CANARY_10
    assert len(caplog.records) == 1
