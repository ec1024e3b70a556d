"""The decision for one call: which step serves it, and why. Pure, and well below a millisecond.

Whatever does not fit, is not known or not proven ends at the incumbent, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from farthing.levers.routing.policy import Policy
from farthing.levers.routing.step import Single, Step, describe, models_of
from farthing.levers.routing.task_kinds import OTHER, TRUSTED, Kind

__all__ = [
    "Asked",
    "Choice",
    "PoolTerms",
    "Standing",
    "choose",
    "choose_on_day_one",
    "looks_like",
    "read_choice",
    "share_of",
    "strictest",
    "watched_as",
    "write_choice",
]

_PREFIX: Final = "routing "


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it stands now; `stopped` says why it does not count (empty: it does).

    `mark` is its file's signature, shortened; `floor` what it is certified for.
    """

    policy: Policy
    mark: str
    floor: float
    stopped: str = ""


class PoolTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as it stands: `mode` is off, shadow, canary or on; `share` the canary's.

    `why` tells why it is in that mode, where that was not the configuration's word.
    """

    name: str
    incumbent: str
    mode: str
    share: float = 0.1
    why: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision sees of a call.

    `unit` is who stays on one side of a canary (a session, a user, else the call). `pinned` is the
    model that served this session or tool loop before; `is_in_loop` that the call goes on with a
    tool loop. `is_capped`: the key has escalated too often.
    """

    name: str
    floor: float
    unit: str
    choices: int = 1
    pinned: str = ""
    is_in_loop: bool = False
    is_capped: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What serves a call, and all that is needed to tell why; it stands in the call's entry.

    `arm` is `policy`, `pinned`, `day-one` or `incumbent`; `propensity` the probability with which a call like
    it gets this arm. `would` is the step that was not taken, and `served` the model that answered.
    `escalated`: the cheap answers did not do. `explores`: the step was drawn among several that are
    certified for the class, and `propensity` is that of this step. `scores` are the learned ones
    that the step looked at.
    """

    pool: str
    name: str
    arm: str
    step: str
    reason: str
    propensity: float = 1.0
    policy: str = ""
    floor: float = 0.0
    would: str = ""
    served: str = ""
    asked: tuple[str, ...] = ()
    escalated: bool = False
    explores: bool = False
    scores: dict[str, float] = {}


Draw = Callable[[Sequence[Step]], tuple[Step, float]]


def choose(
    pool: PoolTerms,
    standing: Standing | None,
    asked: Asked,
    unfit: Callable[[str], str],
    draw: Draw | None = None,
) -> tuple[Step, Choice]:
    """The step that serves the call, with the reason.

    `unfit` says why a model can't serve the call; empty: it can. `draw` takes one of several steps
    that are certified for the class, and tells its probability; None: the policy's own serves.
    """
    own = Single(pool.incumbent)
    if standing is None:
        told = f" certified for a floor of {asked.floor:g}" if asked.floor else ""
        return own, _kept(pool, None, asked, f"there is no policy{told}")
    step = standing.policy.steps.get(asked.name)
    why = standing.stopped or _why_not(step, own, asked, unfit)
    would = None if step in (None, own) else step
    if why or step is None:
        why = why or f"the policy does not know the class {asked.name}"
        return own, _kept(pool, standing, asked, why, would=would)
    if pool.mode in ("off", "shadow"):
        told = pool.why or f"routing is in mode {pool.mode}"
        return own, _kept(pool, standing, asked, told, would=would)
    propensity = 1.0
    if pool.mode == "canary":
        propensity = pool.share
        if share_of(standing.mark, asked.unit) >= pool.share:
            kept = _kept(pool, standing, asked, "not among the canary's calls", would=would)
            return own, msgspec.structs.replace(kept, propensity=1 - propensity)
    chosen, choice = _taken(pool, standing, asked, step, propensity)
    if draw is None or choice.arm != "policy" or asked.pinned or asked.is_in_loop:
        return chosen, choice
    return _drawn(standing, asked, step, choice, unfit, draw)


def _drawn(
    standing: Standing,
    asked: Asked,
    own: Step,
    choice: Choice,
    unfit: Callable[[str], str],
    draw: Draw,
) -> tuple[Step, Choice]:
    """One of the steps that the policy certifies for the class, as far as they can serve the call."""
    incumbent = Single(standing.policy.incumbent)
    further = [
        one
        for one in standing.policy.beside(asked.name)
        if one == incumbent or not _why_not(one, incumbent, asked, unfit)
    ]
    if not further:
        return own, choice
    step, probability = draw((own, *further))
    return step, msgspec.structs.replace(
        choice,
        step=describe(step),
        reason="certified" if step == own else "certified, and drawn to learn what it costs",
        propensity=choice.propensity * probability,
        would="" if step == own else describe(own),
        explores=True,
    )


def choose_on_day_one(
    pool: PoolTerms, small: str, asked: Asked, kind: Kind, unfit: Callable[[str], str]
) -> tuple[Step, Choice]:
    """The step while there is no policy: `small` for classification and extraction, in its mode.

    Nothing is certified here: only a floor that the caller does not ask for can be risked.
    """
    own, step = Single(pool.incumbent), Single(small)
    looks = looks_like(kind)
    asked = msgspec.structs.replace(asked, name=looks or asked.name)
    if not looks:
        return own, _kept(pool, None, asked, "there is no policy, and it needs the full model")
    if asked.floor:
        why = f"there is no policy certified for a floor of {asked.floor:g}"
        return own, _kept(pool, None, asked, why, would=step)
    if why := unfit(small):
        return own, _kept(pool, None, asked, f"{small} can't serve it: {why}", would=step)
    if pool.mode != "on":
        why = pool.why or "there is no policy; on the first day the small model only shadows"
        return own, _kept(pool, None, asked, why, would=step)
    return step, Choice(
        pool=pool.name,
        name=asked.name,
        arm="day-one",
        step=describe(step),
        reason="there is no policy; it looks like a task for the small model",
    )


def _why_not(step: Step | None, own: Single, asked: Asked, unfit: Callable[[str], str]) -> str:
    """Why the policy's step can't serve the call; empty: it can."""
    if step is None:
        return f"the policy does not know the class {asked.name}"
    if step == own:
        return "the policy keeps the incumbent for this class"
    for model in models_of(step):
        if why := unfit(model):
            return f"{model} can't serve it: {why}"
    if isinstance(step, Single):
        return ""
    if asked.choices > 1:
        return "several choices were asked for, and they can't be compared"
    return "the key's share of escalated calls is over its cap" if asked.is_capped else ""


def _kept(
    pool: PoolTerms,
    standing: Standing | None,
    asked: Asked,
    reason: str,
    *,
    would: Step | None = None,
) -> Choice:
    """The incumbent, with the reason."""
    return Choice(
        pool=pool.name,
        name=asked.name,
        arm="incumbent",
        step=pool.incumbent,
        reason=reason,
        policy="" if standing is None else standing.mark,
        floor=0.0 if standing is None else standing.floor,
        would="" if would is None else describe(would),
    )


def _taken(
    pool: PoolTerms, standing: Standing, asked: Asked, step: Step, propensity: float
) -> tuple[Step, Choice]:
    """The policy's step, or what the call's session or loop is bound to."""
    chosen, arm, reason = step, "policy", "certified"
    served = {m for one in (step, *standing.policy.beside(asked.name)) for m in models_of(one)}
    if asked.pinned and asked.pinned in {*served, pool.incumbent}:
        if step != Single(asked.pinned):
            chosen, arm = Single(asked.pinned), "pinned"
            reason = "it goes on with the model that began"
    elif asked.is_in_loop and not isinstance(step, Single):
        chosen, arm = Single(pool.incumbent), "incumbent"
        reason = "a tool loop goes on that began elsewhere"
    return chosen, Choice(
        pool=pool.name,
        name=asked.name,
        arm=arm,
        step=describe(chosen),
        reason=reason,
        propensity=propensity,
        policy=standing.mark,
        floor=standing.floor,
        would="" if chosen == step else describe(step),
    )


def share_of(mark: str, unit: str) -> float:
    """Where a unit falls in 0..1: the same for the same policy and unit, at every worker."""
    digest = hashlib.blake2b(f"{mark}\0{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def write_choice(choice: Choice) -> str:
    """A choice as it stands in the ledger."""
    return _PREFIX + msgspec.json.encode(choice).decode()


def looks_like(kind: Kind) -> str:
    """The class of calls that a prompt of this kind is of on the first day; empty: of none."""
    sure = kind.name if kind.probability >= TRUSTED else OTHER
    return "" if sure == OTHER else f"looks: {sure}"


def watched_as(pool: str, floor: float) -> str:
    """The name under which the evidence knows a pool's policies of one certified floor.

    Policies of two floors serve side by side, and each must stand by what was shown of itself.
    """
    return f"routing:{pool}@{floor:g}" if floor else f"routing:{pool}"


def read_choice(detail: str) -> Choice | None:
    """The choice that an entry's detail tells of; None where it tells of none."""
    _, mark, told = detail.partition(_PREFIX)
    if not mark:
        return None
    try:
        return msgspec.json.decode(told, type=Choice)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def strictest(standings: Mapping[str, Standing], floor: float) -> Standing | None:
    """The policy for a floor: the cheapest that is certified for it; for none the strictest."""
    if not standings:
        return None
    if not floor:
        return max(standings.values(), key=lambda one: one.floor)
    fitting = [one for one in standings.values() if one.floor >= floor - 1e-12]
    return min(fitting, key=lambda one: one.floor) if fitting else None
