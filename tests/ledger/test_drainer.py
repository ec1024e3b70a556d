import contextlib
import json
import os
import sqlite3
import threading
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import NOON_US, FixedClock, StoredCard, a_folder, an_entry, an_intent

from farthing.call import Attribution
from farthing.errors import FarthingError
from farthing.ledger import (
    Drainer,
    DrainerBusy,
    DrainReport,
    Journal,
    LedgerSettings,
    SqliteStore,
    StoreError,
    StoreState,
)
from farthing.ledger.layout import FileLock, Layout
from farthing.ledger.record import INTENT_LOST, intent_line, settlement_line
from farthing.ledger.row import COLUMNS, entry_of
from farthing.ledger.store import Batch

IMPATIENT = LedgerSettings(busy_timeout_ms=0)
ROWS = f"SELECT {', '.join(COLUMNS)} FROM entries ORDER BY call_id, attempt"


def posted(store):
    """Every entry in the store, by call."""
    by_call = {}
    for row in store.query(ROWS):
        by_call.setdefault(row[0], []).append(row)
    return {call_id: entry_of(rows) for call_id, rows in by_call.items()}


def drain(directory, **options):
    with Drainer(directory, clock=FixedClock(), **options) as drainer:
        return drainer.drain()


def stored(directory):
    store = SqliteStore(Layout(directory).store)
    with contextlib.closing(store):
        return posted(store)


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(tmp_path, "w", clock=FixedClock())
    yield made
    made.close()


def left_behind(directory, content):
    """A journal that a dead writer left."""
    layout = Layout(directory)
    layout.journal.mkdir(parents=True, exist_ok=True)
    (layout.journal / "w-1.000000.jnl").write_bytes(content)


def test_a_settled_call_is_posted_and_its_intent_with_it(tmp_path, journal):
    journal.intend(an_intent())
    journal.settle(an_entry())
    report = drain(tmp_path)
    assert (report.posted, report.rows, report.interrupted, report.lag_bytes) == (1, 1, 0, 0)
    assert stored(tmp_path) == {"call-1": an_entry()}


def test_a_call_under_way_is_not_posted_while_its_writer_lives(tmp_path, journal):
    journal.intend(an_intent())
    report = drain(tmp_path)
    assert (report.posted, report.open_calls, report.low_water_us) == (0, 1, NOON_US)


def test_the_calls_under_way_of_a_dead_writer_are_posted_as_interrupted(tmp_path, journal):
    journal.intend(an_intent("lost", detail="first try"))
    journal.intend(an_intent("lost", detail="second try"))
    journal.settle(an_entry("done"))
    journal.close()
    report = drain(tmp_path)
    assert (report.posted, report.interrupted, report.segments_deleted) == (2, 1, 1)
    assert stored(tmp_path)["lost"] == an_intent("lost", detail="second try")


def test_a_call_that_resolves_twice_stays_as_it_was_first(tmp_path, journal):  # L2
    journal.settle(an_entry(detail="first"))
    drain(tmp_path)
    journal.settle(an_entry(detail="second"))
    assert drain(tmp_path).posted == 0
    assert stored(tmp_path)["call-1"].detail == "first"


def test_rate_cards_are_kept_for_those_who_ask_later(tmp_path, journal):  # L5
    journal.note_card(StoredCard())
    drain(tmp_path)
    store = SqliteStore(Layout(tmp_path).store)
    with contextlib.closing(store):
        assert store.card("openai/gpt-4o@2026") == b'{"rates":[1,2]}'


def test_damaged_lines_are_kept_aside_and_counted_and_the_rest_goes_on(tmp_path):  # L6
    lines = [
        settlement_line(an_entry("a"), None),
        b"garbage\n",
        settlement_line(an_entry("b"), None).replace(b"search", b"seArch"),
        b"E%08x[1]\n" % zlib.crc32(b"E[1]"),
        settlement_line(an_entry("c"), None),
    ]
    left_behind(tmp_path, b"".join(lines))
    assert drain(tmp_path).damaged == 3
    assert set(stored(tmp_path)) == {"a", "c"}
    assert drain(tmp_path).damaged == 3


def test_a_damaged_line_read_again_for_an_older_intent_counts_once(tmp_path, journal):  # L6
    journal.intend(an_intent("open"))
    journal._file.append(b"garbage\n")
    journal.settle(an_entry("done"))
    assert drain(tmp_path).damaged == 1
    journal.settle(an_entry("later"))
    again = drain(tmp_path)
    assert (again.damaged, again.posted) == (1, 1)


