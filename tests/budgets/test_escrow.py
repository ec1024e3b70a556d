"""The whole of escrow against a model: workers that lease, call, crash and drain, as time goes by.

Every step keeps what was promised: what calls have cost and hold is never more than the limit, but
for what a provider charged beyond what was held; at rest nothing is leased, and what is committed is
the sum of the ledger.
"""

from collections import Counter
from pathlib import Path

from budget_samples import NOON_US, SECOND_US, a_budget, a_folder, an_entry
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from farthing.budgets import Purse, Refused, Reservation, SqliteBudgets, Wait
from farthing.call import Attribution
from farthing.ledger import SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch, Checkpoint, Position
from farthing.money import Money

BUDGETS = [
    a_budget("all", 1_000, window="day"),
    a_budget("each", 400, scope="tenant=*", window="hour"),
    a_budget("rolls", 700, window="1h"),
    a_budget("watch", 500, scope="tenant=a", mode="shadow"),
]
ENFORCED = {"all", "each", "rolls"}
TENANTS = [Attribution(tenant="a"), Attribution(tenant="b"), Attribution()]


class Call:
    def __init__(self, call_id, reservation):
        self.id = call_id
        self.reservation = reservation


class Worker:
    """A process: its purse, its journal, and the calls it runs."""

    def __init__(self, run):
        self.run = run
        self.purse = Purse(BUDGETS)
        self.journal = []
        self.calls = []
        self.is_alive = True


