"""How far a lever may go for a feature, by its evidence: a pure state machine.

off -> shadow -> canary 1 % -> 10 % -> 50 % -> on. A lever goes up when it was shown to be safe, and
each canary has to hold for a number of comparisons; harm that is shown takes it down at once: what
served calls goes back to shadow, what was only watched is switched off.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.evidence.verdict import Verdict

__all__ = ["LadderRules", "Mode", "Standing", "State", "begun", "is_lost", "step"]

_UNSAFE: Final = "shown to be unsafe"


class Mode(enum.StrEnum):
    """What a lever may do for a feature."""

    OFF = "off"
    SHADOW = "shadow"  # it decides and is compared; nothing of it is served
    CANARY_1 = "canary-1"
    CANARY_10 = "canary-10"
    CANARY_50 = "canary-50"
    ON = "on"

    @property
    def share(self) -> float:
        """The share of calls that the lever may serve."""
        return _SHARES[self]

    @property
    def rank(self) -> int:
        """Its place on the ladder, from 0."""
        return _ORDER.index(self)


_ORDER: Final = (
    Mode.OFF,
    Mode.SHADOW,
    Mode.CANARY_1,
    Mode.CANARY_10,
    Mode.CANARY_50,
    Mode.ON,
)
_SHARES: Final = MappingProxyType(
    {
        Mode.OFF: 0.0,
        Mode.SHADOW: 0.0,
        Mode.CANARY_1: 0.01,
        Mode.CANARY_10: 0.1,
        Mode.CANARY_50: 0.5,
        Mode.ON: 1.0,
    }
)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a lever stands for a scope (a feature, a class of calls).

    `version` names what is judged (a candidate model, a policy): another one begins anew.
    `generation` counts beginnings, from 1; `watched_from` is the id of the last comparison before
    this one, `mode_from` the last before this mode. `since_us`: microseconds since the epoch, UTC.
    """

    lever: str
    scope: str
    mode: Mode = Mode.SHADOW
    version: str = ""
    generation: int = 1
    watched_from: int = 0
    mode_from: int = 0
    since_us: int = 0
    reason: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence says now: of the generation, and how much of it is of this mode.

    `latest` is the id of the last comparison that was taken into account; `calls_in_mode` about how
    many calls stand behind those of this mode (an estimate, by their sampling probabilities),
    `served_in_mode` how many of them got the lever's answer, whoever let it serve, and
    `worse_in_mode` how many of these a worse one than the reference's.
    """

    verdict: Verdict
    comparisons: int
    in_mode: int
    latest: int
    calls_in_mode: float = 0.0
    served_in_mode: float = 0.0
    worse_in_mode: float = 0.0


class LadderRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long each canary must hold, and how far up the ladder goes by itself."""

    canary_comparisons: int = 50
    mode_most: Mode = Mode.ON


def begun(state: State, version: str, latest: int, now_us: int, mode: Mode = Mode.SHADOW) -> State:
    """The state when `version` is what is judged; another one than before begins in `mode`.

    `latest` is the id of the last comparison there is. A scope that was switched off for one
    version is watched again for the next.
    """
    if state.version == version and state.since_us:
        return state
    before = f" instead of {state.version}" if state.version else ""
    return msgspec.structs.replace(
        state,
        mode=mode,
        version=version,
        generation=state.generation + (1 if state.since_us else 0),
        watched_from=latest,
        mode_from=latest,
        since_us=now_us,
        reason=f"begins with {version or 'what is there'}{before}",
    )


def step(state: State, standing: Standing, rules: LadderRules, now_us: int) -> State:
    """The state after a look at the evidence; the same object where nothing changes."""
    if state.mode is Mode.OFF:
        return state
    if standing.verdict is Verdict.UNSAFE:
        return _down(state, standing, now_us)
    if standing.verdict is not Verdict.SAFE or state.mode is Mode.ON:
        return state
    if state.mode is not Mode.SHADOW and standing.in_mode < rules.canary_comparisons:
        return state
    above = _ORDER[state.mode.rank + 1]
    if above.rank > rules.mode_most.rank:
        return state
    held = f"safe after {standing.comparisons} comparisons"
    if state.mode is not Mode.SHADOW:
        held = f"held for {standing.in_mode} comparisons at {state.mode}"
    return msgspec.structs.replace(
        state, mode=above, mode_from=standing.latest, since_us=now_us, reason=held
    )


def is_lost(state: State) -> bool:
    """Whether the lever was last taken down, for it was shown to lose quality."""
    return state.reason.startswith(_UNSAFE)


def _down(state: State, standing: Standing, now_us: int) -> State:
    is_serving = state.mode.share > 0
    by_mode = standing.calls_in_mode * state.mode.share
    # A routing pool may say itself how far it goes: then more is served than this mode would.
    is_more = standing.served_in_mode > max(2 * by_mode, by_mode + standing.calls_in_mode / 10)
    where = "while its own settings let it serve" if is_more else f"at {state.mode}"
    told = f"{_UNSAFE} after {standing.comparisons} comparisons, {standing.in_mode} of them {where}"
    if is_serving or standing.served_in_mode:
        served = round(standing.served_in_mode or by_mode)
        worse = round(standing.worse_in_mode)
        told += (
            f"; it served about {served:,} calls then, about {worse:,} of them worse (estimates)"
        )
    return msgspec.structs.replace(
        state,
        mode=Mode.SHADOW if is_serving else Mode.OFF,
        generation=state.generation + 1,
        watched_from=standing.latest,
        mode_from=standing.latest,
        since_us=now_us,
        reason=told,
    )
