"""What a text consists of, as the guards see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Token"]

Kind = Literal["word", "name", "stop", "filler", "operator", "quantity", "exact", "mark"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `text` is the form that is compared, `raw` the word as written in lower case.

    `is_owner`: it stood in the genitive.
    """

    text: str
    raw: str
    kind: Kind
    is_capital: bool = False
    is_owner: bool = False
