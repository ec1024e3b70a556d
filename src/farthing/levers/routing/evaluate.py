"""How well the compiler does on a set of outcomes: many random partings into labels and test.

Each split compiles from its labels alone and is measured on the prompts it has not seen, beside
the baselines. A floor counts as held where at most 1 - confidence of the splits miss it; a split
misses it by chance too, for its test prompts are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from farthing.errors import CallerError
from farthing.evidence import Interval, binomial_interval
from farthing.levers.routing.baselines import (
    BASELINES,
    Ratio,
    Split,
    hull,
    neighbours,
    oracle,
)
from farthing.levers.routing.compiler import Compiled, Found, compile_ladder, measure
from farthing.levers.routing.learned import Reader
from farthing.levers.routing.policy import Share
from farthing.levers.routing.saving import times
from farthing.levers.routing.table import Ints, Table
from farthing.levers.routing.trial import Demand

__all__ = ["LABELS_SHARE", "Evaluation", "Row", "evaluate", "labels_used"]

LABELS_SHARE: Final = 0.75  # of the prompts at most become labels, so that enough are left to test
_LABELS_DEFAULT: Final = 0.6
_LABELS_MOST: Final = 2_000
_PROMPTS_LEAST: Final = 20
_ALPHA: Final = 0.05


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One floor, over all splits: mean ratios to the reference, and how often it was missed.

    `times_cheaper` is 1 over the mean cost ratio. `switched` is the share of splits in which
    anything but the incumbent came out. `violation_interval` is the exact 95 % interval of the rate
    that very many splits would show.
    """

    floor: float
    quality_ratio: float
    cost_ratio: Share
    held: bool
    violation_rate: float
    violation_interval: Interval
    times_cheaper: float
    switched: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluation's figures; fractions in 0..1, ratios to the reference's mean.

    `apgr` is None where the cheapest model is as good as the reference or no cheaper.
    """

    reference: str
    prompts: int
    models: tuple[str, ...]
    classes: int
    labels: int
    test: int
    splits: int
    confidence: float
    floors: list[Row]
    baselines: dict[str, list[Row]]
    oracle: list[Row]
    aiq: Share
    baseline_aiq: Share
    apgr: Share | None
    frontier: list[Ratio]
    singles: dict[str, Ratio]
    verdict: str
    notes: list[str]


def labels_used(prompts: int, asked: int | None) -> int:
    """How many prompts become labels: those asked for, or 60 % up to 2,000; never above 75 %."""
    if prompts < _PROMPTS_LEAST:
        raise CallerError(
            f"{prompts} prompts are too few to part into labels and test.\nNothing was done.\n"
            f"Bring at least {_PROMPTS_LEAST}; a few hundred are needed to show anything."
        )
    most = int(prompts * LABELS_SHARE)
    if asked is None:
        return min(int(prompts * _LABELS_DEFAULT), _LABELS_MOST)
    return min(asked, most)


def evaluate(  # noqa: PLR0913 - each by its name
    table: Table,
    floors: Sequence[float],
    *,
    labels: int,
    splits: int,
    seed: int,
    confidence: float = 0.95,
    reader: Reader | None = None,
) -> Evaluation:
    """Compile and measure over `splits` partings, by `seed`; with a `reader`, learned scores too."""
    near = neighbours(table.texts)
    ours: list[list[Ratio]] = []
    switched = np.zeros(len(floors))
    beside: dict[str, list[list[Ratio]]] = {name: [] for name in (*BASELINES, "oracle")}
    curves: list[tuple[float, float]] = []
    gaps: list[float] = []
    frontier: list[list[Ratio]] = []
    singles: list[list[Ratio]] = []
    for number in range(splits):
        random = np.random.default_rng([seed, number])
        shuffled = random.permutation(table.size)
        chosen, test = shuffled[:labels], shuffled[labels:]
        compiled = compile_ladder(table, chosen, random, reader=reader)
        made = _rungs(table, compiled, floors, confidence, len(test))
        switched += [one.row is not None for one in made]
        found = [one.measured(table, test) for one in made]
        ours.append([(one.quality_ratio, one.cost_ratio) for one in found])
        split = Split(table, chosen, test, near)
        for name, baseline in (*BASELINES.items(), ("oracle", oracle)):
            beside[name].append(baseline(split, floors))
        alone = split.singles(test)
        curve = _curve(table, compiled, test)
        curves.append(_areas(curve, alone))
        gaps += _gap_recovered(curve, alone)
        singles.append(alone)
        frontier.append(curve)
    summed = _summary(ours, floors, confidence, switched / splits)
    told = {name: _summary(one, floors, confidence) for name, one in beside.items()}
    middle = np.array(singles).mean(axis=0).tolist()
    return Evaluation(
        reference=table.models[table.reference],
        prompts=table.size,
        models=table.models,
        classes=len(table.class_names),
        labels=labels,
        test=table.size - labels,
        splits=splits,
        confidence=confidence,
        floors=summed,
        oracle=told.pop("oracle"),
        baselines=told,
        aiq=float(np.mean([one[0] for one in curves])),
        baseline_aiq=float(np.mean([one[1] for one in curves])),
        apgr=float(np.mean(gaps)) if gaps else None,
        frontier=hull(frontier[0]),
        singles={m: (one[0], one[1]) for m, one in zip(table.models, middle, strict=True)},
        verdict=_verdict(summed),
        notes=list(table.notes),
    )


def _rungs(
    table: Table, compiled: Compiled, floors: Sequence[float], confidence: float, horizon: int
) -> list[Found]:
    demands = [
        Demand(floor=floor, confidence=confidence, horizon=horizon, class_floors={})
        for floor in floors
    ]
    return [compiled.attempt(table, demand) for demand in demands]


def _summary(
    found: list[list[Ratio]],
    floors: Sequence[float],
    confidence: float,
    switched: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None,
) -> list[Row]:
    values = np.array(found)  # splits x floors x (quality, cost)
    rows: list[Row] = []
    for index, floor in enumerate(floors):
        quality, cost = values[:, index, 0], float(values[:, index, 1].mean())
        misses = int((quality < floor - 1e-9).sum())
        missed = misses / len(quality)
        rows.append(
            Row(
                floor=floor,
                quality_ratio=float(quality.mean()),
                cost_ratio=cost,
                held=missed <= 1 - confidence + 1e-9,
                violation_rate=missed,
                violation_interval=binomial_interval(misses, len(quality), alpha=_ALPHA),
                times_cheaper=1 / cost if cost else float("inf"),
                switched=1.0 if switched is None else float(switched[index]),
            )
        )
    return rows


def _curve(table: Table, compiled: Compiled, test: Ints) -> list[Ratio]:
    """A ladder's rungs that should be worth it, as the test prompts find them."""
    ladder = compiled.sides[0].ladder
    kept: list[int] = []
    for row in range(len(ladder.cost_ratio)):  # the cheapest first
        if not kept or ladder.regret[row] < ladder.regret[kept[-1]] - 1e-4:
            kept.append(row)
    thinned: list[int] = np.unique(np.linspace(0, len(kept) - 1, 25).astype(int)).tolist()
    found = [measure(table, ladder, kept[index], test) for index in thinned]
    return [(one.quality_ratio, one.cost_ratio) for one in found]


