"""A worker's treasurer: it asks the store beside the event loop, and nobody waits without a bound."""

import asyncio
import sqlite3
import threading

import pytest
from budget_samples import NOBODY, SteppingClock, a_budget, an_entry

from farthing.budgets import LEASE_TTL_US, Refused, Reservation, SqliteBudgets, Treasurer
from farthing.clock import SystemClock
from farthing.ledger import SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch, Checkpoint, Position
from farthing.money import Money


class WatchedStore(SqliteBudgets):
    """Counts what it is asked, and notes on which threads."""

    def __init__(self, directory, **given):
        super().__init__(directory, **given)
        self.tended = []
        self.threads = set()
        self.hold = threading.Event()
        self.hold.set()

    def tend(self, holder, asks, now_us):
        self.threads.add(threading.get_ident())
        assert self.hold.wait(10)
        self.tended.append(asks)
        return super().tend(holder, asks, now_us)


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


async def until(is_so):
    """Wait for something that another task or thread does, within a bound."""
    for _ in range(2_000):
        if is_so():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never came to be")


def a_treasurer(store, *budgets, holder="worker-0", wait_s=2.0):
    treasurer = Treasurer(budgets or [a_budget()], store, SystemClock(), holder, wait_s=wait_s)
    treasurer.start()
    return treasurer


def reserve(treasurer, nanodollars):
    return treasurer.reserve(NOBODY, "gpt-4o", Money(nanodollars))


def test_a_call_with_an_empty_lease_waits_for_one_answer_together_with_all_others(tmp_path):
    async def scenario():
        store = WatchedStore(tmp_path)
        treasurer = a_treasurer(store)
        store.hold.clear()
        first = asyncio.create_task(reserve(treasurer, 10))
        await until(lambda: store.threads)
        others = [asyncio.create_task(reserve(treasurer, 10)) for _ in range(50)]
        await asyncio.sleep(0)
        store.hold.set()
        given = await asyncio.gather(first, *others)
        assert all(isinstance(reservation, Reservation) for reservation in given)
        assert len(store.tended) <= 3
        assert threading.get_ident() not in store.threads
        for reservation in given:
            reservation.abandon()
        await treasurer.close()

    run(scenario())


def test_a_call_within_the_lease_never_asks_the_store(tmp_path):
    async def scenario():
        store = WatchedStore(tmp_path)
        treasurer = a_treasurer(store, a_budget(nanodollars=10**9))
        (await reserve(treasurer, 1_000)).abandon()
        asked = len(store.tended)
        for _ in range(1_000):
            reservation = await reserve(treasurer, 1_000)
            reservation.settle(Money(0))
        assert len(store.tended) == asked
        await treasurer.close()

    run(scenario())


def test_a_lease_that_runs_low_is_filled_before_it_is_empty(tmp_path):
    async def scenario():
        store = WatchedStore(tmp_path)
        treasurer = a_treasurer(store, a_budget(nanodollars=10**9))
        held = [await reserve(treasurer, 1_000)]
        asked = len(store.tended)
        for _ in range(60):
            held.append(await reserve(treasurer, 1_000))
            await until(lambda: treasurer.purse.is_awaited or _free(treasurer) >= 1_000)
        assert len(store.tended) > asked
        assert not treasurer.purse.is_awaited
        for reservation in held:
            reservation.abandon()
        await treasurer.close()

    run(scenario())


def _free(treasurer):
    return min(holding.free for holding in treasurer.purse)


def test_waiting_is_bounded_and_ends_in_busy(tmp_path):
    async def scenario():
        store, other = SqliteBudgets(tmp_path), SqliteBudgets(tmp_path)
        holder = a_treasurer(other, holder="worker-1")
        held = await reserve(holder, 900)
        treasurer = a_treasurer(store, wait_s=0.1)
        refused = await reserve(treasurer, 200)
        assert (refused.code, refused.shortfall) == ("budget_busy", Money(100))
        held.abandon()
        await treasurer.close()
        await holder.close()

    run(scenario())


def test_a_waiting_call_gets_what_another_worker_gives_back(tmp_path):
    async def scenario():
        holder = a_treasurer(SqliteBudgets(tmp_path), holder="worker-1")
        held = await reserve(holder, 900)
        treasurer = a_treasurer(SqliteBudgets(tmp_path), wait_s=10)
        waiting = asyncio.create_task(reserve(treasurer, 600))
        await until(lambda: treasurer.purse.is_awaited)
        held.abandon()
        given = await waiting
        assert isinstance(given, Reservation)
        given.abandon()
        await treasurer.close()
        await holder.close()

    run(scenario())