def test_a_rate_card_is_no_call_that_waits(tmp_path, journal):
    small = LedgerSettings(busy_timeout_ms=0)
    drain(tmp_path)
    journal.note_card(StoredCard())
    journal._file.append(b"garbage\n")
    store = SqliteStore(Layout(tmp_path).store)
    with contextlib.closing(store), store._transaction():
        report = drain(tmp_path, settings=small)
    assert (report.oldest_undrained_us, report.lag_bytes > 0) == (None, True)


def test_what_a_power_cut_left_blank_hides_nothing_behind_it(tmp_path):  # L6
    lines = [settlement_line(an_entry(name), None) for name in ("a", "b", "c")]
    left_behind(tmp_path, lines[0] + lines[1][:100] + bytes(5000) + lines[2] + bytes(5000))
    report = drain(tmp_path)
    assert (report.posted, report.damaged) == (1, 1)
    left_behind(tmp_path, lines[0] + bytes(200_000) + lines[2] + bytes(5000))
    assert drain(tmp_path, settings=LedgerSettings(batch_kb=64)).damaged == 1
    assert set(stored(tmp_path)) == {"a", "c"}


def test_a_record_whose_last_bytes_are_seen_first_is_read_when_it_is_whole(tmp_path, journal):
    journal.settle(an_entry("first"))
    size = journal._file.size
    journal.settle(an_entry("second"))
    content = os.pread(journal._file.descriptor, 10_000, 0)
    os.pwrite(journal._file.descriptor, b"\0" * 50, size + 20)
    os.pwrite(journal._file.descriptor, b"x" * 50, size + 20)
    assert (drain(tmp_path).posted, drain(tmp_path).damaged) == (1, 0)
    os.pwrite(journal._file.descriptor, content, 0)
    assert drain(tmp_path).posted == 1
    assert set(stored(tmp_path)) == {"first", "second"}


class SmallJournal(Journal):
    """A journal that turns to its next file after two records or so."""

    def __init__(self, layout, writer, start_us, settings):
        super().__init__(layout, writer, start_us, settings)
        self._segment_bytes = self._rotate_at = 500


def test_an_older_call_is_not_forgotten_when_a_younger_one_is_dispatched_again(tmp_path, journal):
    journal.intend(an_intent("young"))
    journal.intend(an_intent("old"))
    journal.intend(an_intent("young", detail="again"))
    journal.settle(an_entry("done"))
    drain(tmp_path)
    journal.close()
    assert drain(tmp_path).interrupted == 2
    assert set(stored(tmp_path)) == {"young", "old", "done"}


def test_a_writer_that_turns_to_its_next_file_while_it_is_looked_at_is_not_dead(tmp_path):
    journal = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    first = journal.path
    journal.intend(an_intent("open"))

    class Racing(Drainer):
        def _is_dead(self, last):
            while journal.path == first:
                journal.settle(an_entry(f"call-{journal.path.stat().st_size}"))
            journal.sync()
            return super()._is_dead(last)

    with Racing(tmp_path, clock=FixedClock()) as drainer:
        assert drainer.drain().interrupted == 0
        journal.settle(an_entry("open"))
    journal.close()
    drain(tmp_path)
    assert stored(tmp_path)["open"] == an_entry("open")


def test_an_open_call_keeps_its_file_while_later_ones_are_read(tmp_path):
    journal = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    first = journal.path
    journal.intend(an_intent("open"))
    for number in range(6):
        journal.settle(an_entry(f"call-{number}"))
    with Drainer(tmp_path, settings=IMPATIENT, clock=FixedClock()) as drainer:
        assert drainer.drain().segments_deleted == 0
        journal.settle(an_entry("last", started_us=NOON_US + 9))
        os.pwrite(journal._file.descriptor, b"0000", journal._file.size + 1)
        report = drainer.drain()  # while a record is being written
        assert (report.open_calls, report.oldest_undrained_us, report.damaged) == (1, None, 0)
        assert first.exists()
        journal.settle(an_entry("open"))
    journal.close()


def test_an_intent_that_cannot_be_read_as_an_entry_is_kept_aside(tmp_path):  # L6
    strange = intent_line(an_intent())[9:-1].replace(b"openai.chat", b"of.tomorrow")
    left_behind(tmp_path, b"N%08x%b\n" % (zlib.crc32(b"N" + strange), strange))
    report = drain(tmp_path)
    assert (report.posted, report.damaged) == (0, 1)


