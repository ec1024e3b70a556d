"""Leases from the store: how large they are, who gets them back, and when."""

import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest
from budget_samples import (
    DAY_US,
    HOUR_US,
    NOON_US,
    SECOND_US,
    Desk,
    SteppingClock,
    a_budget,
    an_entry,
)

from farthing.budgets import LEASE_TTL_US, Reservation
from farthing.call import Attribution
from farthing.ledger import Journal
from farthing.money import Money


def test_leases_shrink_as_the_window_empties(a_desk):
    desk = a_desk(a_budget(nanodollars=100_000))
    leased = []
    while isinstance(desk.reserve(1_000), Reservation):
        leased.append(desk.sums()[1])
    grants = [after - before for before, after in pairwise([0, *leased]) if after > before]
    assert grants[0] == 9_000  # the call, and about eight more
    assert grants[-1] < 9_000
    assert len(leased) == 100  # all of it was of use


def test_remainders_that_are_of_no_use_apart_serve_a_call_together(a_desk):
    first, second = a_desk(a_budget()), a_desk(a_budget(), run="worker-1")
    first.reserve(300)
    second.reserve(300)
    assert first.sums() == (0, 1_000) or first.sums()[1] >= 600
    assert second.reserve(400).code == "budget_busy"
    first.give_back()
    second.give_back()
    second.clock.at_us += SECOND_US // 10
    assert isinstance(second.reserve(400), Reservation)
    assert first.sums() == (0, 1_000)


def test_nobody_is_asked_to_give_back_where_nobody_else_has_a_lease(a_desk):
    desk = a_desk(a_budget())
    desk.reserve(900)
    desk.reserve(200)
    assert desk.store.wanted(desk.clock.now_us()) == set()


def test_an_idle_lease_goes_back_and_the_account_is_forgotten(a_desk, clock):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(100), 60)
    desk.tidy()
    clock.at_us += 31 * SECOND_US
    desk.tidy()
    assert desk.sums() == (60, 0)
    desk.tidy()
    assert list(desk.purse) == []
    assert isinstance(desk.reserve(940), Reservation)
    assert desk.reserve(1).code in {"budget_busy", "budget_exceeded"}


def test_an_account_is_not_forgotten_before_its_calls_are_booked(a_desk, clock):
    desk = a_desk(a_budget())
    entry = desk.settle(desk.reserve(100), 60, is_posted=False)
    for _ in range(4):
        desk.tidy()
        clock.at_us += 31 * SECOND_US
    assert desk.sums() == (0, 60)
    assert len(list(desk.purse)) == 1
    desk.post([entry])
    desk.tidy()
    desk.tidy()
    assert list(desk.purse) == []


def test_a_lease_goes_back_when_its_window_is_over_but_for_what_still_runs(a_desk, clock):
    desk = a_desk(a_budget())
    running = desk.reserve(100)
    clock.at_us += DAY_US
    desk.tidy()
    (yesterday,) = desk.store.accounts(0)
    assert yesterday.leased == Money(100)
    desk.settle(running, 100)


def test_a_lapsed_lease_returns_where_no_journal_is_left(a_desk, tmp_path, clock):
    journal = Journal.open(tmp_path, "worker-9")
    run = journal.path.name.split(".")[0]
    a_desk(a_budget(), run="vanished").reserve(400)
    alive = a_desk(a_budget(), run=run)
    alive.reserve(100)
    assert alive.store.sweep(clock.now_us()) == []  # not lapsed yet
    clock.at_us += LEASE_TTL_US + 1
    assert alive.store.sweep(clock.now_us()) == ["vanished"]
    journal.close()
    # The lease of a run with a journal is the drainer's to return, however late its heartbeat is.
    assert alive.sums()[1] > 0


def test_a_heartbeat_keeps_a_lease(a_desk, clock):
    desk = a_desk(a_budget())
    desk.reserve(400)
    clock.at_us += LEASE_TTL_US - 1
    desk.store.heartbeat(desk.run, clock.now_us())
    clock.at_us += LEASE_TTL_US - 1
    assert desk.store.sweep(clock.now_us()) == []


def test_old_accounts_are_pruned_once_nothing_is_leased(a_desk, clock):
    desk = a_desk(a_budget())
    desk.settle(desk.reserve(100), 100)
    desk.tend(desk.purse.give_back_all())
    clock.at_us += 2 * DAY_US
    open_call = desk.reserve(100)
    assert desk.store.prune(clock.now_us() - DAY_US + HOUR_US) == 1
    assert [a.id for a in desk.store.accounts(0)] == list(open_call.charges)


def test_an_account_that_was_charged_before_it_was_opened_is_not_pruned(a_desk, clock):
    desk = a_desk(a_budget())
    desk.post([an_entry("early", 100, ("team/day 2026-09-01/all",))])
    assert desk.store.prune(clock.now_us() + DAY_US) == 0
    assert desk.reserve(1).charges == ("team/day 2026-09-01/all",)
    assert desk.sums()[0] == 100


def test_accounts_are_listed_by_budget_key_and_time(a_desk):
    desk = a_desk(a_budget("b", scope="tenant=*"), a_budget("a"))
    for tenant in ("y", "x"):
        desk.reserve(10, Attribution(tenant=tenant))
    assert [(a.budget, a.key) for a in desk.store.accounts(NOON_US)] == [
        ("a", "all"),
        ("b", "tenant=x"),
        ("b", "tenant=y"),
    ]
    assert [a.key for a in desk.store.accounts(NOON_US, "b")] == ["tenant=x", "tenant=y"]
    assert desk.store.accounts(NOON_US + DAY_US) == []


def _spend(folder, run, outcomes):
    """One process: calls until the budget has no room for one more."""
    desk = Desk(Path(folder), [a_budget(nanodollars=100_000)], run, SteppingClock())
    booked = 0
    for _ in range(2_000):
        reservation = desk.reserve(700)
        if isinstance(reservation, Reservation):
            booked += desk.settle(reservation, 650).cost.nanodollars
        elif reservation.is_lasting:
            break
        else:
            desk.give_back()
        desk.give_back()
        desk.clock.at_us += 25_000
    desk.tend(desk.purse.give_back_all())
    desk.close()
    outcomes.put(booked)


@pytest.mark.parametrize("processes", [4])
def test_processes_that_race_spend_nearly_all_and_never_a_nanodollar_more(tmp_path, processes):
    context = multiprocessing.get_context("spawn")
    outcomes = context.SimpleQueue()
    workers = [
        context.Process(target=_spend, args=(str(tmp_path), f"worker-{n}", outcomes))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    booked = sum(outcomes.get() for _ in workers)
    desk = Desk(tmp_path, [a_budget(nanodollars=100_000)])
    assert desk.sums() == (booked, 0)
    assert 98_500 <= booked <= 100_000
    desk.close()
