"""Scores: how sure we are that the nearest entry's answer fits, from 0 to 1.

Without evidence the score is the cosine, and only comparisons without any doubt may be served.
A namespace with labels fits a small logistic model on them: cosine, how far the nearest entry with
*another* answer is, whether the neighbours agree on the answer, and what the guards doubted.

A guard's veto stands unless these labels say otherwise: where a namespace has seen it often enough
beside answers that were right all the same, its veto becomes one more feature (`outweighed`).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.guards import Comparison

__all__ = [
    "FEATURES",
    "Evidence",
    "Neighbour",
    "Scorer",
    "evidence_from",
    "evidence_of",
    "fit_scorer",
    "is_passed",
]

FEATURES = (
    "cosine",
    "margin to the nearest entry with another answer",
    "share of the neighbours that agree",
    "neighbours' mean cosine with this answer less that with others",
    "words that one side does not say",
    "other doubts",
    "agreeing neighbours",
    "vetoes",
)
_VETO_LABELS = 40  # of a guard's vetoes, before labels may outweigh them
_VETO_RIGHT = 0.5  # share of them that was right all the same, at least
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
    """The features of one lookup, in the order of FEATURES, and the guards that vetoed it."""

    features: tuple[float, ...]
    vetoes: frozenset[str] = frozenset()

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
    return evidence_from(
        chosen.cosine,
        [(one.cosine, one.answer == chosen.answer) for one in neighbours],
        comparison,
    )


def evidence_from(
    cosine: float, neighbours: Sequence[tuple[float, bool]], comparison: Comparison
) -> Evidence:
    """As `evidence_of`, of each neighbour's cosine and whether it holds the chosen answer."""
    like = [near for near, is_like in neighbours if is_like]
    others = [near for near, is_like in neighbours if not is_like]
    farthest = min((near for near, _ in neighbours), default=0.0)
    margin = cosine - (max(others) if others else farthest)
    apart = sum(like) / len(like) - (sum(others) / len(others) if others else 0.0)
    words = min(comparison.unmatched_count, 10)
    doubts = sum(one.guard != "word" and one.kind == "doubt" for one in comparison.findings)
    vetoes = comparison.vetoes
    return Evidence(
        (
            cosine,
            margin,
            len(like) / max(1, len(neighbours)),
            apart,
            words / 10,
            float(doubts),
            math.log1p(len(like)),
            float(len(vetoes)),
        ),
        vetoes,
    )


@dataclass(frozen=True, slots=True)
class Scorer:
    """A fitted model: score = 1 / (1 + exp(-(bias + weights · features))).

    `outweighed` names the guards whose vetoes are a feature here; all others' stand.
    """

    bias: float
    weights: tuple[float, ...]
    outweighed: frozenset[str] = frozenset()

    @property
    def version(self) -> str:
        """Changes with any weight; certificates are bound to it."""
        text = repr((FEATURES, self.bias, self.weights, sorted(self.outweighed)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def score(self, evidence: Evidence) -> float:
        """The estimated chance that the answer fits."""
        logit = self.bias + sum(
            weight * feature
            for weight, feature in zip(self.weights, evidence.features, strict=True)
        )
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))


def is_passed(vetoes: frozenset[str], scorer: Scorer | None, *, is_veto_learnt: bool) -> bool:
    """Whether no veto stands: there is none, or the namespace's labels outweigh them all.

    `is_veto_learnt`: while there is no scorer, what is vetoed is looked at too.
    """
    if not vetoes:
        return True
    return is_veto_learnt if scorer is None else vetoes <= scorer.outweighed


def fit_scorer(labelled: Sequence[tuple[Evidence, bool]]) -> Scorer | None:
    """The logistic model of these labels (True: the answer fits); None where all are alike.

    Weights are held down by a penalty on standardised features, so that few labels suffice.
    """
    numpy = need_numpy("Fitting a scorer")
    outweighed = _outweighed(labelled)
    labelled = [one for one in labelled if one[0].vetoes <= outweighed]
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
        outweighed=outweighed,
    )


def _outweighed(labelled: Sequence[tuple[Evidence, bool]]) -> frozenset[str]:
    """The guards whose vetoes these labels do not bear out."""
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for evidence, fits in labelled:
        seen.update(evidence.vetoes)
        if fits:
            right.update(evidence.vetoes)
    return frozenset(
        guard
        for guard, count in seen.items()
        if count >= _VETO_LABELS and right[guard] >= _VETO_RIGHT * count
    )
