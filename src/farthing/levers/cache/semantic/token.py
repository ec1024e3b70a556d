"""What a text consists of, as the guards see it."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Kind", "Token"]

Kind = Literal["word", "name", "stop", "filler", "operator", "quantity", "exact", "mark"]


class Token(NamedTuple):
    """One token; `text` is the form that is compared, `raw` the word as written in lower case.

    `is_owner`: it stood in the genitive.
    """

    text: str
    raw: str
    kind: Kind
    is_capital: bool = False
    is_owner: bool = False
