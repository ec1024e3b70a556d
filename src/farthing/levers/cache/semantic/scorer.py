"""Scores: how sure we are that the nearest entry's answer fits, from 0 to 1.

Without evidence the score is the cosine, and only comparisons without any doubt may be served.
A namespace with labels fits a small logistic model on them: cosine, how far the nearest entry with
*another* answer is, whether the neighbours agree on the answer, and what the guards doubted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.guards import Comparison

__all__ = ["FEATURES", "Evidence", "Neighbour", "Scorer", "evidence_of", "fit_scorer"]

FEATURES = (
    "cosine",
    "margin to the nearest entry with another answer",
    "share of the neighbours that agree",
    "neighbours' mean cosine with this answer less that with others",
    "words that one side does not say",
    "other doubts",
    "agreeing neighbours",
)
_PENALTY = 1.0
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry near the question: its cosine, and which answer it holds.

    Entries whose answers are interchangeable (equal, or approved by the judge) share an `answer`.
    """

    entry: str
    answer: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The features of one lookup, in the order of FEATURES."""

    features: tuple[float, ...]

    @property
    def cosine(self) -> float:
        """The cosine to the entry that would be served."""
        return self.features[0]

    @property
    def margin(self) -> float:
        """How much nearer it is than the nearest entry with another answer."""
        return self.features[1]


def evidence_of(
    chosen: Neighbour, neighbours: Sequence[Neighbour], comparison: Comparison
) -> Evidence:
    """The features of serving `chosen`, given the nearest `neighbours` (it among them)."""
    like = [one.cosine for one in neighbours if one.answer == chosen.answer]
    others = [one.cosine for one in neighbours if one.answer != chosen.answer]
    farthest = min((one.cosine for one in neighbours), default=0.0)
    margin = chosen.cosine - (max(others) if others else farthest)
    apart = sum(like) / len(like) - (sum(others) / len(others) if others else 0.0)
    words = min(comparison.unmatched_count, 10)
    doubts = sum(finding.guard != "word" for finding in comparison.findings)
    return Evidence(
        (
            chosen.cosine,
            margin,
            len(like) / max(1, len(neighbours)),
            apart,
            words / 10,
            float(doubts),
            math.log1p(len(like)),
        )
    )


@dataclass(frozen=True, slots=True)
class Scorer:
    """A fitted model: score = 1 / (1 + exp(-(bias + weights · features)))."""

    bias: float
    weights: tuple[float, ...]

    @property
    def version(self) -> str:
        """Changes with any weight; certificates are bound to it."""
        text = repr((FEATURES, self.bias, self.weights))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def score(self, evidence: Evidence) -> float:
        """The estimated chance that the answer fits."""
        logit = self.bias + sum(
            weight * feature
            for weight, feature in zip(self.weights, evidence.features, strict=True)
        )
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))


def fit_scorer(labelled: Sequence[tuple[Evidence, bool]]) -> Scorer | None:
    """The logistic model of these labels (True: the answer fits); None where all are alike.

    Weights are held down by a penalty on standardised features, so that few labels suffice.
    """
    numpy = need_numpy("Fitting a scorer")
    rights = sum(fits for _, fits in labelled)
    if rights == 0 or rights == len(labelled):
        return None
    features = numpy.array([evidence.features for evidence, _ in labelled], dtype=float)
    target = numpy.array([fits for _, fits in labelled], dtype=float)
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < 1e-9] = 1.0
    design = numpy.column_stack([numpy.ones(len(target)), (features - centre) / spread])
    penalty = numpy.diag([1e-6] + [_PENALTY] * len(FEATURES))
    weights = numpy.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        chance = 1 / (1 + numpy.exp(-numpy.clip(design @ weights, -40, 40)))
        slope = design.T @ (target - chance) - penalty @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        step = numpy.linalg.solve(curve, slope)
        weights = weights + step
        if float(numpy.abs(step).max()) < 1e-8:
            break
    plain = weights[1:] / spread
    return Scorer(
        bias=float(weights[0] - (plain * centre).sum()),
        weights=tuple(float(weight) for weight in plain),
    )
