"""What any router must be held against, each used as it usually is: replayed, picked, switched on.

None of them is certified. Each chooses on the labels what should just hold the floor there, and
is measured on the other prompts; costs and qualities are ratios to the reference's.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.levers.routing.ladder import by_class
from farthing.levers.routing.table import Floats, Ints, Table

__all__ = ["BASELINES", "Baseline", "Ratio", "Split", "hull", "neighbours", "oracle"]

Ratio = tuple[float, float]  # quality, cost
_PRICES: Final = np.concatenate(([0.0], np.geomspace(0.01, 200, 40)))
_BUCKETS: Final = 256
_NEIGHBOURS: Final = 20
_REMEMBERED: Final = 160  # nearest prompts kept for each, of which the labelled ones vote
_PROMPTS_MOST: Final = 12_000
_WORD: Final = re.compile(r"\w+|[^\w\s]")


class Split:
    """One parting of a table into labels and test prompts, with what baselines need of it."""

    def __init__(self, table: Table, labels: Ints, test: Ints, near: NDArray[np.int32]) -> None:
        self.table, self.labels, self.test, self.near = table, labels, test, near
        self.relative = table.costs / max(1.0, float(table.costs[table.reference, labels].mean()))

    def ratio(self, where: Ints, choice: Ints) -> Ratio:
        """What choosing model `choice[i]` for prompt `where[i]` comes to beside the reference."""
        table = self.table
        reference = table.scores[table.reference, where].sum()
        paid = table.costs[table.reference, where].sum()
        quality = table.scores[choice, where].sum()
        return float(quality / reference) if reference else 1.0, float(
            table.costs[choice, where].sum() / max(1, paid)
        )

    def singles(self, where: Ints) -> list[Ratio]:
        """Each model alone."""
        return [self.ratio(where, np.full(len(where), m)) for m in range(len(self.table.models))]


Baseline = Callable[[Split, Sequence[float]], list[Ratio]]


def neighbours(texts: Sequence[str]) -> NDArray[np.int32]:
    """For each text the most similar others, by the words and pairs of words they share."""
    count = min(len(texts), _PROMPTS_MOST)
    hashed = np.zeros((count, _BUCKETS), dtype=np.float32)
    for row, text in enumerate(texts[:count]):
        words = _WORD.findall(text[:4000].lower())
        grams = [*words, *map(" ".join, itertools.pairwise(words))]
        places = [zlib.crc32(gram.encode()) % _BUCKETS for gram in grams]
        hashed[row] = np.log1p(np.bincount(places, minlength=_BUCKETS))
    hashed -= hashed.mean(axis=0)
    hashed /= np.linalg.norm(hashed, axis=1, keepdims=True) + 1e-9
    kept = min(_REMEMBERED, count - 1)
    found = np.empty((count, kept), dtype=np.int32)
    for start in range(0, count, 1000):
        alike = hashed[start : start + 1000] @ hashed.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        nearest = np.argpartition(-alike, kept - 1, axis=1)[:, :kept] if kept else alike[:, :0]
        order = np.argsort(-np.take_along_axis(alike, nearest.astype(np.int64), axis=1), axis=1)
        found[start : start + 1000] = np.take_along_axis(nearest, order, axis=1)
    return found


def hull(points: Sequence[Ratio]) -> list[Ratio]:
    """The points that no mix of others beats: rising in cost and quality, concave."""
    kept: list[Ratio] = []
    for quality, cost in sorted(points, key=lambda p: (p[1], -p[0])):
        if kept and quality <= kept[-1][0]:
            continue
        while len(kept) > 1 and _slope(kept[-2], kept[-1]) <= _slope(kept[-1], (quality, cost)):
            kept.pop()
        kept.append((quality, cost))
    return kept


def oracle(split: Split, floors: Sequence[float]) -> list[Ratio]:
    """The cheapest choice that just holds the floor, knowing every outcome: a bound, no router."""
    truth = split.table.scores[:, split.test]
    return _by_price(split, floors, truth, truth, split.test)


def _slope(a: Ratio, b: Ratio) -> float:
    return (b[0] - a[0]) / max(b[1] - a[1], 1e-12)


def _best_single(split: Split, floors: Sequence[float]) -> list[Ratio]:
    seen, real = split.singles(split.labels), split.singles(split.test)
    chosen: list[Ratio] = []
    for floor in floors:
        fits = [m for m, (quality, _) in enumerate(seen) if quality >= floor]
        chosen.append(real[min(fits, key=lambda m: seen[m][1])])
    return chosen


def _random_mix(split: Split, floors: Sequence[float]) -> list[Ratio]:
    seen, real = split.singles(split.labels), split.singles(split.test)
    strong = split.table.reference
    weak = min(range(len(seen)), key=lambda m: seen[m][1])
    return [_mixed(seen[weak], real[weak], real[strong], floor) for floor in floors]


def _mixed(seen: Ratio, weak: Ratio, strong: Ratio, floor: float) -> Ratio:
    lost = 1 - seen[0]
    share = 1.0 if lost <= 0 else min(1.0, (1 - floor) / lost)
    return (
        share * weak[0] + (1 - share) * strong[0],
        share * weak[1] + (1 - share) * strong[1],
    )


def _zero_router(split: Split, floors: Sequence[float]) -> list[Ratio]:
    seen, real = split.singles(split.labels), split.singles(split.test)
    corners = hull(seen)
    at = [seen.index(corner) for corner in corners]
    found: list[Ratio] = []
    for floor in floors:
        above = next((k for k, corner in enumerate(corners) if corner[0] >= floor), None)
        if above is None or above == 0:
            found.append(real[at[0 if above == 0 else -1]])
            continue
        low, high = corners[above - 1], corners[above]
        share = (floor - low[0]) / (high[0] - low[0])
        below, over = real[at[above - 1]], real[at[above]]
        found.append(
            (
                share * over[0] + (1 - share) * below[0],
                share * over[1] + (1 - share) * below[1],
            )
        )
    return found


def _class_table(split: Split, floors: Sequence[float]) -> list[Ratio]:
    table = split.table
    classes, count = table.classes[split.labels], len(table.class_names)
    sums = by_class(table.scores[:, split.labels], classes, count)
    size = np.bincount(classes, minlength=count)
    overall = sums.sum(axis=1, keepdims=True) / size.sum()
    mean = (sums + overall) / (size + 1)
    return _by_price(
        split, floors, mean[:, classes], mean[:, table.classes[split.test]], split.labels
    )


def _nearest(split: Split, floors: Sequence[float]) -> list[Ratio]:
    predicted = _vote(split)
    return _by_price(
        split, floors, predicted[:, split.labels], predicted[:, split.test], split.labels
    )


def _vote(split: Split) -> Floats:
    """Each model's mean score on the labelled prompts nearest to each prompt."""
    table, near = split.table, split.near
    labelled = np.zeros(table.size, dtype=np.bool_)
    labelled[split.labels] = True
    overall = table.scores[:, split.labels].mean(axis=1)
    predicted = np.repeat(overall[:, None], table.size, axis=1)
    if not near.size:
        return predicted
    first = np.argsort(~labelled[near], axis=1, kind="stable")[:, :_NEIGHBOURS]
    voters = np.take_along_axis(near, first, axis=1)
    counts = labelled[voters]
    for model in range(len(table.models)):
        voted = (table.scores[model][voters] * counts).sum(axis=1)
        predicted[model, : len(near)] = (voted + overall[model]) / (counts.sum(axis=1) + 1)
    return predicted


def _by_price(
    split: Split, floors: Sequence[float], seen: Floats, real: Floats, fitted: Ints
) -> list[Ratio]:
    """Per prompt the best of predicted score less cost, at the price of quality that fits."""
    cost = split.relative.mean(axis=1)[:, None]
    if fitted is split.test:  # the oracle knows each cost as well
        cost = split.relative[:, split.test]
    tried = [
        (split.ratio(fitted, (cost - price * seen).argmin(axis=0)), price) for price in _PRICES
    ]
    best = max(quality for (quality, _), _ in tried)
    found: list[Ratio] = []
    for floor in floors:
        fits = [one for one in tried if one[0][0] >= min(floor, best)]
        price = min(fits, key=lambda one: one[0][1])[1]
        found.append(split.ratio(split.test, (cost - price * real).argmin(axis=0)))
    return found


BASELINES: Final[Mapping[str, Baseline]] = MappingProxyType(
    {
        "incumbent": lambda _, floors: [(1.0, 1.0) for _ in floors],
        "best single": _best_single,
        "random mix": _random_mix,
        "zero router": _zero_router,
        "class table": _class_table,
        "kNN": _nearest,
    }
)
