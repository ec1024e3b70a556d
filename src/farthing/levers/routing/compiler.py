"""The compiler: from outcomes to a policy with a certificate, or to the incumbent with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.errors import CallerError
from farthing.levers.routing.ladder import Ladder, make_ladder
from farthing.levers.routing.learned import Learned, Reader, learn
from farthing.levers.routing.step import Single, Step
from farthing.levers.routing.table import Ints, Table
from farthing.levers.routing.trial import Demand, Trial, beside, try_ladder

__all__ = ["Compiled", "Measured", "compile_ladder", "measure", "read_class_floors"]

_SELECT_SHARE: Final = 0.5  # of the labels choose the ladder, the rest certify it


@dataclass(frozen=True, slots=True)
class Compiled:
    """A ladder with the two sets of labels it was made and is certified with."""

    ladder: Ladder
    selected: Ints
    certified: Ints
    learned: Learned | None = None

    def attempt(self, table: Table, demand: Demand) -> Trial:
        """Certify the ladder for a demand."""
        return try_ladder(table, self.ladder, self.certified, demand)

    def steps(self, table: Table, trial: Trial) -> dict[str, Step]:
        """What serves each class: the certified rung, or the incumbent throughout."""
        incumbent = Single(table.models[table.reference])
        if trial.row is None:
            return dict.fromkeys(table.class_names, incumbent)
        choice = self.ladder.choices[trial.row]
        return {
            name: self.ladder.arms.steps[int(step)]
            for name, step in zip(table.class_names, choice, strict=True)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A policy and the reference on the same `count` prompts, weighted to the whole traffic.

    Qualities are means, costs sums in nanodollars.
    """

    quality: float
    reference_quality: float
    cost: int
    reference_cost: int
    count: int

    @property
    def quality_ratio(self) -> float:
        """The policy's quality over the reference's; 1 where the reference scores nothing."""
        return self.quality / self.reference_quality if self.reference_quality else 1.0

    @property
    def cost_ratio(self) -> float:
        """The policy's cost over the reference's."""
        return self.cost / self.reference_cost


def compile_ladder(
    table: Table,
    labels: Ints,
    random: np.random.Generator,
    hard: frozenset[int] = frozenset(),
    reader: Reader | None = None,
) -> Compiled:
    """Part the labels by chance and make the ladder from the first part.

    With a `reader`, scores of calls are learnt from that part too, and steps by them are tried.
    """
    shuffled = random.permutation(labels)
    cut = max(1, int(len(shuffled) * _SELECT_SHARE))
    selected, certified = shuffled[:cut], shuffled[cut:]
    learned = None
    if reader is not None:
        learned = learn(table, reader.features, reader.encoder, selected)
    return Compiled(make_ladder(table, selected, hard, learned), selected, certified, learned)


def measure(table: Table, ladder: Ladder, row: int | None, where: Ints) -> Measured:
    """A rung on given prompts, over those on which it is known; None is the incumbent."""
    reference = table.scores[table.reference, where]
    paid = int(table.costs[table.reference, where].sum())
    if row is None:
        quality = float(reference.mean())
        return Measured(
            quality=quality,
            reference_quality=quality,
            cost=paid,
            reference_cost=paid,
            count=len(where),
        )
    steps = ladder.choices[row][table.classes[where]]
    known = ladder.arms.known[steps, where]
    seen = beside(table, ladder, row, where)
    weight = seen.weight
    steps, here = steps[known], where[known]
    costs = ladder.arms.costs[steps, here]
    whole = float(weight.sum()) or 1.0
    share = weight * len(here) / whole
    return Measured(
        quality=float((weight * seen.score).sum()) / whole,
        reference_quality=float((weight * seen.reference).sum()) / whole,
        cost=round(float((share * costs).sum())),
        reference_cost=max(1, round(float((share * table.costs[table.reference, here]).sum()))),
        count=len(here),
    )


def read_class_floors(table: Table, floors: Mapping[str, float]) -> dict[int, float]:
    """Hard floors by class index.

    Raises:
        CallerError: a class is not in the outcomes.
    """
    unknown = [name for name in floors if name not in table.class_names]
    if unknown:
        known = ", ".join(table.class_names)
        raise CallerError(
            f"There is no class {unknown[0]!r}.\nNothing was compiled.\nThere are: {known}."
        )
    return {table.class_names.index(name): floor for name, floor in floors.items()}
