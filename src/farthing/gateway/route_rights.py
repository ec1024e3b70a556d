"""By what right a stored answer may be given to a routed call: the right by which it would be made.

Where the policy that counts now would serve the call by a step of other models than the incumbent
alone, an answer that the very same step gave before is another of what would come now. The right
is therefore the step itself, with the snapshots that its certificate names (and the policy, where
its scores decide), and nothing else: a
certificate that is void, a stricter floor, evidence against the class, another step or another
snapshot is another right, or none, and what was stored under the old one is not found. The
incumbent's own answers need no right: they are what all others are held against.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

import msgspec

from farthing.call import Attempt, AttemptStatus, Endpoint
from farthing.gateway.route_steps import Known, scores_of
from farthing.levers.routing.step import Ask, Route, Single, Step, decide, models_of

if TYPE_CHECKING:
    from farthing.gateway.inbound import Inbound
    from farthing.gateway.route_account import RouteAccount
    from farthing.gateway.route_board import RouteBoard
    from farthing.gateway.route_pool import RoutePool

__all__ = ["Decided", "Taken", "right_of", "taken_by", "would_ask"]

_SERVING: Final = frozenset({"policy", "day-one"})
_encode = msgspec.json.Encoder(order="deterministic").encode


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """How a call is served by the policy that counts now; its account is booked if it is.

    `unscored` are scores that the step looks at and that an embedder has yet to work out.
    """

    step: Step
    known: Known
    account: RouteAccount
    pool: RoutePool
    unscored: tuple[str, ...] = ()


def right_of(decided: Decided) -> bytes:
    """What stands for the step and its models' snapshots; empty: the incumbent serves."""
    choice, pool = decided.account.choice, decided.pool
    if choice.arm not in _SERVING or decided.step == Single(pool.settings.incumbent):
        return b""
    snapshots: dict[str, str] = {}
    if choice.policy:
        standing = pool.standings.get(choice.policy)
        if standing is None or standing.stopped or standing.policy.certificate is None:
            return b""
        certified = standing.policy.certificate.snapshots
        snapshots = {name: certified.get(name, "") for name in models_of(decided.step)}
    scorer = choice.policy if _goes_by_score(decided.step) else ""
    return hashlib.sha256(_encode((decided.step, snapshots, scorer))).digest()


def _goes_by_score(step: Step) -> bool:
    """Whether a score decides, which another policy may work out otherwise."""
    match step:
        case Single():
            return False
        case Route():
            return True
        case _:
            return _goes_by_score(step.otherwise)


class Taken(msgspec.Struct, frozen=True):
    """The try whose answer a routed call got; `is_own`: the incumbent's, which needs no right."""

    attempt: Attempt
    is_own: bool


def taken_by(decided: Decided, endpoint: Endpoint, board: RouteBoard) -> Taken | None:
    """Whose answer a served call got; None where it may not be given again.

    Raises:
        NoTarget: the model that answered is served nowhere any more.
    """
    served = decided.account.served
    if served is None:
        return None
    good = [a for a in served.account.ended_attempts if a.status is AttemptStatus.OK]
    if not good:
        return None
    attempt = good[-1]
    target = board.targets(served.model, endpoint)[0]
    if (attempt.provider, attempt.model) != (target.provider, target.model):
        return None  # a fallback's, or a budget's downgrade
    if right_of(decided) and not served.note:
        return Taken(attempt, is_own=False)
    is_own = served.model == decided.pool.settings.incumbent and not served.has_voted
    return Taken(attempt, is_own=True) if is_own else None


def would_ask(decided: Decided, board: RouteBoard, inbound: Inbound) -> tuple[tuple[str, str], ...]:
    """The providers and models that the step would ask first for this call.

    Where a score is not known yet these are the cheaper ones, so that nobody claims to save more.

    Raises:
        NoTarget: one of them is served nowhere.
    """
    late = dict.fromkeys(decided.unscored, -math.inf)
    move = decide(decided.step, {}, {**scores_of(inbound), **decided.known.scores, **late})
    models = move.models if isinstance(move, Ask) else ()
    found = (board.targets(model, inbound.call.endpoint)[0] for model in models)
    return tuple((target.provider, target.model) for target in found)
