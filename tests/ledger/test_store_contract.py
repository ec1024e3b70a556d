"""What every store must do; a new store adds a class with its own `store` and `other` fixtures."""

import contextlib
import sqlite3

import msgspec
import pytest
from ledger_samples import NOON_US, an_attempt, an_entry

from farthing.ledger import SqliteStore, StoreError, StoreState
from farthing.ledger.record import CardNote
from farthing.ledger.store import Batch, Checkpoint, Damage, Part, Position

COUNT = "SELECT COUNT(*), SUM(is_final) FROM entries"


class StoreContract:
    def test_a_posted_batch_stands_as_a_whole(self, store):
        checkpoint = Checkpoint(run="w-1", resume=Position(0, 5), read=Position(1, 9))
        batch = Batch(
            entries=[an_entry("a", attempts=(an_attempt(1), an_attempt(2))), an_entry("b")],
            cards=[CardNote("card", msgspec.Raw(b"{}"))],
            damages=[Damage("w-1.000000.jnl", 3, b"?")],
            checkpoint=checkpoint,
        )
        posted = store.post(batch)
        assert ([entry.call_id for entry in posted.entries], posted.rows) == (["a", "b"], 3)
        assert list(store.query(COUNT)) == [(3, 2)]
        assert store.card("card") == b"{}"
        assert store.damages() == 1
        assert store.checkpoints() == {"w-1": checkpoint}

    def test_what_is_not_there_is_none(self, store):
        assert store.card("unknown") is None
        assert store.parts() == []

    def test_the_first_entry_of_a_call_stays_within_and_across_batches(self, store):  # L1, L2
        first = an_entry("a", detail="first")
        assert store.post(Batch(entries=[first, an_entry("a", detail="second")])).entries == (
            first,
        )
        late = an_entry("a", attempts=(an_attempt(1), an_attempt(2)))
        assert store.post(Batch(entries=[late])).entries == ()
        assert list(store.query(COUNT)) == [(1, 1)]

    def test_a_correction_stands_beside_what_it_corrects(self, store):  # L1
        corrected = an_entry("b", corrects="a", attempts=(an_attempt(cost=-5_000),))
        store.post(Batch(entries=[an_entry("a"), corrected]))
        assert list(store.query("SELECT SUM(cost_nanodollars) FROM entries")) == [(0,)]

    def test_checkpoints_are_forgotten_by_run(self, store):
        for run in ("w-1", "w-2"):
            at = Checkpoint(run=run, resume=Position(), read=Position())
            store.post(Batch(damages=[], checkpoint=at))
        store.forget(["w-1"])
        assert list(store.checkpoints()) == ["w-2"]

    def test_sealing_lists_the_part_and_drops_the_rows_of_its_time(self, store):
        store.post(Batch(entries=[an_entry("a"), an_entry("b", started_us=NOON_US + 10)]))
        store.seal(Part("2026-09-01", "part-0.parquet"), NOON_US, NOON_US + 10)
        assert store.parts() == [Part("2026-09-01", "part-0.parquet")]
        assert list(store.query("SELECT call_id FROM entries")) == [("b",)]
        store.seal(None, NOON_US, NOON_US + 11)
        store.drop_days(["2026-09-01"])
        assert (store.parts(), list(store.query(COUNT))) == ([], [(0, None)])

    def test_a_wrong_question_is_an_error_of_the_store(self, store):
        with pytest.raises(StoreError) as caught:
            list(store.query("SELECT nothing FROM nowhere"))
        assert caught.value.state is StoreState.FAILED

    def test_a_snapshot_reads_as_at_its_beginning(self, store, other):
        store.post(Batch(entries=[an_entry("a")]))
        with store.snapshot():
            assert list(store.query(COUNT)) == [(1, 1)]
            other.post(Batch(entries=[an_entry("b")]))
            other.seal(Part("2026-09-01", "part-0.parquet"), NOON_US, NOON_US)
            with store.snapshot():
                assert list(store.query(COUNT)) == [(1, 1)]
            assert store.parts() == []
        assert list(store.query(COUNT)) == [(2, 2)]

    def test_a_closed_store_opens_again(self, store):
        store.post(Batch(entries=[an_entry("a")]))
        store.close()
        store.close()
        assert list(store.query(COUNT)) == [(1, 1)]


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        with contextlib.closing(SqliteStore(tmp_path / "ledger.sqlite")) as made:
            yield made

    @pytest.fixture
    def other(self, tmp_path):
        """A second handle on the same store."""
        with contextlib.closing(SqliteStore(tmp_path / "ledger.sqlite")) as made:
            yield made

    def test_closing_within_a_snapshot_is_harmless(self, store):
        with store.snapshot():
            store.close()

    def test_a_file_of_a_newer_version_is_left_alone(self, store, tmp_path):
        store.close()
        other = sqlite3.connect(tmp_path / "ledger.sqlite")
        other.execute("PRAGMA user_version = 99")
        other.close()
        with pytest.raises(StoreError, match="has ledger format 99"):
            store.checkpoints()

    def test_of_a_transaction_that_fails_nothing_is_kept(self, store):
        class Broken(Exception):
            pass

        def posting():
            with store._transaction() as connection:
                connection.execute("INSERT INTO parts VALUES ('d', 'f')")
                raise Broken

        with pytest.raises(Broken):
            posting()
        assert store.parts() == []
