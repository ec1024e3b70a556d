"""From a compiled ladder to a policy with its certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farthing.levers.routing.compiler import compile_ladder, measure, read_class_floors
from farthing.levers.routing.expected import expected
from farthing.levers.routing.policy import Certificate, Policy
from farthing.levers.routing.step import models_of
from farthing.levers.routing.table import Table
from farthing.levers.routing.trial import Demand, Trial
from farthing.money import Money, round_half_even

__all__ = ["Terms", "certify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for, and the facts that the certificate will name."""

    floor: float
    confidence: float
    horizon: int
    class_floors: Mapping[str, float]
    labels: int
    seed: int
    made: str
    data_hash: str
    prices: Mapping[str, str]


def certify(table: Table, terms: Terms) -> tuple[Policy, Trial]:
    """Compile and certify; the policy keeps the incumbent throughout where nothing is shown."""
    random = np.random.default_rng(terms.seed)
    labels = random.permutation(table.size)[: terms.labels]
    floors = read_class_floors(table, terms.class_floors)
    compiled = compile_ladder(table, labels, random, frozenset(floors))
    demand = Demand(
        floor=terms.floor,
        confidence=terms.confidence,
        horizon=terms.horizon,
        class_floors=floors,
    )
    trial = compiled.attempt(table, demand)
    steps = compiled.steps(table, trial)
    incumbent = table.models[table.reference]
    certificate = None
    if trial.row is not None:
        found = measure(table, compiled.ladder, trial.row, compiled.certified)
        asked = sorted({incumbent, *(m for step in steps.values() for m in models_of(step))})
        certificate = Certificate(
            floor=terms.floor,
            confidence=terms.confidence,
            horizon=terms.horizon,
            class_floors=dict(terms.class_floors),
            labels=len(labels),
            certified_on=len(compiled.certified),
            quality_ratio=found.quality_ratio,
            cost_ratio=found.cost_ratio,
            cost=Money(round_half_even(found.cost, max(1, found.count))),
            incumbent_cost=Money(round_half_even(found.reference_cost, max(1, found.count))),
            made=terms.made,
            snapshots={model: model for model in asked},
            prices={model: terms.prices.get(model, "outcomes") for model in asked},
            data_hash=terms.data_hash,
        )
    policy = Policy(
        incumbent=incumbent,
        steps=steps,
        templates=table.naming.templates,
        default_class=table.naming.default,
        certificate=certificate,
        reason=trial.reason,
        expected=expected(table, steps, labels),
    )
    return policy, trial
