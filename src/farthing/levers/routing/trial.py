"""The trial: which rung of a ladder the certification labels show to hold its floor.

Learn, then test: the ladder was learnt from other labels, so each rung is one hypothesis fixed
beforehand. Rungs are tested from the likeliest to pass down to the cheapest, each at the full
alpha, and the first failure ends it (fixed-sequence testing): whichever rung comes out, the
probability that it misses the floor in the long run is at most alpha.

A rung passes when (1) an exact test shows a mean margin above the floor over the certification
labels, (2) so it does in each class with a hard floor of its own, and (3) the margin over all
labels is so large that the mean over the next `horizon` calls should hold the floor too; this
third is a normal approximation, on top of the guarantee.

Source: Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test", 2021, section 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.evidence import labels_needed, margin_needed
from farthing.levers.routing.ladder import Ladder
from farthing.levers.routing.paired import is_counted, is_shown, prompts_needed
from farthing.levers.routing.policy import PASSED
from farthing.levers.routing.table import Bools, Floats, Ints, Table

__all__ = ["Beside", "Demand", "Trial", "beside", "try_ladder", "weights_of"]

_RUNGS_MOST: Final = 40
_SCATTER_LEAST: Final = 0.01  # a policy that hardly ever differed so far will differ some day
_FLATTERED: Final = (
    0.5  # what a label that chose the rungs counts, for they were chosen to please it
)
_STEP_LEAST: Final = 0.02  # standard errors by which a dearer rung must be likelier to pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a policy: `floor` times the reference's quality, with `confidence`.

    `class_floors` are floors of their own for critical classes, by index. `horizon` is how many
    calls to come the floor should be seen to hold over.
    """

    floor: float
    confidence: float
    horizon: int
    class_floors: Mapping[int, float]

    @property
    def alpha(self) -> float:
        """The accepted probability of being wrong."""
        return 1 - self.confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How it went: the row of the rung that came out (None: the incumbent stays) and why.

    `tested` rungs were tried, `passed` of them passed; `needed` estimates the labels after which
    the rung that failed would pass, where it ever would.
    """

    row: int | None
    tested: int
    passed: int
    reason: str
    needed: int | None


@dataclass(frozen=True, slots=True)
class Beside:
    """A policy's scores and the reference's on the same prompts, and how much each prompt weighs."""

    score: Floats
    reference: Floats
    weight: Floats


def beside(table: Table, ladder: Ladder, row: int, where: Ints) -> Beside:
    """A policy beside the reference, over the prompts on which it is known.

    A prompt weighs by how often its class was known, so that means are over the whole traffic.
    """
    steps = ladder.choices[row][table.classes[where]]
    known = ladder.arms.known[steps, where]
    score, reference = ladder.arms.scores[steps, where], table.scores[table.reference, where]
    return Beside(score[known], reference[known], weights_of(table, known, where)[known])


def weights_of(table: Table, known: Bools, where: Ints) -> Floats:
    """How much each prompt weighs, so that means over the known ones are over all of them."""
    if known.all():
        return np.ones(len(where))
    classes, count = table.classes[where], len(table.class_names)
    there = np.bincount(classes, weights=known, minlength=count)
    whole = np.bincount(classes, minlength=count)
    return (whole / np.maximum(there, 1))[classes]


def try_ladder(table: Table, ladder: Ladder, labels: Ints, demand: Demand) -> Trial:
    """Test the ladder's rungs on certification labels, in an order fixed before they are seen."""
    rungs = _rungs(ladder, demand, len(labels))
    if not rungs:
        return Trial(
            row=None,
            tested=0,
            passed=0,
            reason=_nothing(table, ladder),
            needed=None,
        )
    best: int | None = None
    for tested, row in enumerate(rungs, 1):
        fault, needed = _fault(table, ladder, row, labels, demand)
        if fault:
            return Trial(row=best, tested=tested, passed=tested - 1, reason=fault, needed=needed)
        best = row
    return Trial(row=best, tested=len(rungs), passed=len(rungs), reason=PASSED, needed=None)


