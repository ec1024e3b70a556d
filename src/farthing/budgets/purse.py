"""A worker's money in memory: calls reserve, extend and settle here, without asking the store.

All of it happens on one thread, the event loop's, and none of it waits. What a call needs and its
worker has not leased is a `Wait`; a `Treasurer` asks the store for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from farthing.budgets.account import account_id, check_names
from farthing.budgets.holding import UNKNOWN, Holding
from farthing.budgets.refusal import Refused
from farthing.budgets.scope import Scope, reader
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.store import Ask, Grant
from farthing.budgets.wait import Wait
from farthing.budgets.window import FOREVER_US, Window
from farthing.call import Attribution
from farthing.money import Money

__all__ = ["Purse", "Reservation", "Wait"]

_MATCHES_MAX: Final = 10_000
_ENDED: Final = -1
_SEVERITY: Final = ("block", "throttle", "downgrade", "notify")


def _nobody() -> None:
    pass


class _Line:
    """A budget as it is looked up."""

    __slots__ = ("budget", "scope", "window")

    def __init__(self, budget: BudgetSettings) -> None:
        self.budget = budget
        self.scope = Scope.parse(budget.scope)
        self.window = Window.parse(budget.window, budget.timezone)


class _Match:
    """The accounts of calls that are alike, until the first of their spans ends."""

    __slots__ = ("charges", "enforced", "holdings", "lenient", "told", "until_us")

    def __init__(self, holdings: Sequence[Holding], until_us: int) -> None:
        self.holdings = tuple(holdings)
        self.enforced = tuple(h for h in holdings if h.budget.is_enforced)
        self.lenient = tuple(h for h in holdings if not h.budget.is_enforced)
        self.told = tuple(h for h in holdings if h.budget.mode == "on")
        self.charges = tuple(h.id for h in holdings)
        self.until_us = until_us

    def pin(self, calls: int) -> None:
        """Keep the holdings for calls that run on them and hold nothing."""
        for holding in self.holdings:
            holding.pins += calls


class Reservation:
    """What one running call holds on all its accounts; not shared between tasks.

    `overlooked` are the refusals that budgets in shadow mode, or that only notify, would have given.
    """

    __slots__ = ("_held", "_match", "_purse", "overlooked")

    def __init__(self, purse: Purse, match: _Match, held: int) -> None:
        self._purse = purse
        self._match = match
        self._held = held
        self.overlooked: tuple[Refused, ...] = ()

    @property
    def charges(self) -> tuple[str, ...]:
        """The ids of the accounts to charge, for `Entry.charges`."""
        return self._match.charges

    @property
    def held(self) -> Money:
        """What the call may spend; zero once it is settled."""
        return Money(max(0, self._held))

    @property
    def remaining(self) -> Money | None:
        """What is left of the tightest of its budgets, as far as is known here; None: unknown."""
        tightest = UNKNOWN
        for holding in self._match.told:
            left = holding.left - holding.spent
            if left < tightest:  # noqa: PLR1730 - on each answer, a third of what min() takes
                tightest = left
        return None if tightest >= UNKNOWN // 2 else Money(max(0, tightest))

    @property
    def is_enforced(self) -> bool:
        """Whether any of its budgets holds calls back."""
        return bool(self._match.enforced)

    @property
    def is_ended(self) -> bool:
        """Whether it was settled or abandoned."""
        return self._held < 0

    def extend(self, more: Money, now_us: int) -> Refused | Wait | None:
        """Hold `more` on all accounts, or change nothing; None: it is held.

        Raises:
            ValueError: the reservation has ended.
        """
        if self._held < 0:
            raise ValueError("a reservation that has ended can't be extended")
        given = self._purse.extend_match(self._match, self._held, more.nanodollars, now_us)
        if given is not None:
            return given
        if not self._held and more:
            self._match.pin(-1)
        self._held += more.nanodollars
        if self._match.lenient and not self.overlooked:
            self.overlooked = self._purse.overlook(self._match, self._held, now_us)
        return None

    def settle(self, actual: Money) -> None:
        """The call cost `actual`, the cost of its entry; what it held beyond that is free again.

        More than was held is booked in full. A second settlement does nothing.
        """
        held = self._held
        if held < 0:
            return
        self._held = _ENDED
        cost = actual.nanodollars
        back = held - cost
        if not held:
            self._match.pin(-1)
        for holding in self._match.holdings:
            holding.free += back
            holding.spent += cost
        if self._match.lenient:
            self._purse.let_pass(self._match, self.overlooked, cost)
        self._purse.settled(self._match, back)

    def abandon(self) -> None:
        """Nothing was sent: all that was held is free again."""
        self.settle(Money(0))


class Purse:
    """The leases of one worker and what its calls hold of them.

    `on_hungry` is called when the store should be asked soon. `overlooked` counts by budget the
    calls that would have been refused, were it enforced; `passed` by account the calls of those
    that ended, and their cost, until somebody takes it; `overruns` the calls that cost more than
    they held. Where it does not `has_budgets`, no call need be asked for.
    """

    def __init__(
        self, budgets: Sequence[BudgetSettings] = (), *, on_hungry: Callable[[], None] = _nobody
    ) -> None:
        """Raises ConfigError: two budgets bear one name."""
        self.on_hungry = on_hungry
        self.is_awaited = False
        self.overlooked: Counter[str] = Counter()
        self.passed: dict[str, tuple[int, int]] = {}
        self.overruns = self.settlements = 0
        self._holdings: dict[str, Holding] = {}
        self._latest: dict[tuple[str, str], Holding] = {}
        self._over: list[Holding] = []  # their spans are over; what is free serves the next ones
        self._hungry: set[Holding] = set()
        self._matches: dict[object, _Match] = {}
        self.replace_budgets(budgets)

    def replace_budgets(self, budgets: Sequence[BudgetSettings]) -> None:
        """Go by these budgets from now on; running calls keep their accounts.

        Raises:
            ConfigError: two budgets bear one name.
        """
        check_names(budgets)
        self._lines = [_Line(budget) for budget in budgets if budget.mode != "off"]
        self.has_budgets = bool(self._lines)
        self._facts = reader(frozenset(d for line in self._lines for d in line.scope.dimensions))
        self._matches.clear()
        known = {line.budget.name: line.budget for line in self._lines}
        for holding in self._holdings.values():
            holding.budget = known.get(holding.budget.name, holding.budget)

    def reserve(
        self, attribution: Attribution, model: str, worst: Money, now_us: int
    ) -> Reservation | Refused | Wait:
        """Hold `worst`, the most the call can cost, on all its accounts, or on none.

        `model` is the name that `model=` in a scope compares with.
        """
        match = self._matches.get(self._facts(attribution, model))
        if match is None or now_us >= match.until_us:
            match = self._match(attribution, model, now_us)
        needed = worst.nanodollars
        for holding in match.enforced:
            if holding.free < needed + holding.owed:
                return self._short(match, 0, needed, now_us)
        for holding in match.holdings:
            holding.free = free = holding.free - needed
            if free < holding.low:
                self._starve(holding)
        if not needed:
            match.pin(1)
        reservation = Reservation(self, match, needed)
        if match.lenient:
            reservation.overlooked = self.overlook(match, needed, now_us)
        return reservation

    def extend_match(
        self, match: _Match, held: int, more: int, now_us: int
    ) -> Refused | Wait | None:
        """Hold `more` for a call that holds `held`; see `Reservation.extend`."""
        for holding in match.enforced:
            if holding.free < more:
                return self._short(match, held, more, now_us)
        for holding in match.holdings:
            holding.free -= more
            if holding.free < holding.low:
                self._starve(holding)
        return None

    def settled(self, match: _Match, back: int) -> None:
        """A call on these accounts ended and gave back so much; less than nothing: an overrun."""
        self.settlements += 1
        if back < 0:
            self.overruns += 1
            for holding in match.holdings:
                if holding.free < 0:
                    self._starve(holding)
        elif self.is_awaited:
            self.on_hungry()

    def overlook(self, match: _Match, needed: int, now_us: int) -> tuple[Refused, ...]:
        """What the budgets that are not enforced would have said; counted by budget."""
        refused: list[Refused] = []
        for holding in match.lenient:
            if holding.free >= 0:
                continue
            if not holding.is_fresh(now_us):
                self._starve(holding)
            if holding.exceeds(needed, now_us) or needed > holding.limit:
                self.overlooked[holding.budget.name] += 1
                refused.append(holding.refusal(needed, now_us))
        return tuple(refused)

    def let_pass(self, match: _Match, refusals: Sequence[Refused], cost: int) -> None:
        """Count a call that ended, where a budget that is not enforced would have refused it.

        Some of that is known only now: what other workers spent meanwhile.
        """
        if not cost:
            return
        known = {refused.budget for refused in refusals}
        for holding in match.lenient:
            if holding.budget.name in known or holding.spent_by_all > holding.limit:
                calls, before = self.passed.get(holding.id, (0, 0))
                self.passed[holding.id] = (calls + 1, before + cost)

    def asks(self, waits: Iterable[Wait], now_us: int) -> list[Ask]:
        """What to ask the store for: what calls wait for, and what runs low."""
        least: dict[Holding, int] = {}
        total: dict[Holding, int] = {}
        for wait in waits:
            for holding in wait.holdings:
                if holding.may_ask(wait.needed, now_us):
                    least[holding] = min(least.get(holding, wait.needed), wait.needed)
                    total[holding] = total.get(holding, 0) + wait.needed
        for holding in self._hungry:
            least.setdefault(holding, 0)
        self._hungry.clear()
        over, self._over = self._over, []
        return [holding.end() for holding in over] + [
            holding.refill(least[holding], total.get(holding, 0)) for holding in least
        ]

    def tidy(self, now_us: int) -> list[Ask]:
        """What to give back because nobody here uses it; holdings that are done are forgotten."""
        asks = [holding.tidy(now_us) for holding in self._holdings.values()]
        done = [holding for holding in self._holdings.values() if holding.is_done]
        for holding in done:
            del self._holdings[holding.id]
            if self._latest.get((holding.budget.name, holding.key)) is holding:
                del self._latest[holding.budget.name, holding.key]
        if done:
            self._matches.clear()
        return [ask for ask in asks if ask is not None]

    def give_back(self, wanted: set[tuple[str, str]]) -> list[Ask]:
        """Everything free of the budgets and keys for whose money somebody else waits."""
        if not wanted:
            return []
        asks = [
            holding.give_back()
            for holding in self._holdings.values()
            if (holding.budget.name, holding.key) in wanted
        ]
        return [ask for ask in asks if ask is not None]

    def give_back_all(self) -> list[Ask]:
        """Everything free: the worker ends, or the limits were changed."""
        return [holding.end() for holding in self._holdings.values()]

    def apply(self, asks: Sequence[Ask], grants: Sequence[Grant], now_us: int) -> None:
        """Take in the store's answers."""
        for ask, grant in zip(asks, grants, strict=True):
            holding = self._holdings.get(grant.id)
            if holding is not None:
                holding.apply(grant, ask, now_us)

    def fail(self, asks: Sequence[Ask]) -> None:
        """The store did not answer, and may or may not have done it: ask again, when it is back."""
        for ask in asks:
            holding = self._holdings.get(ask.id)
            if holding is not None:
                holding.is_hungry = True
                self._hungry.add(holding)

    @property
    def is_used(self) -> bool:
        """Whether there is anything to tend."""
        return self.has_budgets or bool(self._holdings)

    def __iter__(self) -> Iterator[Holding]:
        """All holdings."""
        return iter(self._holdings.values())

    def _match(self, attribution: Attribution, model: str, now_us: int) -> _Match:
        holdings: list[Holding] = []
        until_us = FOREVER_US
        for line in self._lines:
            key = line.scope.key(attribution, model)
            if key is None:
                continue
            span = line.window.at(now_us)
            until_us = min(until_us, span.end_us)
            named = account_id(line.budget.name, key, span)
            holding = self._holdings.get(named)
            if holding is None:
                holding = self._opened(Holding(line.budget, key, span))
            holdings.append(holding)
        match = _Match(holdings, until_us)
        if len(self._matches) >= _MATCHES_MAX:
            self._matches.clear()
        self._matches[self._facts(attribution, model)] = match
        return match

    def _opened(self, holding: Holding) -> Holding:
        """Take up a new holding; the one of the span before goes out of use."""
        self._holdings[holding.id] = holding
        place = (holding.budget.name, holding.key)
        before = self._latest.get(place)
        if before is not None:
            self._over.append(before)
        self._latest[place] = holding
        return holding

    def _short(self, match: _Match, held: int, needed: int, now_us: int) -> Refused | Wait:
        lacking = tuple(h for h in match.enforced if h.free < needed + (0 if held else h.owed))
        spent = [h for h in lacking if h.exceeds(held + needed, now_us)]
        if not spent:
            return Wait(lacking, needed, held)
        worst = min(spent, key=lambda h: _SEVERITY.index(h.budget.at_limit))
        return worst.refusal(held + needed, now_us, held=held)

    def _starve(self, holding: Holding) -> None:
        """Ask the store for more before the holding runs out."""
        if not holding.is_hungry:
            holding.is_hungry = True
            self._hungry.add(holding)
            self.on_hungry()
