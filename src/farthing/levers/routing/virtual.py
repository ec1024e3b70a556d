"""Virtual models: names that ask for a quality, not for a model.

`farthing/auto`, `farthing/auto:FEATURE`, `farthing/auto@0.98`, `farthing/auto:FEATURE@0.98`; in
place of `auto` the name of any pool.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["AUTO", "PREFIX", "Virtual", "read_floor", "read_virtual"]

PREFIX: Final = "farthing/"
AUTO: Final = "auto"


class Virtual(msgspec.Struct, frozen=True):
    """What a virtual model's name says; `floor` is 0 where it names none."""

    pool: str
    feature: str = ""
    floor: float = 0.0


def read_virtual(model: str) -> Virtual | None:
    """What the name says; None where it is no virtual model's.

    Raises:
        ValueError: it begins like one, and its floor is no number above 0, at most 1.
    """
    if not model.startswith(PREFIX):
        return None
    named, mark, floor = model[len(PREFIX) :].rpartition("@")
    if not mark:
        named, floor = floor, ""
    pool, _, feature = named.partition(":")
    return Virtual(pool, feature, read_floor(floor) if mark else 0.0)


def read_floor(text: str) -> float:
    """A quality floor as written: a share above 0, at most 1.

    Raises:
        ValueError: it is none.
    """
    try:
        floor = float(text)
    except ValueError:
        floor = 0.0
    if not 0 < floor <= 1:
        raise ValueError(f"{text!r} is no quality floor: a number above 0, at most 1")
    return floor