def _nothing(table: Table, ladder: Ladder) -> str:
    """Why there is no rung to test."""
    if len(table.models) == 1:
        return "the outcomes are of no other model"
    paid = [float(cost[known].mean()) for cost, known in zip(table.costs, table.known, strict=True)]
    if min(paid) >= paid[table.reference]:
        return "nothing else in the outcomes is cheaper"
    if len(ladder.choices) == 1:
        return "no class has labels enough to choose by"
    return "no cheaper policy is expected to hold the floor"


def _rungs(ladder: Ladder, demand: Demand, count: int) -> list[int]:
    """Rows, the likeliest to pass first, each next one cheaper; cheaper than the incumbent all."""
    slack = (1 - demand.floor) * ladder.quality - ladder.regret
    chance = slack / np.sqrt((ladder.variance + _SCATTER_LEAST) / max(count, 1))
    rungs: list[int] = []
    best = -np.inf
    for row in range(len(chance)):  # by cost, the cheapest first
        if ladder.cost_ratio[row] < 1 and chance[row] > max(best + _STEP_LEAST, 0):
            rungs.append(row)
            best = float(chance[row])
    if len(rungs) > _RUNGS_MOST:
        kept = np.unique(np.linspace(0, len(rungs) - 1, _RUNGS_MOST).astype(int))
        rungs = [rungs[index] for index in kept]
    return rungs[::-1]


def _fault(
    table: Table, ladder: Ladder, row: int, labels: Ints, demand: Demand
) -> tuple[str, int | None]:
    """Why this rung does not pass (empty: it does), and how many labels would be needed."""
    seen = beside(table, ladder, row, labels)
    margin, weight = seen.score - demand.floor * seen.reference, seen.weight
    count = len(margin)
    if count < 2:
        return "too few certification labels", None
    whole = float(weight.sum())
    mean = float((weight * margin).sum()) / whole
    spread = float(np.sqrt((weight * (margin - mean) ** 2).sum() / whole))
    slack = (1 - demand.floor) * ladder.quality - float(ladder.regret[row])
    whole_labels = count + ladder.labels
    chose = _FLATTERED * ladder.labels
    both = count + chose
    pooled = (count * mean + chose * slack) / both
    wanted = margin_needed(spread, both, confidence=demand.confidence, horizon=demand.horizon)
    if pooled < wanted:
        told = f"the margin {pooled:+.4f} is below {wanted:.4f}, wanted for the next "
        needed = _needed(seen, pooled, spread, demand, whole_labels / count)
        return f"{told}{demand.horizon:,} calls", needed
    if not _is_shown(seen, demand.floor, demand.alpha):
        told = f"the margin {mean:+.4f} over {count:,} labels is not shown to be above 0"
        return told, _needed(seen, mean, spread, demand, whole_labels / count)
    for index, floor in demand.class_floors.items():
        here = labels[table.classes[labels] == index]
        if ladder.choices[row][index] == 0:
            continue  # the incumbent itself
        if not _is_shown(beside(table, ladder, row, here), floor, demand.alpha):
            name = table.class_names[index]
            return f"the hard floor {floor:g} of {name} is not shown to hold", None
    return "", None


def _is_shown(seen: Beside, floor: float, alpha: float) -> bool:
    return is_shown(seen.score, seen.reference, seen.weight, floor=floor, alpha=alpha)


def _needed(seen: Beside, margin: float, spread: float, demand: Demand, parts: float) -> int | None:
    """Labels in all after which this margin would pass, one in `parts` of them to certify."""
    counted = is_counted(seen.score, seen.reference, seen.weight)
    tested = prompts_needed(margin, spread, confidence=demand.confidence, counted=counted)
    ahead = labels_needed(margin, spread, confidence=demand.confidence, horizon=demand.horizon)
    if tested is None or ahead is None:
        return None
    counts = 1 / parts + _FLATTERED * (1 - 1 / parts)  # what a label counts, on average
    return math.ceil(max(parts * tested, ahead / counts))
