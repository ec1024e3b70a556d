import os
import resource
import signal
import threading

import pytest
from ledger_samples import FixedClock, StoredCard, an_entry, an_intent

from farthing.errors import ConfigError
from farthing.ledger import Drainer, Journal, JournalError, JournalFull, LedgerSettings
from farthing.ledger.layout import Layout, is_locked


class SmallJournal(Journal):
    """A journal that turns to its next file after a few records."""

    def __init__(self, layout, writer, start_us, settings):
        super().__init__(layout, writer, start_us, settings)
        self._segment_bytes = self._rotate_at = 1_000


@pytest.fixture
def journal(tmp_path):
    made = Journal.open(tmp_path, "w", clock=FixedClock())
    yield made
    made.close()


@pytest.fixture
def file_bytes_max():
    """Sets a real limit on the size of files, which a disk that fills up resembles."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def records(path):
    """The lines of a journal; the room it has reserved for more is zeros."""
    return path.read_bytes().rstrip(b"\0").splitlines()


def filled(journal):
    """Settle calls until the journal refuses one; its error."""
    while True:
        try:
            journal.settle(an_entry("more"))
        except JournalFull as error:
            return str(error)


def test_each_record_is_one_line_in_the_file_when_the_call_returns(journal):
    journal.intend(an_intent())
    journal.settle(an_entry())
    assert [line[:1] for line in records(journal.path)] == [b"N", b"O"]


def test_a_closed_journal_holds_its_records_and_nothing_else(journal):
    journal.intend(an_intent())
    journal.settle(an_entry())
    journal.close()
    content = journal.path.read_bytes()
    assert content.endswith(b"\n")
    assert b"\0" not in content


def test_a_card_is_written_once_per_segment(tmp_path):
    with_small = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    for number in range(6):
        with_small.note_card(StoredCard())
        with_small.settle(an_entry(f"call-{number}"))
    with_small.close()
    segments = sorted(Layout(tmp_path).journal.iterdir())
    assert len(segments) > 1
    assert all(
        path.read_bytes().count(b"\nC") + path.read_bytes().startswith(b"C") <= 1
        for path in segments
    )


def test_the_file_is_locked_while_its_writer_lives(journal):
    assert is_locked(journal.path)
    journal.close()
    assert not is_locked(journal.path)


def test_closing_twice_and_syncing_after_it_are_harmless(journal):
    journal.settle(an_entry())
    journal.close()
    journal.close()
    journal.sync()


def test_a_run_is_never_taken_for_an_earlier_one_of_the_same_name_and_time(tmp_path):
    class Stopped(FixedClock):
        def now_us(self):
            return 5

    first = Journal.open(tmp_path, "w", clock=Stopped())
    second = Journal.open(tmp_path, "w", clock=Stopped())
    assert first.path != second.path
    first.close()
    second.close()


@pytest.mark.parametrize("writer", ["", "a/b", "a.b", "x" * 65])
def test_a_writer_needs_a_plain_name(tmp_path, writer):
    with pytest.raises(ConfigError, match="can't name a journal"):
        Journal.open(tmp_path, writer)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "journal").write_text("a file in the way")
    with pytest.raises(JournalError, match="can't be written"):
        Journal.open(tmp_path, "w")


def test_a_record_that_does_not_fit_leaves_nothing_behind(journal, file_bytes_max):  # L3
    journal.settle(an_entry("kept"))
    reserved = journal.path.stat().st_size
    file_bytes_max(reserved)
    assert "No room" in filled(journal)
    held = journal.path.read_bytes()
    with pytest.raises(JournalFull):
        journal.settle(an_entry("lost"))
    assert journal.path.read_bytes() == held
    file_bytes_max(resource.RLIM_INFINITY)
    journal.settle(an_entry("later"))
    assert len(records(journal.path)) == len(held.rstrip(b"\0").splitlines()) + 1


def test_the_last_room_there_is_serves_a_record_that_just_fits(tmp_path, file_bytes_max):
    journal = Journal.open(tmp_path, "w", clock=FixedClock())
    file_bytes_max(10_000)
    filled(journal)
    assert 10_000 - len(records(journal.path)[0]) <= journal.path.stat().st_size <= 10_000
    journal.close()
    with Drainer(tmp_path) as drainer:
        assert drainer.drain().damaged == 0


def test_a_disk_that_is_broken_is_told_apart_from_a_full_one(journal):
    reading, writing = os.pipe()  # no room can be reserved in a pipe
    kept, journal._file.descriptor = journal._file.descriptor, writing
    with pytest.raises(JournalError, match="can't be written") as caught:
        journal.intend(an_intent())
    assert not isinstance(caught.value, JournalFull)
    journal._file.descriptor = kept
    os.close(reading)
    os.close(writing)
    journal.intend(an_intent())


def test_segments_follow_one_another_and_the_old_ones_are_let_go_at_the_next_sync(tmp_path):
    journal = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    first = journal.path
    for number in range(20):
        journal.settle(an_entry(f"call-{number}"))
    assert journal.path != first
    assert is_locked(first)
    journal.sync()
    assert not is_locked(first)
    assert is_locked(journal.path)
    journal.close()


def test_without_room_for_a_new_file_the_journal_goes_on_in_the_old_one(tmp_path):
    journal = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    blocked = Layout(tmp_path).journal / journal.path.name.replace(".000000.", ".000001.")
    blocked.touch()
    for number in range(10):
        journal.settle(an_entry(f"call-{number}"))
    assert len(records(journal.path)) == 10
    journal.close()


def test_syncing_from_another_thread_while_writing_keeps_every_record(tmp_path):
    journal = SmallJournal.open(tmp_path, "w", clock=FixedClock())
    stop = threading.Event()

    def sync():
        while not stop.is_set():
            journal.sync()

    thread = threading.Thread(target=sync)
    thread.start()
    for number in range(300):
        journal.settle(an_entry(f"call-{number}"))
    stop.set()
    thread.join(10)
    journal.close()
    with Drainer(tmp_path, settings=LedgerSettings()) as drainer:
        assert drainer.drain().posted == 300


def test_a_disk_that_refuses_to_sync_is_told_and_asked_again(journal):
    reading, writing = os.pipe()  # a pipe can't be synced
    kept, journal._file.descriptor = journal._file.descriptor, writing
    journal._is_dirty = True
    with pytest.raises(JournalError):
        journal.sync()
    assert journal._is_dirty
    journal._file.descriptor = kept
    os.close(reading)
    os.close(writing)
    journal.sync()
    assert not journal._is_dirty