def test_a_waiting_call_gets_what_a_call_of_its_own_worker_leaves(tmp_path):
    async def scenario():
        treasurer = a_treasurer(SqliteBudgets(tmp_path), wait_s=10)
        held = await reserve(treasurer, 900)
        waiting = asyncio.create_task(reserve(treasurer, 600))
        await until(lambda: treasurer.purse.is_awaited)
        held.settle(Money(300))
        assert isinstance(await waiting, Reservation)
        (await reserve(treasurer, 100)).abandon()
        (await waiting).abandon()
        await treasurer.close()

    run(scenario())


def test_a_caller_who_goes_away_while_waiting_leaves_nothing_held(tmp_path):
    async def scenario():
        treasurer = a_treasurer(SqliteBudgets(tmp_path), wait_s=10)
        held = await reserve(treasurer, 900)
        waiting = asyncio.create_task(reserve(treasurer, 600))
        await until(lambda: treasurer.purse.is_awaited)
        held.abandon()
        treasurer._try_again()  # the answer comes ...
        waiting.cancel()  # ... and in the same moment the caller goes
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert isinstance(await reserve(treasurer, 1_000), Reservation)
        await treasurer.close()

    run(scenario())


def test_a_stream_extends_until_the_money_is_gone(tmp_path):
    async def scenario():
        treasurer = a_treasurer(SqliteBudgets(tmp_path), wait_s=0.2)
        stream = await reserve(treasurer, 100)
        for _ in range(9):
            assert await treasurer.extend(stream, Money(100)) is None
        refused = await treasurer.extend(stream, Money(1))
        assert isinstance(refused, Refused)
        assert (refused.needed, stream.held) == (Money(1_001), Money(1_000))
        stream.settle(Money(1_000))
        await treasurer.close()

    run(scenario())


def test_an_extension_that_waits_ahead_of_need_may_outlive_its_call(tmp_path):
    async def scenario():
        other = a_treasurer(SqliteBudgets(tmp_path), holder="worker-1")
        held = await reserve(other, 800)
        treasurer = a_treasurer(SqliteBudgets(tmp_path), wait_s=10)
        stream = await reserve(treasurer, 100)
        ahead = asyncio.create_task(treasurer.extend(stream, Money(500)))
        await until(lambda: treasurer.purse.is_awaited)
        stream.settle(Money(100))
        held.abandon()
        assert await ahead is None
        assert stream.held == Money(0)
        await treasurer.close()
        await other.close()

    run(scenario())


