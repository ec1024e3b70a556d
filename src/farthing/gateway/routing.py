"""The stage of routing: serves a call by the policy that is certified for it, else the incumbent.

The decision is pure and lies in `levers/routing`; here is what it sees, and what it leads to. A
fault of the router never costs a call: the incumbent serves then, and the entry says why.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from fnmatch import fnmatchcase
from functools import partial
from typing import Final

import msgspec

from farthing.call import Endpoint
from farthing.clock import Clock
from farthing.codecs import Demands, demands_of, head_of
from farthing.errors import CallerError
from farthing.gateway.headers import first, telling, text
from farthing.gateway.identify import check_model
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.pricer import Pricer
from farthing.gateway.route_account import RouteAccount, plain_choice
from farthing.gateway.route_board import RouteBoard
from farthing.gateway.route_modes import RouteModes
from farthing.gateway.route_pool import RoutePool
from farthing.gateway.route_rights import Decided, Taken, taken_by, would_ask
from farthing.gateway.route_steps import Known, Served, StepRunner
from farthing.gateway.targets import NoTarget
from farthing.levers.routing.classes import UNKNOWN
from farthing.levers.routing.encoder import CHARACTERS
from farthing.levers.routing.scorer import scores_named
from farthing.levers.routing.serving import Asked, Choice, choose, choose_on_day_one, looks_like
from farthing.levers.routing.step import Single, Step
from farthing.levers.routing.task_kinds import kind_of
from farthing.levers.routing.virtual import PREFIX, Virtual, read_floor

__all__ = ["Routing"]

_LOG = logging.getLogger("farthing")
_ROUTED: Final = frozenset({Endpoint.OPENAI_CHAT, Endpoint.ANTHROPIC_MESSAGES})
_HEAD_CHARACTERS: Final = 400
_DAY_ONE_CHARACTERS: Final = 2000
_HEADER: Final = b"x-farthing-quality"
_MEMO: Final = "routing"
_TOLD_MAX: Final = 500
_STANDS_US: Final = 1_000_000  # how long a decision stands that a cache asked for


class BadFloor(CallerError):
    """The quality that a header asks for is none."""

    code = "invalid_quality"
    status = 400


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a call asks of its pool."""

    pool: RoutePool
    feature: str
    floor: float
    is_granted: bool


