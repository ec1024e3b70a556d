"""The ladder: policies from the safest to the cheapest, chosen on the selection labels alone.

Per class each step's net regret against the incumbent is shrunk towards its regret over all
classes, for a class with few labels says little of its own; what is left uncertain, and what
scatters, is held against a step. A grid of prices for quality then gives the policies, and those
that are not both cheaper and likelier to pass than the others are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.levers.routing.arms import Arms, candidates, replay
from farthing.levers.routing.learned import Learned
from farthing.levers.routing.step import Single
from farthing.levers.routing.table import Bools, Floats, Ints, Table

__all__ = ["Ladder", "by_class", "make_ladder"]

_SHRINK: Final = 5.0  # labels' worth of trust in a step's regret over all classes
_DOUBTS: Final = (0.0, 0.5, 1.0, 1.5, 2.0)  # standard errors held against a step
_SCATTERS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
_PRICES: Final = np.geomspace(0.02, 50, 40)  # of quality, in incumbents' costs
_MODELS_MOST: Final = 9
_MODELS_LEAST: Final = 4
_CHEAP: Final = 0.5  # of the incumbent's cost
_KNOWN_LEAST: Final = 0.5  # share of a class on which a step must have been tried
_LABELS_LEAST: Final = 3  # selection labels of a class before it may leave the incumbent


@dataclass(frozen=True, slots=True)
class Ladder:
    """Policies over `arms`: `choices` is policies x classes, indices of steps.

    `cost_ratio`, `regret` (net, shrunk) and `variance` are each policy's, as predicted from
    `labels` selection labels; `quality` is the incumbent's mean score on them. By cost, the
    cheapest first.
    """

    arms: Arms
    choices: Ints
    cost_ratio: Floats
    regret: Floats
    variance: Floats
    quality: float
    labels: int


def by_class(values: Floats, classes: Ints, count: int) -> Floats:
    """Sums of each row's values over the prompts of each class: rows x classes."""
    order = np.argsort(classes, kind="stable")
    sorted_classes = classes[order]
    starts = np.searchsorted(sorted_classes, np.arange(count))
    sizes = np.diff(np.append(starts, len(classes)))
    found = np.zeros((values.shape[0], count))
    there = sizes > 0
    if there.any():
        found[:, there] = np.add.reduceat(values[:, order], starts[there], axis=1)
    return found


def make_ladder(
    table: Table,
    labels: Ints,
    hard: frozenset[int] = frozenset(),
    learned: Learned | None = None,
) -> Ladder:
    """The ladder that these selection labels suggest; classes in `hard` are held to be critical.

    `learned` steps, where there are any, are candidates like the others.
    """
    models = _worth_trying(table, labels)
    steps = candidates(table, models, labels)
    if learned is None:
        arms = replay(table, steps)
    else:
        arms = replay(table, [*steps, *learned.steps], learned.values)
    known = arms.known[:, labels]
    classes, count = table.classes[labels], len(table.class_names)
    quality = table.scores[table.reference, labels]
    gained = np.where(known, arms.scores[:, labels] - quality, 0.0)
    seen = by_class(known.astype(np.float64), classes, count)
    size = np.bincount(classes, minlength=count).astype(np.float64)
    sums, squares = by_class(gained, classes, count), by_class(gained**2, classes, count)
    costs = by_class(np.where(known, arms.costs[:, labels], 0).astype(np.float64), classes, count)
    whole = np.maximum(seen.sum(axis=1), 1.0)
    mean_all, square_all = sums.sum(axis=1) / whole, squares.sum(axis=1) / whole
    trusted = seen + _SHRINK
    mean = (sums + _SHRINK * mean_all[:, None]) / trusted
    variance = np.maximum((squares + _SHRINK * square_all[:, None]) / trusted - mean**2, 1e-4)
    cost = (costs + (costs.sum(axis=1) / whole)[:, None]) / (seen + 1)
    mean[0], variance[0] = 0.0, 0.0
    usable = (seen >= _KNOWN_LEAST * size) & (size >= _LABELS_LEAST) & table.is_open
    beaten = _dominated(mean_all, square_all, costs.sum(axis=1) / whole, whole)
    beaten &= np.array([not isinstance(step, Single) for step in arms.steps])
    usable &= ~beaten[:, None]
    for index in hard:
        usable[:, index] &= mean[:, index] >= np.sqrt(variance[:, index] / trusted[:, index])
    usable[0] = True
    share = size / size.sum()
    bar = max(float((share * cost[0]).sum()), 1.0)
    choices = _choices(usable, mean, variance, trusted, cost / bar)
    at = np.arange(count)
    ladder = Ladder(
        arms=arms,
        choices=choices,
        cost_ratio=(share * cost[choices, at]).sum(axis=1) / bar,
        regret=-(share * mean[choices, at]).sum(axis=1),
        variance=(share * variance[choices, at]).sum(axis=1),
        quality=float(quality.mean()),
        labels=len(labels),
    )
    return _cheapest_first(ladder)


