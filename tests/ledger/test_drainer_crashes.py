"""Drains, crashes and restarts in any order: every call stands in the ledger exactly once."""

import contextlib
import os
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger_samples import FixedClock, StoredCard, a_folder, an_attempt, an_entry, an_intent

from farthing.ledger import Drainer, Journal, LedgerSettings, SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.row import COLUMNS, entry_of

ROWS = f"SELECT {', '.join(COLUMNS)} FROM entries ORDER BY call_id, attempt"
SMALL = LedgerSettings(busy_timeout_ms=0, batch_kb=64)


class Crash(BaseException):
    """The drainer's process dies here."""


class MortalDrainer(Drainer):
    """A drainer that dies at a given step: before or after a transaction or a deletion."""

    steps_left = 10**9

    def _step(self):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Crash

    def _post(self, batch, tally):
        self._step()
        super()._post(batch, tally)
        self._step()

    def _delete(self, segment):
        self._step()
        super()._delete(segment)
        self._step()


class SmallJournal(Journal):
    def __init__(self, layout, writer, start_us, settings):
        super().__init__(layout, writer, start_us, settings)
        self._segment_bytes = self._rotate_at = 1_500

    def die(self):
        """What kill -9 leaves: nothing synced or closed in order, the locks free."""
        for descriptor in self._retired:
            os.close(descriptor)
        self._file.abandon()
        self._is_closed = True
        self._retired = []


class Ledgers(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = a_folder()
        self.directory = Path(self.folder.name)
        self.clock = FixedClock()
        self.writers = []
        self.open = {}  # call -> writer
        self.expected = {}
        self.drainer = None
        self.count = 0

    @rule()
    @precondition(lambda self: len(self.writers) < 3)
    def start_a_writer(self):
        self.writers.append(SmallJournal.open(self.directory, "w", clock=self.clock))

    @rule(data=st.data())
    @precondition(lambda self: self.writers)
    def dispatch(self, data):
        self.count += 1
        call_id = f"call-{self.count}"
        self.open[call_id] = data.draw(st.sampled_from(self.writers))
        self.intend(an_intent(call_id))

    @rule(data=st.data())
    @precondition(lambda self: self.open)
    def dispatch_again(self, data):
        self.count += 1
        call_id = data.draw(st.sampled_from(sorted(self.open)))
        self.intend(an_intent(call_id, attempts=(an_attempt(self.count),)))

    def intend(self, entry):
        self.open[entry.call_id].intend(entry)
        self.expected[entry.call_id] = entry

    @rule(data=st.data(), tries=st.integers(0, 2))
    @precondition(lambda self: self.open)
    def settle(self, data, tries):
        call_id = data.draw(st.sampled_from(sorted(self.open)))
        entry = an_entry(call_id, attempts=tuple(an_attempt(n) for n in range(tries)))
        writer = self.open.pop(call_id)
        writer.note_card(StoredCard())
        writer.settle(entry)
        self.expected[call_id] = entry

    @rule(data=st.data(), is_torn=st.booleans())
    @precondition(lambda self: self.writers)
    def kill_a_writer(self, data, is_torn):
        writer = data.draw(st.sampled_from(self.writers))
        if is_torn:
            self.tear(writer._file)
        writer.die()
        self.writers.remove(writer)
        self.open = {call: owner for call, owner in self.open.items() if owner is not writer}

    def tear(self, file):
        """Leave what a writer leaves that dies while it copies a record: all but its first byte."""
        os.pwrite(file.descriptor, b"0123abcd{}\n", file.size + 1)

    @rule(data=st.data())
    @precondition(lambda self: self.writers)
    def sync(self, data):
        data.draw(st.sampled_from(self.writers)).sync()

    @rule(steps=st.integers(0, 6) | st.just(10**9))
    def drain_and_perhaps_die(self, steps):
        if self.drainer is None:
            self.drainer = MortalDrainer(self.directory, settings=SMALL, clock=self.clock)
        self.drainer.steps_left = steps
        try:
            self.drainer.drain()
        except Crash:
            self.drainer.close()
            self.drainer = None

    @rule()
    @precondition(lambda self: self.drainer)
    def lock_the_store_during_a_drain(self):
        self.drainer.steps_left = 10**9
        other = SqliteStore(Layout(self.directory).store, busy_timeout_ms=0)
        with contextlib.closing(other), other._transaction():
            self.drainer.drain()

    @invariant()
    def nothing_is_posted_that_was_not_written(self):
        for call_id, entry in self.posted().items():
            assert entry == self.expected[call_id]
            assert call_id not in self.open

    def posted(self):
        path = Layout(self.directory).store
        if not path.exists():
            return {}
        by_call = {}
        with contextlib.closing(SqliteStore(path)) as store:
            for row in store.query(ROWS):
                by_call.setdefault(row[0], []).append(row)
        return {call_id: entry_of(rows) for call_id, rows in by_call.items()}

    def teardown(self):
        for writer in self.writers:
            writer.die()
        if self.drainer is not None:
            self.drainer.close()
        with Drainer(self.directory, settings=SMALL, clock=self.clock) as drainer:
            report = drainer.drain()
            again = drainer.drain()
        assert self.posted() == self.expected
        assert (report.damaged, report.lag_bytes, again.posted) == (0, 0, 0)
        assert Layout(self.directory).segments() == {}
        with contextlib.closing(SqliteStore(Layout(self.directory).store)) as store:
            assert store.checkpoints() == {}
        self.folder.cleanup()


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=40, stateful_step_count=30)
