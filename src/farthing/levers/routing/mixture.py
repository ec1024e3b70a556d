"""Further steps of a class that may serve it beside the policy's own, in any mixture.

The claim that is tested is of the worst choice: each prompt scores what the worst of its class's
steps scored on it. A mean of that which is shown to be above the floor holds for every way of
choosing among the steps, one that learns while it serves or looks at the prompt included.

The selection labels propose steps one after the other, those first that take away least; each
larger set is tested at full alpha on the certification labels, and the first failure ends it
(fixed-sequence testing, as of the ladder; the two share out the confidence between them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from farthing.levers.routing.ladder import Ladder
from farthing.levers.routing.paired import is_shown
from farthing.levers.routing.step import Step
from farthing.levers.routing.table import Bools, Floats, Ints, Table
from farthing.levers.routing.trial import Demand, weights_of

__all__ = ["further_steps"]

_FURTHER_MOST: Final = 3  # a class
_DEARER_MOST: Final = 1.5  # times the policy's own step, on the selection labels
_PROMPTS_LEAST: Final = 10  # selection labels of a class before anything is explored there

Sets = dict[int, list[int]]  # class -> its steps


def further_steps(
    table: Table,
    ladder: Ladder,
    row: int,
    parts: tuple[Ints, Ints],
    demand: Demand,
) -> Mapping[str, tuple[Step, ...]]:
    """By class, what may serve beside the rung's own step; `parts` select, and certify.

    A class with a hard floor keeps to its own step.
    """
    selected, certified = parts
    sets: Sets = {c: [int(step)] for c, step in enumerate(ladder.choices[row])}
    kept: Sets = {}
    for index, step in _proposed(table, ladder, row, selected):
        if len(sets[index]) > _FURTHER_MOST or index in demand.class_floors:
            continue
        sets[index].append(step)
        score, known = _worst(table, ladder, sets, certified)
        reference = table.scores[table.reference, certified]
        seen = (score[known], reference[known], weights_of(table, known, certified)[known])
        if not is_shown(*seen, floor=demand.floor, alpha=demand.alpha):
            break
        kept = {c: steps[1:] for c, steps in sets.items() if len(steps) > 1}
    return {
        table.class_names[c]: tuple(ladder.arms.steps[step] for step in steps)
        for c, steps in kept.items()
    }


def _proposed(table: Table, ladder: Ladder, row: int, where: Ints) -> list[tuple[int, int]]:
    """Class and step, the least harmful first, by what the worse of the two loses in all."""
    found: list[tuple[float, int, int]] = []
    for index in range(len(table.class_names)):
        here = where[table.classes[where] == index]
        own = int(ladder.choices[row][index])
        if len(here) < _PROMPTS_LEAST or not table.is_open[index]:
            continue
        most = _DEARER_MOST * float(ladder.arms.costs[own, here].mean())
        for step in np.unique(ladder.choices[:, index]).tolist():
            is_known = bool(ladder.arms.known[step, here].all())
            if step == own or not is_known or ladder.arms.costs[step, here].mean() > most:
                continue
            less = np.minimum(ladder.arms.scores[step, here] - ladder.arms.scores[own, here], 0.0)
            found.append((-float(less.sum()), index, int(step)))
    return [(index, step) for _, index, step in sorted(found)]


def _worst(table: Table, ladder: Ladder, sets: Sets, where: Ints) -> tuple[Floats, Bools]:
    """Each prompt's score at the worst step of its class, and where all of them are known."""
    score, known = np.empty(len(where)), np.empty(len(where), dtype=np.bool_)
    for index, steps in sets.items():
        at = np.flatnonzero(table.classes[where] == index)
        if len(at):
            score[at] = ladder.arms.scores[steps][:, where[at]].min(axis=0)
            known[at] = ladder.arms.known[steps][:, where[at]].all(axis=0)
    return score, known