def test_a_call_whose_intent_is_damaged_keeps_what_it_used_and_cost(tmp_path):  # L6
    entry = an_entry(charges=("all/month/",), detail="an error")
    outcome = settlement_line(entry, an_intent())
    left_behind(tmp_path, intent_line(an_intent()).replace(b"search", b"seArch") + outcome)
    report = drain(tmp_path)
    assert (report.posted, report.damaged) == (1, 1)
    found = stored(tmp_path)["call-1"]
    assert found.attempts == entry.attempts
    assert (found.status, found.detail) == (entry.status, f"{INTENT_LOST}; an error")
    assert found.attribution == Attribution()


def test_an_outcome_waits_like_any_settlement_while_the_store_is_away(tmp_path, journal):
    outcome = settlement_line(an_entry(), an_intent())
    left_behind(tmp_path, outcome)
    store = SqliteStore(Layout(tmp_path).store)
    with contextlib.closing(store), store._transaction():
        report = drain(tmp_path, settings=IMPATIENT)
    assert (report.oldest_undrained_us, report.lag_bytes) == (NOON_US, len(outcome))


def test_a_journal_of_the_first_versions_is_read(tmp_path):
    lines = []
    for kind, entry in ((b"I", an_intent("a")), (b"I", an_intent("b")), (b"S", an_entry("b"))):
        content = msgspec.json.encode(entry)
        lines.append(b"%b%08x%b\n" % (kind, zlib.crc32(kind + content), content))
    left_behind(tmp_path, b"".join(lines))
    assert drain(tmp_path).posted == 2
    assert stored(tmp_path) == {"a": an_intent("a"), "b": an_entry("b")}


def test_an_entry_whose_numbers_no_store_can_hold_is_kept_aside(tmp_path, journal):  # L6
    journal.settle(an_entry("vast", duration_us=2**63))
    journal.settle(an_entry("plain"))
    report = drain(tmp_path)
    assert (report.posted, report.damaged) == (1, 1)
    assert set(stored(tmp_path)) == {"plain"}


def test_a_line_longer_than_a_chunk_is_read_whole(tmp_path, journal):
    long = an_entry(detail="x" * 300_000)
    journal.settle(long)
    report = drain(tmp_path, settings=LedgerSettings(batch_kb=64))
    assert report.posted == 1
    assert stored(tmp_path) == {"call-1": long}


def test_only_one_drainer_drains(tmp_path):
    with Drainer(tmp_path), pytest.raises(DrainerBusy, match="Another process"):
        Drainer(tmp_path)


def test_what_was_posted_is_told_after_each_transaction(tmp_path, journal):
    heard = []
    journal.settle(an_entry("a"))
    journal.settle(an_entry("b"))
    drain(tmp_path, on_posted=heard.extend)
    assert [entry.call_id for entry in heard] == ["a", "b"]


def test_the_drainer_says_how_it_fares_in_a_file(tmp_path, journal):
    journal.settle(an_entry())
    report = drain(tmp_path)
    written = Layout(tmp_path).drainer_status.read_bytes()
    assert msgspec.json.decode(written, type=DrainReport) == report
    assert json.loads(written)["store"] == "ok"


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path, journal):
    (tmp_path / "run").write_text("a file in the way")
    journal.settle(an_entry())
    assert drain(tmp_path).posted == 1


def test_running_ends_with_a_last_drain(tmp_path, journal):
    stop = threading.Event()
    heard = threading.Event()
    quick = LedgerSettings(drain_interval_ms=1)
    with Drainer(tmp_path, settings=quick, on_posted=lambda _: heard.set()) as drainer:
        thread = threading.Thread(target=drainer.run, args=(stop,))
        thread.start()
        journal.settle(an_entry("early"))
        assert heard.wait(10)
        stop.set()
        journal.settle(an_entry("late"))
        thread.join(10)
    drain(tmp_path)
    assert set(stored(tmp_path)) == {"early", "late"}