def _choices(usable: Bools, mean: Floats, variance: Floats, trusted: Floats, cost: Floats) -> Ints:
    """Each policy that some price of quality, doubt and dislike of scatter leads to."""
    at: Ints = np.arange(int(usable.shape[1]))
    barred = np.where(usable, cost, np.inf)
    error = np.sqrt(variance / trusted)
    scale = np.sqrt(np.maximum(trusted.sum(axis=1).max(), 1.0))
    order = np.argsort(barred, axis=0, kind="stable")
    ranked = barred[order, at]
    found: dict[bytes, Ints] = {}
    for doubt in _DOUBTS:
        for scatter in _SCATTERS:
            worth = (mean - doubt * error - scatter * variance / scale)[order, at]
            worth[np.isinf(ranked)] = -np.inf
            kept = _worthwhile(worth)
            paid, gained, steps = ranked[kept, at], worth[kept, at], order[kept, at]
            value = paid - _PRICES[:, None, None] * np.where(np.isinf(paid), 0.0, gained)
            chosen = steps[value.argmin(axis=1), at]
            found.update((one.tobytes(), one) for one in chosen)
    for step in range(usable.shape[0]):  # one step for all, the incumbent where it can't be used
        one = np.where(usable[step], step, 0).astype(np.int64)
        found.setdefault(one.tobytes(), one)
    return np.array(list(found.values()))


def _worthwhile(worth: Floats) -> Ints:
    """Of steps by cost, those worth more than all before: rows by class, filled up with others."""
    best = np.maximum.accumulate(worth, axis=0)
    is_better = np.ones(worth.shape, dtype=np.bool_)
    is_better[1:] = worth[1:] > best[:-1]
    most = int(is_better.sum(axis=0).max())
    return np.argsort(~is_better, axis=0, kind="stable")[:most]


def _dominated(mean: Floats, square: Floats, cost: Floats, count: Floats) -> Bools:
    """Steps that a cheaper one beats over all classes by more than a standard error.

    The caller keeps models alone: one may be the best for a class.
    """
    error = np.sqrt(np.maximum(square - mean**2, 1e-9) / count)
    order = np.argsort(cost, kind="stable")
    best = np.maximum.accumulate(mean[order])
    before = np.concatenate(([-np.inf], best[:-1]))
    found = np.zeros(len(mean), dtype=np.bool_)
    found[order] = mean[order] <= before - error[order]
    return found


def _cheapest_first(ladder: Ladder) -> Ladder:
    order = np.argsort(ladder.cost_ratio, kind="stable")
    return Ladder(
        arms=ladder.arms,
        choices=ladder.choices[order],
        cost_ratio=ladder.cost_ratio[order],
        regret=ladder.regret[order],
        variance=ladder.variance[order],
        quality=ladder.quality,
        labels=ladder.labels,
    )


def _worth_trying(table: Table, labels: Ints) -> list[int]:
    """The models that serve some class best at some price of quality, the most used first."""
    total = len(table.models)
    known = table.known[:, labels]
    classes, count = table.classes[labels], len(table.class_names)
    seen = by_class(known.astype(np.float64), classes, count)
    scores = by_class(np.where(known, table.scores[:, labels], 0.0), classes, count)
    costs = by_class(np.where(known, table.costs[:, labels], 0).astype(np.float64), classes, count)
    whole = np.maximum(seen.sum(axis=1), 1.0)
    mean = (scores + _SHRINK * (scores.sum(axis=1) / whole)[:, None]) / (seen + _SHRINK)
    cost = (costs + (costs.sum(axis=1) / whole)[:, None]) / (seen + 1)
    size = np.bincount(classes, minlength=count)
    bar = max(float(cost[table.reference].mean()), 1.0)
    used = np.zeros(total)
    for price in _PRICES:
        best = (cost / bar - price * mean).argmin(axis=0)
        used += np.bincount(best, weights=size, minlength=total)
    # Two that agree need not be best at anything: there are always a few, the best of what is cheap.
    overall = scores.sum(axis=1) / whole
    is_cheap = costs.sum(axis=1) / whole < _CHEAP * (costs.sum(axis=1) / whole)[table.reference]
    ranked = np.lexsort((-overall, ~is_cheap, -used))
    count = min(_MODELS_MOST, max(_MODELS_LEAST, int((used > 0).sum())))
    return [int(m) for m in ranked[:count]]
