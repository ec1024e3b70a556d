"""How much cheaper a step is than another, in words."""

from __future__ import annotations

import math

__all__ = ["times"]


def times(cheaper: float) -> str:
    """`12.3x`; `free` where the cheaper one costs nothing (infinity)."""
    return "free" if math.isinf(cheaper) else f"{cheaper:,.1f}x"
