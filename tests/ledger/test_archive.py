import contextlib
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import (
    DAY_US,
    NOON_US,
    FixedClock,
    a_folder,
    an_attempt,
    an_entry,
    an_intent,
    many_entries,
)

from farthing.errors import FarthingBug
from farthing.ledger import (
    ArchiveError,
    Drainer,
    DrainerBusy,
    Journal,
    Ledger,
    LedgerSettings,
    ReportQuery,
    SqliteStore,
    StoreError,
    StoreState,
)
from farthing.ledger.archive import Archive, ArchiveFailed, day_name, write_parquet
from farthing.ledger.layout import Layout
from farthing.ledger.row import COLUMNS, rows_of
from farthing.ledger.store import Batch

TODAY_US = NOON_US + 30 * DAY_US


def write(directory, *entries):
    journal = Journal.open(directory, "w", clock=FixedClock())
    for entry in entries:
        journal.settle(entry)
    journal.close()


def opened(directory, **changes):
    return Ledger.open(directory, settings=LedgerSettings(**changes), clock=FixedClock())


def test_a_sealed_day_reads_as_before(tmp_path):
    entries = [
        an_entry("a", attempts=(an_attempt(1), an_attempt(2, cost=None))),
        an_entry("b", started_us=NOON_US + DAY_US),
    ]
    write(tmp_path, *entries)
    with opened(tmp_path) as ledger:
        before = ledger.report(ReportQuery(by=("day", "feature"))).document()
        assert ledger.seal(TODAY_US).days == ("2026-09-01", "2026-09-02")
        assert ledger.report(ReportQuery(by=("day", "feature"))).document() == before
        assert list(ledger.entries()) == entries
        assert ledger.call("a") == entries[0]
        assert list(ledger._store.query("SELECT COUNT(*) FROM entries")) == [(0,)]


def test_a_sealed_day_is_plain_parquet_that_others_read(tmp_path):
    write(tmp_path, an_entry("a"))
    with opened(tmp_path) as ledger:
        ledger.seal(TODAY_US)
    with duckdb.connect() as engine:
        found = engine.execute(
            "SELECT day, call_id, cost_nanodollars, tags FROM"
            f" read_parquet('{tmp_path}/archive/*/*.parquet', hive_partitioning=true)"
        ).fetchall()
        codec = engine.execute(
            "SELECT DISTINCT compression FROM"
            f" parquet_metadata('{tmp_path}/archive/day=2026-09-01/part-0.parquet')"
        ).fetchall()
    assert [(str(day), *rest) for day, *rest in found] == [("2026-09-01", "a", 5_000, "{}")]
    assert codec == [("ZSTD",)]


def test_a_late_entry_makes_a_further_part_and_none_counts_twice(tmp_path):
    write(tmp_path, an_entry("a"))
    with opened(tmp_path) as ledger:
        ledger.seal(TODAY_US)
        write(tmp_path, an_entry("late"))
        ledger._store.post(Batch(entries=[an_entry("a")]))  # as a store restored from a copy may
        ledger.seal(TODAY_US)
        assert [part.file for part in ledger._store.parts()] == ["part-0.parquet", "part-1.parquet"]
        assert sorted(entry.call_id for entry in ledger.entries()) == ["a", "late"]
        ledger._store.post(Batch(entries=[an_entry("a")]))
        ledger.seal(TODAY_US)
        assert len(ledger._store.parts()) == 2
        assert ledger.report().calls == 2


def test_what_was_sealed_is_not_posted_again_for_an_older_call_under_way(tmp_path):  # L2
    journal = Journal.open(tmp_path, "live", clock=FixedClock())
    journal.intend(an_intent("open", started_us=NOON_US + DAY_US))
    journal.settle(an_entry("a"))
    with opened(tmp_path) as ledger:
        assert ledger.seal(TODAY_US).days == ("2026-09-01",)
    with opened(tmp_path) as ledger:  # reads the journal again from the open call on
        assert ledger.drained.posted == 0
        assert ledger.report().calls == 1
    journal.close()


def test_days_are_sealed_only_when_old_enough_and_over(tmp_path):
    journal = Journal.open(tmp_path, "live", clock=FixedClock())
    journal.intend(an_intent("open", started_us=NOON_US + DAY_US))
    write(tmp_path, an_entry("a"), an_entry("b", started_us=NOON_US + DAY_US))
    with opened(tmp_path) as ledger:
        assert ledger.seal(NOON_US + DAY_US).days == ()
        assert ledger.seal(TODAY_US).days == ("2026-09-01",)
        journal.settle(an_entry("open", started_us=NOON_US + DAY_US))
        assert ledger.seal(TODAY_US).days == ("2026-09-02",)
        assert ledger.report().calls == 3
    journal.close()


def test_only_the_one_that_drains_may_seal(tmp_path):
    write(tmp_path, an_entry("a"))
    with opened(tmp_path) as ledger, Drainer(tmp_path), pytest.raises(DrainerBusy):
        ledger.seal(TODAY_US)


def test_a_locked_store_seals_nothing(tmp_path):
    write(tmp_path, an_entry("a"))
    with opened(tmp_path, busy_timeout_ms=0) as ledger:
        blocker = SqliteStore(Layout(tmp_path).store)
        write(tmp_path, an_entry("b"))
        with contextlib.closing(blocker), blocker._transaction():
            assert ledger.seal(TODAY_US).days == ()


