"""Charging entries to accounts, in the transaction that posts them."""

import sqlite3

import pytest
from budget_samples import DAY_US, HOUR_US, a_budget, an_entry

from farthing.ledger import Drainer, Journal, SqliteStore, StoreError
from farthing.ledger.store import Batch
from farthing.money import Money


def test_a_jump_over_several_thresholds_tells_each_once(a_desk):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(900), 850)
    assert desk.events() == [(50, 850, 1_000, "day 2026-09-01"), (80, 850, 1_000, "day 2026-09-01")]
    desk.settle(desk.reserve(100), 100)
    assert len(desk.events()) == 2
    desk.settle(desk.reserve(50), 50)
    assert [threshold for threshold, *_ in desk.events()] == [50, 80, 100]


def test_a_threshold_is_reached_at_exactly_its_share(a_desk):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(499), 499)
    assert desk.events() == []
    desk.settle(desk.reserve(1), 1)
    assert [threshold for threshold, *_ in desk.events()] == [50]


def test_a_correction_that_goes_back_over_a_threshold_does_not_tell_it_again(a_desk):
    desk = a_desk(a_budget())
    entry = desk.settle(desk.reserve(500), 500)
    desk.ledger.post(Batch(entries=[an_entry("correction", -200, entry.charges)]))
    assert desk.account().committed == Money(300)
    desk.settle(desk.reserve(300), 300)
    assert [threshold for threshold, *_ in desk.events()] == [50]


def test_each_window_tells_its_thresholds_anew(a_desk, clock):
    desk = a_desk(a_budget(thresholds=(50,)))
    desk.settle(desk.reserve(600), 600)
    clock.at_us += DAY_US
    desk.settle(desk.reserve(600), 600)
    assert [window for *_, window in desk.events()] == ["day 2026-09-01", "day 2026-09-02"]


def test_a_rolling_window_tells_a_threshold_again_only_after_its_whole_length(a_desk, clock):
    desk = a_desk(a_budget(window="24h", thresholds=(50,)))
    desk.settle(desk.reserve(600), 600)
    for _ in range(6):
        clock.at_us += 4 * HOUR_US
        desk.settle(desk.reserve(10), 10)
    assert len(desk.events()) == 1
    clock.at_us += 4 * HOUR_US
    desk.settle(desk.reserve(500), 500)
    assert len(desk.events()) == 2


def test_a_rolling_window_adds_up_its_buckets(a_desk, clock):
    desk = a_desk(a_budget(window="24h", thresholds=(50,)))
    for _ in range(5):
        desk.settle(desk.reserve(100), 100)
        clock.at_us += HOUR_US
    assert [(threshold, spent) for threshold, spent, *_ in desk.events()] == [(50, 500)]


def test_a_late_entry_of_a_rolling_window_meets_what_was_spent_since(a_desk, clock):
    desk = a_desk(a_budget(window="24h", thresholds=(50,)))
    late = desk.reserve(300)
    clock.at_us += HOUR_US
    desk.settle(desk.reserve(300), 300)
    desk.settle(late, 300)
    assert [(threshold, spent) for threshold, spent, *_ in desk.events()] == [(50, 600)]


def test_the_keys_of_one_budget_tell_their_own_thresholds(a_desk):
    desk = a_desk(a_budget(scope="model=*", thresholds=(50,)))
    desk.settle(desk.reserve(600, model="gpt-4o"), 600)
    desk.settle(desk.reserve(600, model="gpt-4o-mini"), 600)
    keys = desk.ledger.query('SELECT "key" FROM budget_events ORDER BY id')
    assert [key for (key,) in keys] == ["model=gpt-4o", "model=gpt-4o-mini"]


def test_an_entry_for_an_account_that_the_store_lost_is_charged_all_the_same(a_desk):
    lost = a_desk(a_budget())
    named = lost.reserve(10).charges
    fresh = SqliteStore(lost.store._layout.directory / "other.sqlite")
    fresh.post(Batch(entries=[an_entry("kept", 700, named)]))
    rows = list(fresh.query('SELECT budget, "key", "window", committed FROM budget_accounts'))
    fresh.close()
    assert rows == [("team", "all", "day 2026-09-01", 700)]


def test_a_lost_accounts_spending_counts_once_its_budget_is_opened(a_desk):
    desk = a_desk(a_budget())
    desk.ledger.post(Batch(entries=[an_entry("kept", 700, ["team/day 2026-09-01/all"])]))
    refused = desk.reserve(301)
    assert (refused.code, refused.spent, refused.limit) == (
        "budget_exceeded",
        Money(700),
        Money(1_000),
    )


def test_a_ledger_of_the_format_before_budgets_is_brought_up(tmp_path):
    path = tmp_path / "ledger.sqlite"
    store = SqliteStore(path)
    store.post(Batch(entries=[an_entry("old", 5, ())]))
    store.close()
    with sqlite3.connect(path) as older:
        for table in ("budget_accounts", "budget_leases", "budget_events"):
            older.execute(f"DROP TABLE {table}")
        for table in ("rollups", "rolled_latencies", "rollups_given_up"):
            older.execute(f"DROP TABLE {table}")
        older.execute("DROP INDEX entries_moved")
        older.execute("PRAGMA user_version = 1")
    older.close()
    store.post(Batch(entries=[an_entry("new", 5, ["team/day 2026-09-01/all"])]))
    assert list(store.query("SELECT call_id FROM entries ORDER BY call_id")) == [
        ("new",),
        ("old",),
    ]
    assert list(store.query("SELECT SUM(sum_0) FROM rollups")) == [(2,)]  # calls
    store.close()


def test_charges_survive_the_journal_and_a_crash(tmp_path, a_desk):
    journal = Journal.open(tmp_path, "worker-0")
    run = journal.path.name.rpartition(".")[0].rpartition(".")[0]
    desk = a_desk(a_budget(), run=run)
    settled, cut = desk.reserve(200), desk.reserve(300)
    journal.intend(an_entry("a", 200, settled.charges))
    journal.intend(an_entry("b", 300, cut.charges))
    journal.settle(an_entry("a", 150, settled.charges))
    with Drainer(tmp_path) as drainer:
        drainer.drain()
        assert desk.sums()[0] == 150
        assert desk.sums()[1] > 0  # it lives: what it leased stays its own
        journal.close()
        drainer.drain()
    assert desk.sums() == (450, 0)


def test_a_batch_that_fails_charges_nothing(a_desk):
    desk = a_desk(a_budget())
    named = desk.reserve(10).charges
    blocker = sqlite3.connect(desk.store._layout.store, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    impatient = SqliteStore(desk.store._layout.store, busy_timeout_ms=0)
    with pytest.raises(StoreError):
        impatient.post(Batch(entries=[an_entry("a", 100, named)]))
    blocker.execute("ROLLBACK")
    blocker.close()
    impatient.close()
    assert desk.sums()[0] == 0
