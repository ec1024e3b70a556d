"""One comparison of a lever's answer with the reference answer, and means over many of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import msgspec

from farthing.money import ZERO, Money, total

__all__ = ["Estimate", "Evidence", "estimate", "evidence_cost", "is_kept"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A lever's answer beside the reference answer to the same call.

    `score` and `reference` are the two answers' qualities, 0 to 1, as `judge` saw them; `cost` is
    what the comparison itself cost: the second answer and the judge. `probability` is that with
    which the call was sampled for comparison. `at_us`: microseconds since the epoch, UTC.
    """

    call: str
    lever: str
    feature: str
    judge: str
    score: float
    reference: float
    probability: float
    at_us: int
    cost: Money = ZERO

    def __post_init__(self) -> None:
        if not (0 <= self.score <= 1 and 0 <= self.reference <= 1):
            raise ValueError(f"scores lie in 0..1, not {self.score} and {self.reference}")
        if not 0 < self.probability <= 1:
            raise ValueError(f"a sampling probability lies in (0, 1], not {self.probability}")

    @property
    def regret(self) -> float:
        """How much quality the lever lost on this call; negative where it won."""
        return self.reference - self.score

    def margin(self, floor: float) -> float:
        """By how much the lever's score is above `floor` times the reference's."""
        return self.score - floor * self.reference


class Estimate(msgspec.Struct, frozen=True):
    """A weighted mean, its standard error, and how many values stand behind it."""

    mean: float
    standard_error: float
    count: int
    effective_count: float


def estimate(values: Sequence[float], probabilities: Sequence[float]) -> Estimate:
    """The mean over all calls from those sampled, each weighted by 1/probability (Hajek).

    `effective_count` is the number of equally weighted values that would tell as much.

    Raises:
        ValueError: no values, or not one probability for each.
    """
    if not values or len(values) != len(probabilities):
        raise ValueError(f"{len(values)} values with {len(probabilities)} probabilities")
    weights = [1 / probability for probability in probabilities]
    whole = math.fsum(weights)
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / whole
    squares = math.fsum((w * (v - mean)) ** 2 for w, v in zip(weights, values, strict=True))
    effective = whole**2 / math.fsum(w * w for w in weights)
    correction = math.sqrt(len(values) / max(1, len(values) - 1))
    return Estimate(mean, correction * math.sqrt(squares) / whole, len(values), effective)


def is_kept(evidence: Evidence, probability: float) -> bool:
    """Whether it stays where all are thinned to one sampling probability, the least of theirs.

    The call's id decides: the same calls stay each time, and each with the same chance.
    """
    drawn = int.from_bytes(hashlib.sha256(evidence.call.encode()).digest()[:8]) / 2**64
    return drawn < probability / evidence.probability


def evidence_cost(evidence: Iterable[Evidence]) -> Money:
    """What the comparisons themselves cost."""
    return total([one.cost for one in evidence])