class Routing:
    """Serves calls of virtual models, and of incumbents that a pool may override."""

    def __init__(
        self,
        board: RouteBoard,
        pricer: Pricer,
        runner: StepRunner,
        modes: RouteModes,
        clock: Clock,
    ) -> None:
        self._modes = modes
        self._board = board
        self._pricer = pricer
        self._runner = runner
        self._clock = clock

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call by a model of its pool; what falls to no pool passes at once.

        Raises:
            NoPool: it names a pool that is not there.
            ModelNotAllowed: the key may use neither the virtual model nor the incumbent.
            BadFloor: the quality it asks for is none.
        """
        virtual = self._board.find(inbound.call.model)
        if virtual is None:
            return proceed(inbound)
        return self._routed(virtual, inbound, proceed)

    def decide(self, inbound: Inbound) -> Decided | None:
        """How the call would be served now; None: it falls to no pool.

        Raises:
            NoPool, ModelNotAllowed, BadFloor: as when it is served.
        """
        virtual = self._board.find(inbound.call.model)
        return None if virtual is None else self._decide(virtual, inbound)

    def would_ask(self, decided: Decided, inbound: Inbound) -> tuple[tuple[str, str], ...]:
        """The providers and models that would be asked first; none where one is served nowhere."""
        try:
            return would_ask(decided, self._board, inbound)
        except NoTarget:
            return ()

    def taken_by(self, decided: Decided, endpoint: Endpoint) -> Taken | None:
        """Whose answer a served call got; None where it may not be given again."""
        try:
            return taken_by(decided, endpoint, self._board)
        except NoTarget:
            return None

    def _decide(self, virtual: Virtual, inbound: Inbound) -> Decided:
        pool = self._board.pools[virtual.pool]
        incumbent = pool.settings.incumbent
        case = _Case(
            pool=pool,
            feature=virtual.feature or inbound.call.attribution.feature,
            floor=_floor(inbound) or virtual.floor or pool.settings.floor,
            is_granted=_is_granted(inbound),
        )
        if not case.is_granted:
            check_model(inbound.caller.key, incumbent)
        account = RouteAccount(self._board, self._pricer, pool, inbound)
        account.now_us, account.begun_us = self._clock.now_us(), self._clock.monotonic_us()
        step: Step = Single(incumbent)
        known = Known()
        if inbound.call.endpoint not in _ROUTED:
            account.choice = plain_choice(pool, "not for this endpoint")
        else:
            try:
                demands = demands_of(inbound.body)
                step, account.choice = self._decided(case, account, inbound, demands)
                known = self._known(pool, step, account, inbound, demands)
            except Exception as error:  # edge: a router's fault must not cost the call
                _LOG.exception("call %s: the router failed; the incumbent serves", inbound.call.id)
                pool.counts["faults"] += 1
                told = f"the router failed: {type(error).__name__}"
                account.choice = plain_choice(pool, told)
                step = Single(incumbent)
        return Decided(step=step, known=known, account=account, pool=pool)

    async def _routed(self, virtual: Virtual, inbound: Inbound, proceed: Proceed) -> Outcome:
        decided = inbound.routed
        now_us = self._clock.monotonic_us()
        if decided is None or now_us - decided.account.begun_us > _STANDS_US:
            decided = self._decide(virtual, inbound)
        account, pool = decided.account, decided.pool
        incumbent = pool.settings.incumbent
        inbound.settlement.closing += (account.book,)
        served = await self._runner.run(decided.step, incumbent, inbound, proceed, decided.known)
        account.served = served
        _tell(served, account.choice, inbound)
        return self._modes.follow(inbound, served.outcome, account.choice, pool, served.model)

    def _decided(
        self, case: _Case, account: RouteAccount, inbound: Inbound, demands: Demands
    ) -> tuple[Step, Choice]:
        """The step, and why."""
        call, pool = inbound.call, case.pool
        standing = pool.standing(case.floor)
        name = case.feature or UNKNOWN
        if not case.feature and standing is not None:
            classes = pool.classes[standing.mark]
            head = head_of(inbound.body, _HEAD_CHARACTERS) if classes.templates else ""
            name = classes.name(None, head)
        whom = call.attribution
        is_in_loop = call.conversation.step > 0
        account.key = "" if inbound.caller.key is None else inbound.caller.key.id
        account.pin_key = _pin_key(inbound)
        pin = account.pin = pool.pinned(account.pin_key, account.begun_us)
        pinning = pool.settings.pinning
        is_bound = pinning == "session" or (pinning == "loop" and is_in_loop)
        asked = Asked(
            name=name,
            floor=case.floor,
            unit=whom.session or whom.user or call.conversation.last_turn or call.id,
            choices=inbound.view.choices,
            pinned=pin.model if pin is not None and is_bound else "",
            is_in_loop=is_in_loop and pinning != "off",
            is_capped=pool.is_capped(account.key),
        )
        terms = self._modes.terms(pool, name, standing)

        def unfit(model: str) -> str:
            return self._board.unfit(pool, inbound, demands, model, is_granted=case.is_granted)

        small = pool.settings.small
        if standing is None and small and not pool.standings:
            kind = kind_of(head_of(inbound.body, _DAY_ONE_CHARACTERS))
            if terms.mode != "off":
                terms = self._modes.on_day_one(pool, terms, looks_like(kind))
            return choose_on_day_one(terms, small, asked, kind, unfit)
        draw = None
        if standing is not None and pool.settings.explore_share:
            draw = partial(pool.explorer.draw, (standing.mark, name))
        return choose(terms, standing, asked, unfit, draw)

    def _known(
        self,
        pool: RoutePool,
        step: Step,
        account: RouteAccount,
        inbound: Inbound,
        demands: Demands,
    ) -> Known:
        """What the step looks at, and in the choice the scores that it saw."""
        if isinstance(step, Single) or not (names := tuple(scores_named(step))):
            return Known(schema=demands.schema)
        head = head_of(inbound.body, CHARACTERS)
        scores = pool.scores(account.choice.policy, names, head)
        account.choice = msgspec.structs.replace(account.choice, scores=scores)
        return Known(schema=demands.schema, scores=scores)


def _is_granted(inbound: Inbound) -> bool:
    """Whether the key names the virtual model itself, and with it the whole pool."""
    key = inbound.caller.key
    model = inbound.call.model
    if key is None or not key.models:
        return True
    return model.startswith(PREFIX) and any(fnmatchcase(model, name) for name in key.models)


def _floor(inbound: Inbound) -> float:
    """The quality that the request's head asks for; 0 where it asks for none."""
    memo = inbound.caller.memo
    if _MEMO not in memo:
        written = first(inbound.caller.headers, _HEADER)
        try:
            memo[_MEMO] = 0.0 if written is None else read_floor(text(written).strip())
        except ValueError as error:
            raise BadFloor(
                f"x-farthing-quality: {error}. Nothing was sent and nothing was charged. "
                "Write for example 0.98."
            ) from error
    return memo[_MEMO]


def _pin_key(inbound: Inbound) -> tuple[str, ...]:
    """What names a session, or where none is told a tool loop; empty: neither can be told."""
    call = inbound.call
    whom = call.attribution
    if whom.session:
        return (whom.tenant, "session", whom.session)
    talk = call.conversation
    if not talk.last_turn:
        return ()
    return (whom.tenant, "loop", whom.user, talk.last_turn, str(talk.turn))


def _tell(served: Served, choice: Choice, inbound: Inbound) -> None:
    """Say in the answer's head who served, and by what right."""
    outcome = served.outcome
    attempt = inbound.settlement.running  # a stream runs on; its head goes out before it is settled
    if attempt is None and served.has_voted and served.account.ended_attempts:
        attempt = served.account.ended_attempts[-1]
    if attempt is not None:
        named = f"{attempt.provider}/{attempt.model}"
        outcome.headers.append((b"x-farthing-model", telling(named)))
    parts = [
        f"pool={choice.pool}",
        f"class={choice.name}",
        f"served={served.model}",
        f"arm={choice.arm}",
    ]
    if choice.policy:
        parts += [f"policy={choice.policy}", f"floor={choice.floor:g}"]
    why = served.note or ("" if choice.arm == "policy" else choice.reason)
    if why:
        parts.append(f"why={why}")
    told = "".join(c if c.isprintable() else " " for c in "; ".join(parts))[:_TOLD_MAX]
    outcome.headers.append((b"x-farthing-route", told.encode("ascii", "replace")))
