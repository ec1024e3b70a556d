"""From a compiled ladder to a policy with its certificate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from farthing.levers.routing.compiler import (
    Measured,
    Side,
    compile_ladder,
    read_class_floors,
)
from farthing.levers.routing.encoder import encoder_named
from farthing.levers.routing.expected import expected
from farthing.levers.routing.learned import Reader
from farthing.levers.routing.mixture import further_steps
from farthing.levers.routing.policy import Certificate, Policy, models
from farthing.levers.routing.scorer import Scorer, scores_named
from farthing.levers.routing.step import Step
from farthing.levers.routing.table import Table
from farthing.levers.routing.trial import Demand, Trial
from farthing.money import Money, round_half_even

__all__ = ["Terms", "certify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for, and the facts that the certificate will name.

    `explores`: also certify further steps per class; then each of the two has half of the error.
    `learns`: the encoder for learned scores; empty: none are tried.
    """

    floor: float
    confidence: float
    horizon: int
    class_floors: Mapping[str, float]
    labels: int
    seed: int
    made: str
    data_hash: str
    prices: Mapping[str, str]
    explores: bool = False
    learns: str = ""


def certify(table: Table, terms: Terms) -> tuple[Policy, Trial]:
    """Compile and certify; the policy keeps the incumbent throughout where nothing is shown."""
    random = np.random.default_rng(terms.seed)
    labels = random.permutation(table.size)[: terms.labels]
    floors = read_class_floors(table, terms.class_floors)
    reader = Reader(encoder_named(terms.learns), table.texts) if terms.learns else None
    compiled = compile_ladder(table, labels, random, frozenset(floors), reader)
    demand = Demand(
        floor=terms.floor,
        confidence=(1 + terms.confidence) / 2 if terms.explores else terms.confidence,
        horizon=terms.horizon,
        class_floors=floors,
    )
    found = compiled.attempt(table, demand)
    side, trial = found.side, found.trial
    steps = found.steps(table)
    further: dict[str, tuple[Step, ...]] | UnsetType = UNSET
    if trial.row is not None and terms.explores:
        parts = (side.selected, side.certified)
        further = dict(further_steps(table, side.ladder, trial.row, parts, found.demand))
    policy = Policy(
        incumbent=table.models[table.reference],
        steps=steps,
        templates=table.naming.templates,
        default_class=table.naming.default,
        certificate=None,
        reason=trial.reason,
        expected=expected(table, steps, labels),
        further=further,
        scores=_scores(side, (*steps.values(), *_all(further))),
    )
    if trial.row is not None:
        measured = found.measured(table, side.certified)
        proof = _certificate(terms, models(policy), measured, side)
        policy = msgspec.structs.replace(policy, certificate=proof)
    return policy, trial


def _all(further: dict[str, tuple[Step, ...]] | UnsetType) -> Iterator[Step]:
    if further is not UNSET:
        yield from itertools.chain(*further.values())


def _scores(side: Side, steps: Sequence[Step]) -> dict[str, Scorer] | UnsetType:
    """The learned scores that these steps look at, where any does."""
    names = {name for step in steps for name in scores_named(step)}
    if side.learned is None or not names:
        return UNSET
    return {name: side.learned.scorers[name] for name in sorted(names)}


def _certificate(terms: Terms, asked: Sequence[str], found: Measured, side: Side) -> Certificate:
    return Certificate(
        floor=terms.floor,
        confidence=terms.confidence,
        horizon=terms.horizon,
        class_floors=dict(terms.class_floors),
        labels=len(side.selected) + len(side.certified),
        certified_on=len(side.certified),
        quality_ratio=found.quality_ratio,
        cost_ratio=found.cost_ratio,
        cost=Money(round_half_even(found.cost, max(1, found.count))),
        incumbent_cost=Money(round_half_even(found.reference_cost, max(1, found.count))),
        made=terms.made,
        snapshots={model: model for model in asked},
        prices={model: terms.prices.get(model, "outcomes") for model in asked},
        data_hash=terms.data_hash,
    )