class TestStoreInTrouble:
    """L3: whatever ails the store, entries stay in the journals and none is lost."""

    @pytest.fixture
    def drainer(self, tmp_path, journal):
        journal.settle(an_entry("before"))
        with Drainer(tmp_path, settings=IMPATIENT, clock=FixedClock()) as made:
            made.drain()
            yield made

    def test_a_locked_store(self, tmp_path, journal, drainer):
        other = sqlite3.connect(Layout(tmp_path).store, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        journal.intend(an_intent("open"))
        journal.settle(an_entry("during"))
        reports = [drainer.drain(), drainer.drain()]
        other.execute("ROLLBACK")
        other.close()
        assert [report.store for report in reports] == [StoreState.LOCKED] * 2
        assert all(report.lag_bytes > 0 for report in reports)
        assert reports[0].oldest_undrained_us == NOON_US
        assert "Another program holds it" in reports[0].detail
        assert drainer.drain().posted == 1
        assert set(stored(tmp_path)) == {"before", "during"}

    def test_a_store_made_read_only(self, tmp_path, journal, drainer):
        drainer.store._open().execute("PRAGMA query_only = ON")
        journal.settle(an_entry("during"))
        assert drainer.drain().store is StoreState.READ_ONLY
        assert drainer.drain().posted == 1  # the connection was opened afresh
        assert set(stored(tmp_path)) == {"before", "during"}

    def test_a_store_without_room(self, journal, drainer):
        connection = drainer.store._open()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(100):
            journal.settle(an_entry(f"during-{number}"))
        assert drainer.drain().store is StoreState.FULL
        assert drainer.drain().posted == 100

    def test_a_store_that_cannot_be_opened(self, tmp_path, journal):
        Layout(tmp_path).store.write_bytes(b"not a database, not at all" * 100)
        journal.settle(an_entry())
        report = drain(tmp_path)
        assert (report.store, report.lag_bytes > 0) == (StoreState.FAILED, True)
        Layout(tmp_path).store.unlink()
        assert drain(tmp_path).posted == 1

    def test_a_journal_that_cannot_be_read_leaves_the_others_alone(self, tmp_path, journal):
        journal.settle(an_entry())
        (Layout(tmp_path).journal / "a-1.000000.jnl").mkdir()
        report = drain(tmp_path)
        assert report.posted == 1
        assert "journal a-1 can't be read" in report.detail


def records_of_three_calls():
    """A journal's lines, and the entries that each prefix of them leaves behind."""
    bare = {"duration_us": 0}
    intents = {}
    history = [
        (an_intent("a", **bare), False),
        (an_intent("b", **bare), False),
        (an_entry("a", **bare), True),
        (an_intent("b", detail="again", **bare), False),
        (an_entry("c", **bare), True),
        (an_entry("b", **bare), True),
    ]
    lines = []
    for entry, is_settled in history:
        intent = intents.get(entry.call_id)
        lines.append(settlement_line(entry, intent) if is_settled else intent_line(entry))
        intents[entry.call_id] = entry
    return history, lines


def test_cut_at_any_byte_what_was_settled_before_is_posted_once_and_the_rest_interrupted():  # L2
    history, lines = records_of_three_calls()
    content = b"".join(lines)
    store = SqliteStore(Path(":memory:"))
    for cut in range(len(content) + 1):
        whole = content[:cut].count(b"\n")
        expected = {entry.call_id: entry for entry, _ in history[:whole]}
        with a_folder() as name:
            layout = Layout(Path(name))
            layout.journal.mkdir()
            (layout.journal / "w-1.000000.jnl").write_bytes(content[:cut])
            drainer = Drainer(layout.directory, store=store, clock=FixedClock())
            report = drainer.drain()
            assert posted(store) == expected
            assert report.segments_deleted == 1
            store._open().executescript("DELETE FROM entries; DELETE FROM checkpoints")
            drainer._lock.release()
    store.close()


@given(st.lists(st.integers(0, 3_000), max_size=4))
def test_a_journal_that_grows_between_drains_is_posted_once(cuts):
    history, lines = records_of_three_calls()
    content = b"".join(lines)
    with a_folder() as name:
        layout = Layout(Path(name))
        layout.journal.mkdir()
        path = layout.journal / "w-1.000000.jnl"
        lock = FileLock.take(path)
        store = SqliteStore(Path(":memory:"))
        heard = []
        with Drainer(layout.directory, store=store, on_posted=heard.extend) as drainer:
            for cut in sorted(cuts):
                path.write_bytes(content[:cut])
                drainer.drain()
            path.write_bytes(content)
            drainer.drain()
            lock.release()
            drainer.drain()
            assert sorted(entry.call_id for entry in heard) == ["a", "b", "c"]
            assert posted(store) == {
                entry.call_id: entry for entry, is_settled in history if is_settled
            }


class FailingStore(SqliteStore):
    """A store that can't even be read after it failed to post."""

    def post(self, batch):
        super().post(batch)
        raise StoreError(StoreState.FAILED, "gone")

    def checkpoints(self):
        if self._connection is not None and self._connection.total_changes:
            raise StoreError(StoreState.FAILED, "gone")
        return super().checkpoints()


def test_with_a_store_that_cannot_be_read_all_of_the_journals_counts_as_undrained(
    tmp_path, journal
):
    journal.settle(an_entry())
    report = drain(tmp_path, store=FailingStore(tmp_path / "other.sqlite"))
    assert report.lag_bytes == len(journal.path.read_bytes().rstrip(b"\0"))


def test_errors_of_the_store_are_ours():
    assert issubclass(StoreError, FarthingError)
    assert Batch().checkpoint is None
