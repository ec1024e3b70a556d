"""A plot of quality against cost in plain characters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["plot"]

_WIDTH: Final = 64
_HEIGHT: Final = 14


def plot(
    frontier: Sequence[tuple[float, float]], singles: Mapping[str, tuple[float, float]]
) -> str:
    """(quality, cost) ratios: `*` the ladder's frontier, letters the models alone; cost is log."""
    points = [*frontier, *singles.values()]
    costs = [math.log10(max(cost, 1e-6)) for _, cost in points]
    qualities = [quality for quality, _ in points]
    left, right = min(costs), max(*costs, min(costs) + 1e-9)
    low, high = max(min(qualities), max(qualities) - 0.5), max(qualities)
    high = max(high, low + 1e-9)
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]

    def put(quality: float, cost: float, mark: str) -> None:
        if quality < low:
            return
        column = round((math.log10(max(cost, 1e-6)) - left) / (right - left) * (_WIDTH - 1))
        rows[round((high - quality) / (high - low) * (_HEIGHT - 1))][column] = mark

    for quality, cost in frontier:
        put(quality, cost, "*")
    names: list[str] = []
    for index, (name, (quality, cost)) in enumerate(singles.items()):
        mark = chr(ord("a") + index % 26)
        put(quality, cost, mark)
        names.append(f"{mark} {name} {quality:.1%} at {cost:.1%}")
    lines = [
        f"{high - (high - low) * index / (_HEIGHT - 1):6.1%} |{''.join(row).rstrip()}"
        for index, row in enumerate(rows)
    ]
    scale = f"{10**left:.2%}".ljust(_WIDTH - 8) + f"{10**right:.1%}"
    head = "Quality against cost, as shares of the reference's (cost on a log scale)"
    return "\n".join([head, *lines, f"        {scale}", "* the ladder; " + "; ".join(names)])
