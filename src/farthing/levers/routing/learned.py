"""Learns scores of calls from selection labels: ridge regression on an encoder's features.

The labels that a score is fitted on are scored by fits that have not seen them (five folds), so
that the ladder is not flattered by what was learnt by heart; all other prompts, those that certify
among them, by the fit on all selection labels, which is also what serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import numpy as np

from farthing.levers.routing.encoder import Encoder, identity_of, probe_of
from farthing.levers.routing.scorer import Scorer, scorer_of
from farthing.levers.routing.step import Route, Step, alone
from farthing.levers.routing.table import Bools, Floats, Ints, Table

__all__ = ["Learned", "Reader", "learn"]

_FOLDS: Final = 5
_RIDGES: Final = (0.3, 1.0, 3.0, 10.0, 30.0)
_QUANTILES: Final = (0.4, 0.6, 0.8)  # of calls that go to the cheaper model; more is chosen by luck
_CHEAPER_MOST: Final = 2  # models that are tried as the cheaper one
_LABELS_LEAST: Final = 200  # below it nothing is learnt that would hold


@dataclass(frozen=True, slots=True)
class Learned:
    """`steps` that look at a score, each score's value for every prompt, and what serves it."""

    steps: tuple[Step, ...]
    values: Mapping[str, Floats]
    scorers: Mapping[str, Scorer]


class Reader:
    """An encoder with the features that it makes of a table's prompts: prompts x places."""

    def __init__(self, encoder: Encoder, texts: Sequence[str]) -> None:
        self.encoder = encoder
        self.features = _encoded(encoder, texts)


def _encoded(encoder: Encoder, texts: Sequence[str]) -> Floats:
    found = [encoder.features(text) for text in texts]
    width = 1 + max((max(one) for one in found if one), default=0)
    rows = np.zeros((len(texts), width))
    for row, one in enumerate(found):
        for place, value in one.items():
            rows[row, place] = value
    return rows


def learn(table: Table, features: Floats, encoder: Encoder, labels: Ints) -> Learned:
    """Scores for the pairs of models that could be told apart, and steps by them."""
    if len(labels) < _LABELS_LEAST:
        return Learned((), {}, {})
    made = partial(scorer_of, identity_of(encoder), probe=probe_of(encoder))
    steps: list[Step] = []
    values: dict[str, Floats] = {}
    scorers: dict[str, Scorer] = {}
    for there, pairs in _by_known(table, labels).items():
        known = labels[np.frombuffer(there, dtype=np.bool_)]
        lost = np.stack([table.scores[strong] - table.scores[cheap] for cheap, strong in pairs])
        fits = _fitted(features, lost.T, known, made)
        for (cheap, strong), (value, scorer) in zip(pairs, fits, strict=True):
            ways = (alone(table.models[cheap]), alone(table.models[strong]))
            if ways[0].model == ways[1].model:
                continue  # one step asks a model at one effort
            name = f"learned:{table.models[cheap]}:{table.models[strong]}"
            values[name], scorers[name] = value, scorer
            thresholds = np.unique(np.quantile(value[labels], _QUANTILES)).tolist()
            steps += [Route(name, threshold, *ways) for threshold in thresholds]
    return Learned(tuple(steps), values, scorers)


def _by_known(table: Table, labels: Ints) -> dict[bytes, list[tuple[int, int]]]:
    """Pairs of models by the labels on which both are known, for those are fitted together."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    for cheap, strong in _pairs(table, labels):
        there = table.known[cheap, labels] & table.known[strong, labels]
        found.setdefault(there.tobytes(), []).append((cheap, strong))
    return found


def _pairs(table: Table, labels: Ints) -> list[tuple[int, int]]:
    """The best of the cheap models, each with the incumbent and with the best model below it."""
    cost, quality = table.costs[:, labels].mean(axis=1), table.scores[:, labels].mean(axis=1)
    known = table.known[:, labels].mean(axis=1) > 1 / 2
    own = table.reference
    cheaper = [m for m in np.argsort(-quality).tolist() if known[m] and cost[m] < cost[own] / 2]
    below = [m for m in np.argsort(-quality).tolist() if known[m] and cost[m] < cost[own]]
    strong = [own, *below[:1]]
    return [
        (cheap, dear)
        for dear in strong
        for cheap in cheaper[:_CHEAPER_MOST]
        if cheap != dear and cost[cheap] < cost[dear]
    ]


def _fitted(
    features: Floats, lost: Floats, labels: Ints, made: Callable[[float, list[float]], Scorer]
) -> list[tuple[Floats, Scorer]]:
    """For each column of `lost` the score of every prompt, and the fit on all labels."""
    folds = np.arange(len(labels)) % _FOLDS
    x, y = features[labels], lost[labels]
    unseen = np.empty((len(_RIDGES), *y.shape))
    for fold in range(_FOLDS):
        held: Bools = folds == fold
        for row, (weights, bias) in enumerate(_ridge(x[~held], y[~held])):
            unseen[row, held] = x[held] @ weights + bias
    best = ((unseen - y) ** 2).sum(axis=1).argmin(axis=0)
    fits = _ridge(x, y)
    found: list[tuple[Floats, Scorer]] = []
    for column, chosen in enumerate(best):
        row = int(chosen)
        weights, bias = fits[row]
        scorer = made(float(bias[column]), weights[:, column].tolist())
        served = np.frombuffer(scorer.weights, dtype="<f4").astype(np.float64)
        value = features @ served + scorer.bias
        value[labels] = unseen[row, :, column]
        found.append((value, scorer))
    return found


def _ridge(x: Floats, y: Floats) -> list[tuple[Floats, Floats]]:
    """Weights (places x columns) and biases for each strength of the ridge."""
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    square, product = (x - middle).T @ (x - middle), (x - middle).T @ (y - mean)
    found: list[tuple[Floats, Floats]] = []
    for ridge in _RIDGES:
        weights = cast("Floats", np.linalg.solve(square + ridge * np.eye(len(square)), product))
        found.append((weights, np.asarray(mean - middle @ weights, dtype=np.float64)))
    return found