def _areas(curve: list[Ratio], singles: list[Ratio]) -> tuple[float, float]:
    """Mean quality over the range of the singles' costs: with the ladder, and mixing singles.

    Source: RouterBench (arXiv 2403.12031), "average improvement in quality".
    """
    low, high = min(cost for _, cost in singles), max(cost for _, cost in singles)
    with_ladder = [point for point in curve if point[1] <= high]
    return _area(hull([*singles, *with_ladder]), low, high), _area(hull(singles), low, high)


def _gap_recovered(curve: list[Ratio], singles: list[Ratio]) -> list[float]:
    """How much of the quality between the cheapest model and the reference the ladder recovers.

    The mean over all costs from the one's to the other's; mixing the two at random recovers 0.5.
    Nothing where there is no gap.

    Source: RouteLLM (arXiv 2406.18665), "average performance gap recovered".
    """
    weak = min(singles, key=lambda point: point[1])
    if weak[0] >= 1 or weak[1] >= 1:
        return []
    between = [point for point in curve if weak[1] <= point[1] <= 1]
    mean = _area(hull([weak, (1.0, 1.0), *between]), weak[1], 1.0)
    return [(mean - weak[0]) / (1 - weak[0])]


def _area(corners: list[Ratio], low: float, high: float) -> float:
    if high <= low:
        return corners[-1][0]
    grid = np.linspace(low, high, 1000)
    costs, qualities = [c for _, c in corners], [q for q, _ in corners]
    return float(np.interp(grid, costs, qualities).mean())


def _verdict(rows: list[Row]) -> str:
    kept = [row for row in rows if row.switched == 0]
    if len(kept) == len(rows):
        return "No saving can be shown at any of these floors: keep the incumbent."
    best = [f"{times(row.times_cheaper)} at {row.floor:g}" for row in rows if row.switched > 0]
    return f"Cheaper with the floor shown: {', '.join(best)}."