class Escrow(RuleBasedStateMachine):
    @initialize(workers=st.integers(1, 3))
    def begin(self, workers):
        self.folder = a_folder()
        directory = Path(self.folder.name)
        self.store = SqliteBudgets(directory)
        self.ledger = SqliteStore(Layout(directory).store)
        self.now_us = NOON_US
        self.posted = []
        self.surprises = Counter()
        self.runs = self.call_count = 0
        self.workers = []
        for _ in range(workers):
            self.a_worker_starts()

    def tend(self, worker, asks):
        worker.purse.apply(asks, self.store.tend(worker.run, asks, self.now_us), self.now_us)

    def living(self, place):
        alive = [worker for worker in self.workers if worker.is_alive]
        return alive[place % len(alive)]

    def running(self, place):
        calls = [(w, c) for w in self.workers if w.is_alive for c in w.calls]
        return calls[place % len(calls)]

    @rule()
    def a_worker_starts(self):
        if sum(worker.is_alive for worker in self.workers) < 3:
            self.runs += 1
            self.workers.append(Worker(f"worker-{self.runs}"))

    @rule(place=st.integers(0, 9), whom=st.sampled_from(TENANTS), worst=st.integers(0, 500))
    def a_call_begins(self, place, whom, worst):
        worker = self.living(place)

        def reserve():
            return worker.purse.reserve(whom, "gpt-4o", Money(worst), self.now_us)

        given = reserve()
        if isinstance(given, Wait):
            self.tend(worker, worker.purse.asks([given], self.now_us))
            given = reserve()
        if isinstance(given, Reservation):
            self.call_count += 1
            worker.calls.append(Call(f"call-{self.call_count}", given))
        elif isinstance(given, Refused):
            assert given.budget in ENFORCED
            assert given.code == "budget_exceeded"
            assert given.spent + given.needed > given.limit
            assert given.shortfall == given.spent + given.reserved + given.needed - given.limit
        else:
            refused = given.busy(self.now_us)
            assert refused.budget in ENFORCED
            told = refused.spent + refused.reserved + refused.needed - refused.limit
            assert refused.shortfall == max(Money(0), told)

    @precondition(lambda self: any(w.is_alive and w.calls for w in self.workers))
    @rule(place=st.integers(0, 99), more=st.integers(0, 200))
    def a_stream_goes_on(self, place, more):
        worker, call = self.running(place)
        before = call.reservation.held
        given = call.reservation.extend(Money(more), self.now_us)
        if isinstance(given, Wait):
            self.tend(worker, worker.purse.asks([given], self.now_us))
            given = call.reservation.extend(Money(more), self.now_us)
        assert call.reservation.held == (before if given is not None else before + Money(more))

    @precondition(lambda self: any(w.is_alive and w.calls for w in self.workers))
    @rule(
        place=st.integers(0, 99), share=st.integers(0, 10), surprise=st.sampled_from([0] * 9 + [70])
    )
    def a_call_ends(self, place, share, surprise):
        worker, call = self.running(place)
        worker.calls.remove(call)
        held = call.reservation.held.nanodollars
        cost = held * share // 10 + (surprise if share == 10 else 0)
        for account in call.reservation.charges:
            self.surprises[account] += max(0, cost - held)
        self.journal(worker, call, cost)
        call.reservation.settle(Money(cost))
        call.reservation.settle(Money(cost))  # whoever settles it again: nothing more happens

    @rule(place=st.integers(0, 9), is_answer_lost=st.booleans())
    def a_worker_tidies_up(self, place, is_answer_lost):
        worker = self.living(place)
        asks = worker.purse.asks([], self.now_us)
        asks += worker.purse.give_back(self.store.wanted(self.now_us))
        asks += worker.purse.tidy(self.now_us)
        if is_answer_lost:
            self.store.tend(worker.run, asks, self.now_us)
            worker.purse.fail(asks)
        else:
            self.tend(worker, asks)

    @precondition(lambda self: sum(w.is_alive for w in self.workers) > 1)
    @rule(place=st.integers(0, 9))
    def a_worker_is_killed(self, place):
        worker = self.living(place)
        worker.is_alive = False
        for call in worker.calls:  # their intents stand
            self.journal(worker, call, call.reservation.held.nanodollars)
        worker.calls = []

    @rule(place=st.integers(0, 9), share=st.integers(1, 3))
    def the_drainer_posts(self, place, share):
        self.drain(self.workers[place % len(self.workers)], share)

    @rule(seconds=st.sampled_from([0, 1, 31, 80, 700, 3600]))
    def time_goes_by(self, seconds):
        self.now_us += seconds * SECOND_US

    @rule(place=st.integers(0, 9), is_drained=st.booleans())
    def a_worker_rests_until_it_forgets_its_accounts(self, place, is_drained):
        worker = self.living(place)
        for call in worker.calls:
            self.journal(worker, call, call.reservation.held.nanodollars // 2)
            call.reservation.settle(Money(call.reservation.held.nanodollars // 2))
        worker.calls = []
        if is_drained:
            self.drain(worker)
        for _ in range(3):
            self.tend(worker, worker.purse.asks([], self.now_us))
            self.tend(worker, worker.purse.tidy(self.now_us))
            self.now_us += 31 * SECOND_US

    def journal(self, worker, call, cost):
        worker.journal.append(an_entry(call.id, cost, call.reservation.charges))

    def drain(self, worker, share=3):
        taken = len(worker.journal) * share // 3
        batch, worker.journal = worker.journal[:taken], worker.journal[taken:]
        checkpoint = Checkpoint(run=worker.run, resume=Position(), read=Position())
        self.ledger.post(Batch(entries=batch, checkpoint=checkpoint))
        self.ledger.post(Batch(entries=batch, checkpoint=checkpoint))  # a drainer that died midway
        self.posted += batch
        if not worker.is_alive and not worker.journal:
            self.ledger.forget([worker.run])
            self.workers.remove(worker)

    def liabilities(self):
        """What calls cost and hold, by account."""
        owed = Counter()
        for entry in [*self.posted, *(e for w in self.workers for e in w.journal)]:
            for account in entry.charges:
                owed[account] += entry.cost.nanodollars
        for worker in self.workers:
            for call in worker.calls:
                for account in call.reservation.charges:
                    owed[account] += call.reservation.held.nanodollars
        return owed

    @invariant()
    def no_limit_is_exceeded_but_by_a_surprise(self):
        owed = self.liabilities()
        rolling = Counter()
        for account in self.store.accounts(self.now_us):
            if account.budget not in ENFORCED:
                continue
            family = (account.budget, account.key) if account.span.rolling_us else account.id
            stands = max(owed[account.id], (account.committed + account.leased).nanodollars)
            rolling[family, account.limit] += stands - self.surprises[account.id]
        assert [sums for (_, limit), sums in rolling.items() if sums > limit.nanodollars] == []

    @invariant()
    def committed_is_the_sum_of_the_ledger(self):
        sums = Counter()
        for entry in self.posted:
            for account in entry.charges:
                sums[account] += entry.cost.nanodollars
        stand = {a.id: a.committed.nanodollars for a in self.store.accounts(0)}
        assert {account: sums[account] for account in stand} == stand

    @invariant()
    def a_purse_never_holds_more_than_its_leases(self):
        for worker in self.workers:
            for holding in worker.purse if worker.is_alive else ():
                held = sum(
                    call.reservation.held.nanodollars
                    for call in worker.calls
                    if holding.id in call.reservation.charges
                )
                assert holding.reserved == held

    def teardown(self):
        if hasattr(self, "folder"):
            try:
                self.come_to_rest()
            finally:
                self.store.close()
                self.ledger.close()
                self.folder.cleanup()

    def come_to_rest(self):
        for worker in list(self.workers):
            for call in worker.calls:
                self.journal(worker, call, call.reservation.held.nanodollars)
                call.reservation.settle(call.reservation.held)
            worker.calls = []
            self.drain(worker)
        for worker in self.workers:
            self.tend(
                worker, worker.purse.give_back_all()
            )  # after it, all that was granted is known
            self.tend(worker, worker.purse.give_back_all())
        assert [account.id for account in self.store.accounts(0) if account.leased] == []
        self.committed_is_the_sum_of_the_ledger()


TestEscrow = Escrow.TestCase
TestEscrow.settings = settings(max_examples=40, stateful_step_count=40)
