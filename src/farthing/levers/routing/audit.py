"""The audit: is the incumbent dominated? One replacement for all its calls that keeps quality.

The candidate is chosen on one half of the prompts and measured on the other, so that its figures
are not flattered by having been picked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import msgspec
import numpy as np

from farthing.evidence import Interval, Observed, interval
from farthing.levers.routing.paired import is_counted, is_shown, prompts_needed
from farthing.levers.routing.saving import times
from farthing.levers.routing.table import Floats, Ints, Table
from farthing.money import Money, round_half_even

__all__ = ["Audit", "Replacement", "audit"]

_PAIRS_LEAST: Final = 20
_LITTLE: Final = 0.5  # standard errors above what the test needs, for the pick to be likely to pass


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the incumbent's place; `quality` is its ratio to the incumbent's.

    `is_shown`: the test that certifies policies shows at least `floor` times the incumbent's
    quality, on its own half of the prompts for the audit's pick. The interval holds at both ends
    and at any number of prompts, so it is wider. Costs are means per call.
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
    hopeful = _hopeful(table, ranked, floor, None if found is None or not found.is_shown else best)
    needed = None if hopeful is None else _needed(table, hopeful, floor, confidence)
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
    """The cheapest model that should also pass the test, else the likeliest to.

    Counting asks for its quantile in standard errors, a bet for more.
    """
    chances: list[tuple[float, int]] = []
    for model in ranked:
        if _mean_cost(table, model) >= _mean_cost(table, table.reference):
            break
        margin = _margins(table, model, picking, floor)
        if len(margin) < _PAIRS_LEAST:
            continue
        error = max(float(margin.std()), 1e-9) / math.sqrt(min(len(margin), len(testing)))
        chances.append((float(margin.mean()) / error, model))
    wanted = _LITTLE + (
        NormalDist().inv_cdf(confidence)
        if _is_counted(table)
        else math.sqrt(2 * math.log(1 / (1 - confidence)))
    )
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
    cost, paid = (int(table.costs[m, here].sum()) for m in (model, table.reference))
    scale = reference or 1.0
    quality = float(table.scores[model, here].mean()) / scale if count else 0.0
    return Replacement(
        model=table.models[model],
        quality=quality,
        quality_interval=Interval(
            max(0.0, 1 + bounds.low / scale), max(0.0, 1 + bounds.high / scale)
        ),
        times_cheaper=paid / cost if cost else math.inf,
        cost=Money(round_half_even(cost, max(1, count))),
        compared=count,
        is_shown=is_shown(
            table.scores[model, here],
            table.scores[table.reference, here],
            np.ones(count),
            floor=floor,
            alpha=alpha,
        ),
    )


def _is_counted(table: Table) -> bool:
    flat = table.scores.ravel()
    return is_counted(flat, flat, np.ones(1))


def _needed(table: Table, model: int, floor: float, confidence: float) -> int | None:
    """Prompts, half of them for the pick, after which a model with such a margin would be shown."""
    margin = _margins(table, model, np.arange(table.size), floor)
    count = prompts_needed(
        float(margin.mean()),
        float(margin.std()),
        confidence=confidence,
        counted=_is_counted(table),
    )
    return None if count is None else 2 * count


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
        said = times(best.times_cheaper)
        low, high = best.quality_interval.low, best.quality_interval.high
        told = (
            f"{best.model}, {said if said == 'free' else f'{said} cheaper'} at {best.quality:.1%} "
            f"of its quality ({low:.1%} to {high:.1%} on the half that did not pick it)"
        )
        return f"{incumbent} is dominated: replace it by {told}.{more}"
    return f"Keep {incumbent}: no cheaper model is shown to keep {floor:.0%} of its quality.{more}"
