"""How far routing may go for a class of calls: by the pool's mode, and by the evidence.

Where evidence is gathered (`[evidence] mode = "on"`), a share of the calls that a policy serves is
compared with the incumbent's answer, off the caller's path. What is shown to lose quality is served
by the incumbent from then on, whatever the pool's mode. In mode `evidence` a class climbs from
shadow by what is shown; a step of several models, or at another effort, which a shadow can't run,
begins at one per cent.
"""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.evidence import Mode, is_lost
from farthing.gateway.comparing import Comparer, Pairing
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.modes import ModesBoard
from farthing.gateway.route_pool import RoutePool
from farthing.levers.routing.serving import Choice, PoolTerms, Standing, watched_as
from farthing.levers.routing.step import Single

__all__ = ["RouteModes"]

_NO_POLICY: Final = "day-one"


class RouteModes:
    """The modes of all classes at one worker."""

    def __init__(self, comparer: Comparer, board: ModesBoard, *, is_gathering: bool) -> None:
        """`is_gathering`: comparisons are made at all."""
        self._comparer = comparer
        self._board = board
        self._is_gathering = is_gathering

    def terms(self, pool: RoutePool, name: str, standing: Standing | None) -> PoolTerms:
        """The pool as it stands for a class."""
        settings = pool.settings
        terms = PoolTerms(
            name=pool.name,
            incumbent=settings.incumbent,
            mode="shadow" if settings.mode == "evidence" else settings.mode,
            share=settings.canary_share,
        )
        if self._board.is_stopped:
            return _off(terms, "all levers are stopped")
        step = None if standing is None else standing.policy.steps.get(name)
        if standing is None or step is None or not self._is_gathering or settings.mode == "off":
            return terms  # the incumbent's, or nothing is judged
        lever = watched_as(pool.name, standing.floor)
        mode = self._comparer.mode(lever, name, standing.mark)
        if mode is Mode.OFF:
            return _off(terms, f"the evidence is against it for {name}")
        if settings.mode != "evidence":
            return self._unless_lost(terms, lever, name, standing.mark)
        share = mode.share
        if mode is Mode.SHADOW and (not isinstance(step, Single) or step.effort):
            share = Mode.CANARY_1.share
        if share >= 1:
            return msgspec.structs.replace(terms, mode="on")
        return msgspec.structs.replace(terms, mode="canary", share=share) if share else terms

    def on_day_one(self, pool: RoutePool, terms: PoolTerms, name: str) -> PoolTerms:
        """The pool as it stands for what looks like a task of its small model."""
        terms = msgspec.structs.replace(terms, mode=pool.settings.day_one)
        if not self._is_gathering:
            return terms
        return self._unless_lost(terms, watched_as(pool.name, 0.0), name, _NO_POLICY)

    def _unless_lost(self, terms: PoolTerms, lever: str, name: str, version: str) -> PoolTerms:
        """These terms, but off for a class in which that version was shown to lose quality."""
        state = self._board.state(lever, name)
        if state.version == version and is_lost(state):
            return _off(terms, f"{name} was {state.reason}")
        return terms

    def follow(
        self, inbound: Inbound, outcome: Outcome, choice: Choice, pool: RoutePool, served: str
    ) -> Outcome:
        """Let a share of such calls be compared; the outcome is the caller's as it was."""
        incumbent = pool.settings.incumbent
        is_served = choice.arm in ("policy", "day-one")
        candidate = served if is_served else choice.would
        if not self._is_gathering or outcome.status >= 400 or not candidate:
            return outcome
        if not is_served and candidate not in pool.settings.models:
            return outcome  # a step of several models has no shadow
        if is_served and served == incumbent and choice.step == incumbent:
            return outcome
        pairing = Pairing(
            lever=watched_as(pool.name, choice.floor),
            scope=choice.name,
            version=choice.policy or _NO_POLICY,
            candidate=candidate,
            reference=incumbent,
            is_candidate_served=is_served,
        )
        return self._comparer.follow(inbound, outcome, pairing)


def _off(terms: PoolTerms, why: str) -> PoolTerms:
    return msgspec.structs.replace(terms, mode="off", why=why)
