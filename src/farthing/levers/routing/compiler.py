"""The compiler: from outcomes to a policy with a certificate, or to the incumbent with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from farthing.errors import CallerError
from farthing.levers.routing.ladder import Ladder, make_ladder
from farthing.levers.routing.learned import Learned, Reader, learn
from farthing.levers.routing.step import Single, Step
from farthing.levers.routing.table import Ints, Table
from farthing.levers.routing.trial import Demand, Trial, beside, try_ladder

__all__ = [
    "Compiled",
    "Found",
    "Measured",
    "Side",
    "compile_ladder",
    "measure",
    "read_class_floors",
]

_NEVER: Final = 1 << 62  # labels


@dataclass(frozen=True, slots=True)
class Side:
    """A ladder with the two sets of labels it was made and is certified with."""

    ladder: Ladder
    selected: Ints
    certified: Ints
    learned: Learned | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The rung that came out (None: the incumbent stays), with the side whose ladder it is of.

    `demand` is what it was tried with, and may be tried with further: the side's part of the error.
    """

    side: Side
    trial: Trial
    demand: Demand

    @property
    def row(self) -> int | None:
        """The rung's row in the side's ladder."""
        return self.trial.row

    def steps(self, table: Table) -> dict[str, Step]:
        """What serves each class: the certified rung, or the incumbent throughout."""
        if self.row is None:
            return dict.fromkeys(table.class_names, Single(table.models[table.reference]))
        choice, arms = self.side.ladder.choices[self.row], self.side.ladder.arms
        return {
            name: arms.steps[int(step)]
            for name, step in zip(table.class_names, choice, strict=True)
        }

    def measured(self, table: Table, where: Ints) -> Measured:
        """What it does on given prompts."""
        return measure(table, self.side.ladder, self.row, where)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Two sides: each half of the labels makes a ladder, and certifies the other half's."""

    sides: tuple[Side, Side]
    labels: Ints

    def attempt(self, table: Table, demand: Demand) -> Found:
        """The cheaper of the rungs that the two sides certify, each with half of the error."""
        part = replace(demand, confidence=1 - demand.alpha / len(self.sides))
        tried = [
            Found(side, try_ladder(table, side.ladder, side.certified, part), part)
            for side in self.sides
        ]
        passed = [one for one in tried if one.row is not None]
        if passed:
            return min(passed, key=lambda one: one.measured(table, self.labels).cost_ratio)
        return min(tried, key=lambda one: one.trial.needed or _NEVER)


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
    """Part the labels by chance and make a ladder from each half.

    With a `reader`, scores of calls are learnt from each half too, and steps by them are tried.
    """
    shuffled = random.permutation(labels)
    cut = max(1, len(shuffled) // 2)

    def side(selected: Ints, certified: Ints) -> Side:
        learned = None
        if reader is not None:
            learned = learn(table, reader.features, reader.encoder, selected)
        return Side(make_ladder(table, selected, hard, learned), selected, certified, learned)

    halves = shuffled[:cut], shuffled[cut:]
    return Compiled((side(*halves), side(*reversed(halves))), labels)


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