def test_sealed_days_past_their_retention_are_deleted(tmp_path):
    write(tmp_path, an_entry("a"), an_entry("b", started_us=NOON_US + DAY_US))
    with opened(tmp_path, retention_days=30) as ledger:
        sealed = ledger.seal(TODAY_US + DAY_US)
        assert sealed.deleted == ("2026-09-01",)
        assert [entry.call_id for entry in ledger.entries()] == ["b"]
        assert [p.name for p in Layout(tmp_path).archive.iterdir()] == ["day=2026-09-02"]
        assert ledger.seal(TODAY_US + DAY_US).deleted == ()


def test_without_duckdb_the_rows_stay_and_the_error_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path, an_entry("a"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with opened(tmp_path) as ledger:
        with pytest.raises(ArchiveError, match=r"pip install 'farthing\[archive\]'"):
            ledger.seal(TODAY_US)
        assert ledger.report().calls == 1


def test_a_part_that_cannot_be_read_is_told(tmp_path):
    write(tmp_path, an_entry("a"))
    with opened(tmp_path) as ledger:
        ledger.seal(TODAY_US)
        (Layout(tmp_path).archive / "day=2026-09-01" / "part-0.parquet").write_bytes(b"broken")
        with pytest.raises(ArchiveFailed, match="can't be read"):
            ledger.report()


def test_many_rows_are_written_in_their_order_and_in_groups_of_bounded_size(tmp_path):
    path = tmp_path / "many.parquet"
    (row,) = rows_of(an_entry("a"))
    place = COLUMNS.index("started_us")
    rows = ((*row[:place], NOON_US + n, *row[place + 1 :]) for n in range(45_000))
    assert write_parquet(rows, path)[0] == 45_000
    groups = duckdb.sql(
        f"SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata('{path}')"
    ).fetchall()
    assert sum(count for _, count in groups) == 45_000
    assert max(count for _, count in groups) < 2 * 20_480
    times = [when for (when,) in duckdb.sql(f"SELECT started_us FROM '{path}'").fetchall()]
    assert times == list(range(NOON_US, NOON_US + 45_000))


def test_a_sealed_day_stands_in_the_order_of_its_calls(tmp_path):
    write(tmp_path, *(an_entry(str(n), started_us=NOON_US + n) for n in (3, 1, 2)))
    with opened(tmp_path) as ledger:
        ledger.seal(TODAY_US)
    (part,) = Layout(tmp_path).archive.glob("day=*/part-0.parquet")
    found = duckdb.sql(f"SELECT call_id FROM '{part}'").fetchall()
    assert found == [("1",), ("2",), ("3",)]


def test_a_disk_that_refuses_the_archive_is_told_and_nothing_dropped(tmp_path):
    write(tmp_path, an_entry("a"))
    Layout(tmp_path).archive.write_text("a file in the way")
    with opened(tmp_path) as ledger:
        with pytest.raises(ArchiveFailed, match="Nothing was dropped"):
            ledger.seal(TODAY_US)
        assert ledger.report().calls == 1


def test_a_part_that_does_not_hold_what_it_should_drops_nothing(tmp_path):
    class Forgetful(Archive):
        def _query(self, parts, sql, parameters=()):
            for row in super()._query(parts, sql, parameters):
                yield (row[0] + 1, *row[1:])

    store = SqliteStore(Path(":memory:"))
    store.post(Batch(entries=[an_entry("a")]))
    with pytest.raises(FarthingBug, match="does not hold"):
        Forgetful(tmp_path, store).seal(NOON_US - NOON_US % DAY_US)
    assert list(store.query("SELECT COUNT(*) FROM entries")) == [(1,)]
    store.close()


class DyingStore(SqliteStore):
    """A store whose process dies around the transaction that seals."""

    dies_before = dies_after = False

    def seal(self, part, since_us, until_us):
        if self.dies_before:
            raise StoreError(StoreState.FAILED, "killed")
        super().seal(part, since_us, until_us)
        if self.dies_after:
            raise StoreError(StoreState.FAILED, "killed")


@pytest.mark.parametrize("moment", ["dies_before", "dies_after"])
def test_killed_while_sealing_every_row_is_read_exactly_once(tmp_path, moment):
    store = DyingStore(Path(":memory:"))
    store.post(Batch(entries=[an_entry("a"), an_entry("b")]))
    archive = Archive(tmp_path, store)
    day_us = NOON_US - NOON_US % DAY_US
    setattr(store, moment, True)
    with pytest.raises(StoreError):
        archive.seal(day_us)
    setattr(store, moment, False)
    sql = "SELECT call_id FROM entries"
    assert sorted([*store.query(sql), *archive.query(sql)]) == [("a",), ("b",)]
    archive.seal(day_us)
    assert sorted(archive.query(sql)) == [("a",), ("b",)]
    assert list(store.query(sql)) == []
    store.close()


@settings(max_examples=5)
@given(many_entries, st.integers(0, 3))
def test_whatever_is_sealed_reads_back_equal(entries, days):  # L1
    with a_folder() as name:
        store = SqliteStore(Path(name) / "ledger.sqlite")
        store.post(Batch(entries=entries))
        ledger = Ledger(Path(name), LedgerSettings(), store)
        with contextlib.closing(store):
            first_us = NOON_US - NOON_US % DAY_US - 3 * DAY_US
            query = ReportQuery(by=("feature", "provider", "tag:team"))
            before = ledger.report(query).document()
            for day in range(days):
                ledger._archive.seal(first_us + day * DAY_US)
            by_id = {entry.call_id: entry for entry in ledger.entries()}
            assert by_id == {entry.call_id: entry for entry in entries}
            assert ledger.report(query).document() == before


def test_a_day_is_named_in_utc():
    assert day_name(NOON_US) == "2026-09-01"
