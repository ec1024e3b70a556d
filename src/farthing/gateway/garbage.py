"""Python's collector of cyclic garbage, set for processes that make much and let it go at once."""

from __future__ import annotations

import gc

__all__ = ["collect_rarely"]


def collect_rarely() -> None:
    """Look for cycles rarely, and never among what is there now.

    What start-up made lives as long as the process. Of what calls make, next to nothing is part of
    a cycle; looking for it each 700 objects costs more than a microsecond a call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