def test_a_store_that_is_away_serves_from_the_lease_and_then_says_busy_with_the_reason(tmp_path):
    async def scenario():
        store = SqliteBudgets(tmp_path, busy_timeout_ms=0)
        treasurer = a_treasurer(store, a_budget(nanodollars=10**6), wait_s=0.3)
        held = await reserve(treasurer, 100)
        blocker = sqlite3.connect(Layout(tmp_path).store, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        assert isinstance(await reserve(treasurer, 100), Reservation)
        refused = await reserve(treasurer, 10**5)
        assert refused.code == "budget_busy"
        assert "database is locked" in refused.detail
        assert "can't be asked" in str(refused)
        blocker.execute("ROLLBACK")
        blocker.close()
        await until(lambda: not treasurer.trouble)
        assert isinstance(await reserve(treasurer, 10**5), Reservation)
        held.abandon()
        await treasurer.close()

    run(scenario())


def test_a_worker_that_ends_gives_back_all_that_is_not_yet_drained(tmp_path):
    async def scenario():
        treasurer = a_treasurer(SqliteBudgets(tmp_path))
        reservation = await reserve(treasurer, 500)
        entry = an_entry("a", 300, reservation.charges)
        reservation.settle(entry.cost)
        await treasurer.close()
        store = SqliteBudgets(tmp_path)
        (account,) = store.accounts(0)
        assert (account.committed, account.leased) == (Money(0), Money(300))
        ledger = SqliteStore(Layout(tmp_path).store)
        place = Checkpoint(run="worker-0", resume=Position(), read=Position())
        ledger.post(Batch(entries=[entry], checkpoint=place))
        (account,) = store.accounts(0)
        assert (account.committed, account.leased) == (Money(300), Money(0))
        ledger.close()
        store.close()

    run(scenario())


def test_calls_that_come_after_the_end_are_refused_at_once(tmp_path):
    async def scenario():
        treasurer = a_treasurer(SqliteBudgets(tmp_path))
        await treasurer.close()
        assert isinstance(await reserve(treasurer, 1), Refused)

    run(scenario())


def test_limits_as_set_reach_the_store_before_the_first_call(tmp_path):
    async def scenario():
        before = a_treasurer(SqliteBudgets(tmp_path), a_budget(nanodollars=5_000))
        (await reserve(before, 10)).abandon()
        await before.close()
        after = a_treasurer(SqliteBudgets(tmp_path), a_budget(nanodollars=100), wait_s=0.2)
        assert isinstance(await reserve(after, 101), Refused)
        await after.replace_budgets([a_budget(nanodollars=200)])
        await until(lambda: after._is_configured)
        given = await reserve(after, 101)
        while isinstance(given, Refused):  # a refusal holds for a second before it asks again
            await asyncio.sleep(0.05)
            given = await reserve(after, 101)
        given.abandon()
        await after.close()

    run(scenario())


def test_a_fault_in_the_store_does_not_end_the_treasurer(tmp_path, caplog):
    class Faulty(SqliteBudgets):
        faults = 1

        def tend(self, holder, asks, now_us):
            if self.faults:
                self.faults -= 1
                raise ValueError("a bug")
            return super().tend(holder, asks, now_us)

    async def scenario():
        treasurer = a_treasurer(Faulty(tmp_path))
        assert isinstance(await reserve(treasurer, 10), Reservation)
        await treasurer.close()

    run(scenario())
    assert "budgets could not be tended" in caplog.text


def test_a_living_worker_keeps_its_lease_however_long_its_call_runs(tmp_path):
    class Beating(SqliteBudgets):
        beats = 0

        def heartbeat(self, holder, now_us):
            super().heartbeat(holder, now_us)
            self.beats += 1

    async def scenario():
        clock = SteppingClock()
        store = Beating(tmp_path)
        treasurer = Treasurer([a_budget()], store, clock, "worker-0")
        treasurer.start()
        running = await reserve(treasurer, 400)
        for beats in (1, 2):
            clock.at_us += LEASE_TTL_US - 1
            await until(lambda beats=beats: store.beats == beats)
        watcher = SqliteBudgets(tmp_path)
        assert watcher.sweep(clock.now_us()) == []
        assert watcher.accounts(0)[0].leased >= Money(400)
        watcher.close()
        running.abandon()
        await treasurer.close()

    run(scenario())


def test_what_running_calls_wait_for_no_new_call_takes(tmp_path):
    async def scenario():
        treasurer = a_treasurer(WatchedStore(tmp_path), a_budget(nanodollars=1_000))
        runs = await reserve(treasurer, 500)
        ends = await reserve(treasurer, 500)
        longer = asyncio.create_task(treasurer.extend(runs, Money(400)))
        await until(lambda: treasurer.purse.is_awaited)
        begins = asyncio.create_task(reserve(treasurer, 400))
        ends.settle(Money(100))  # leaves room for one of the two
        assert await longer is None
        assert not begins.done()
        runs.settle(Money(0))
        assert isinstance(await begins, Reservation)
        (await begins).abandon()
        await treasurer.close()

    run(scenario())


def test_of_streams_that_wait_for_each_other_the_least_gives_way(tmp_path):
    async def scenario():
        treasurer = a_treasurer(WatchedStore(tmp_path), a_budget(nanodollars=1_000), wait_s=30)
        small, large = await reserve(treasurer, 400), await reserve(treasurer, 600)
        of_large = asyncio.create_task(treasurer.extend(large, Money(100)))
        of_small = asyncio.create_task(treasurer.extend(small, Money(100)))
        refused = await of_small
        assert isinstance(refused, Refused)
        assert refused.code == "budget_busy"
        small.settle(Money(100))
        assert await of_large is None
        large.settle(Money(700))
        await treasurer.close()

    run(scenario())


def test_budgets_that_change_meanwhile_are_gone_by(tmp_path):
    async def scenario():
        changes = [[a_budget(nanodollars=100)]]
        treasurer = Treasurer(
            [],
            WatchedStore(tmp_path),
            SystemClock(),
            "worker-0",
            changed=lambda: changes.pop() if changes else None,
        )
        treasurer.start()
        assert not treasurer.purse.has_budgets
        await until(lambda: treasurer.purse.has_budgets)
        assert isinstance(await reserve(treasurer, 101), Refused)
        await treasurer.close()

    run(scenario())
