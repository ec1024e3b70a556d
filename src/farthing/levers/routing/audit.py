"""The audit: is the incumbent dominated? One replacement for all its calls that keeps quality.

The candidate is chosen on one half of the prompts and measured on the other, so that its figures
are not flattered by having been picked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from farthing.evidence import Interval, Observed, comparisons_needed, interval, lower_bound
from farthing.levers.routing.table import Floats, Ints, Table
from farthing.money import Money, round_half_even

__all__ = ["Audit", "Replacement", "audit"]

_PAIRS_LEAST: Final = 20


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the incumbent's place; `quality` is its ratio to the incumbent's.

    `is_shown`: a bet on the unseen half shows at least `floor` times the incumbent's quality.
    Costs are means per call.
    """

    model: str
    quality: float
    quality_interval: Interval
    times_cheaper: float
    cost: Money
    compared: int
    is_shown: bool


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the incumbent should be replaced outright; `best` is None where nothing cheaper fits.

    `models` are all others, cheapest first, over all prompts. `hopeful` is a model still cheaper
    than what is shown that may keep the floor; `needed` estimates the prompts that would show it.
    """

    incumbent: str
    floor: float
    confidence: float
    prompts: int
    incumbent_quality: float
    incumbent_cost: Money
    is_dominated: bool
    best: Replacement | None
    hopeful: str | None
    models: list[Replacement]
    needed: int | None
    verdict: str
    notes: list[str]


def audit(table: Table, *, floor: float, confidence: float, seed: int) -> Audit:
    """Look for the cheapest model that keeps `floor` of the incumbent's quality."""
    shuffled = np.random.default_rng(seed).permutation(table.size)
    half = table.size // 2
    picking, testing = shuffled[:half], shuffled[half:]
    others = [m for m in range(len(table.models)) if m != table.reference]
    ranked = sorted(others, key=lambda m: _mean_cost(table, m))
    best = _pick(table, ranked, picking, testing, floor, confidence)
    found = None if best is None else _replacement(table, best, testing, floor, confidence)
    everything = np.arange(table.size)
    hopeful = _hopeful(table, ranked, floor, None if found is None or not found.is_shown else best)
    needed = None
    if hopeful is not None:
        margin = _margins(table, hopeful, everything, floor)
        spread = float(margin.std())
        count = comparisons_needed(float(margin.mean()), spread, confidence=confidence)
        needed = None if count is None else 2 * count
    return Audit(
        incumbent=table.models[table.reference],
        floor=floor,
        confidence=confidence,
        prompts=table.size,
        incumbent_quality=float(table.scores[table.reference].mean()),
        incumbent_cost=Money(_mean_cost(table, table.reference)),
        is_dominated=found is not None and found.is_shown,
        best=found,
        hopeful=None if hopeful is None else table.models[hopeful],
        models=[_replacement(table, m, shuffled, floor, confidence) for m in ranked],
        needed=needed,
        verdict=_verdict(table, found, hopeful, needed, floor),
        notes=list(table.notes),
    )


def _pick(
    table: Table,
    ranked: Sequence[int],
    picking: Ints,
    testing: Ints,
    floor: float,
    confidence: float,
) -> int | None:
    """The cheapest model that should also pass the test, else the likeliest to."""
    chances: list[tuple[float, int]] = []
    for model in ranked:
        if _mean_cost(table, model) >= _mean_cost(table, table.reference):
            break
        margin = _margins(table, model, picking, floor)
        if len(margin) < _PAIRS_LEAST:
            continue
        error = max(float(margin.std()), 1e-9) / math.sqrt(min(len(margin), len(testing)))
        chances.append((float(margin.mean()) / error, model))
    wanted = 0.5 + math.sqrt(2 * math.log(1 / (1 - confidence)))  # what a bet needs, and a little
    likely = next((model for chance, model in chances if chance >= wanted), None)
    if likely is not None or not chances:
        return likely
    chance, model = max(chances)
    return model if chance > 0 else None


def _margins(table: Table, model: int, where: Ints, floor: float) -> Floats:
    here = where[table.known[model, where]]
    return table.scores[model, here] - floor * table.scores[table.reference, here]


def _replacement(
    table: Table, model: int, where: Ints, floor: float, confidence: float
) -> Replacement:
    here = where[table.known[model, where]]  # shuffled: a bet wants values in no order of their own
    count = len(here)
    reference = float(table.scores[table.reference, here].mean()) if count else 0.0
    alpha = 1 - confidence
    gained = [Observed(value) for value in _margins(table, model, where, 1.0).tolist()]
    bounds = interval(gained, alpha=alpha, bounds=(-1.0, 1.0))
    margin = [Observed(value) for value in _margins(table, model, where, floor).tolist()]
    low = lower_bound(margin, alpha=alpha, bounds=(-floor, 1.0), expected=count or None)
    cost, paid = (int(table.costs[m, here].sum()) for m in (model, table.reference))
    scale = reference or 1.0
    quality = float(table.scores[model, here].mean()) / scale if count else 0.0
    return Replacement(
        model=table.models[model],
        quality=quality,
        quality_interval=Interval(
            max(0.0, 1 + bounds.low / scale), max(0.0, 1 + bounds.high / scale)
        ),
        times_cheaper=paid / max(1, cost),
        cost=Money(round_half_even(cost, max(1, count))),
        compared=count,
        is_shown=low > 0,
    )


def _mean_cost(table: Table, model: int) -> int:
    known = table.known[model]
    count = int(known.sum())
    return round_half_even(int(table.costs[model, known].sum()), count) if count else 0


def _hopeful(table: Table, ranked: Sequence[int], floor: float, shown: int | None) -> int | None:
    """The cheapest model below what is shown whose mean is at the floor or above."""
    everything = np.arange(table.size)
    for model in ranked:
        if model == shown or _mean_cost(table, model) >= _mean_cost(table, table.reference):
            return None
        margin = _margins(table, model, everything, floor)
        if len(margin) >= _PAIRS_LEAST and float(margin.mean()) > 0:
            return model
    return None


def _verdict(
    table: Table, best: Replacement | None, hopeful: int | None, needed: int | None, floor: float
) -> str:
    incumbent = table.models[table.reference]
    more = ""
    if hopeful is not None and needed:
        name = table.models[hopeful]
        more = f" {name} may do too; about {needed:,} compared prompts would show it (estimate)."
    if best is not None and best.is_shown:
        told = (
            f"{best.model}, {best.times_cheaper:.1f}x cheaper at {best.quality:.1%} of its quality"
        )
        return f"{incumbent} is dominated: replace it by {told}.{more}"
    return f"Keep {incumbent}: no cheaper model is shown to keep {floor:.0%} of its quality.{more}"
