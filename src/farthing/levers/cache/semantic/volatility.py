"""Volatile questions: what changes by the minute or belongs to one person is not looked up."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Volatility", "volatility_of"]

Volatility = Literal["static", "slow", "fast", "live"]

_LIVE = re.compile(
    r"\b(right now|at the moment|currently|this (minute|second|instant)|just now|live|breaking"
    r"|what time is it|current (time|price|weather|status|balance|location)"
    r"|(stock|share|bitcoin|crypto|exchange) (price|rate|quote)"
    r"|weather|forecast|traffic|score of|eta|ahora mismo|en ce moment|gerade jetzt)\b",
    re.IGNORECASE,
)
_FAST = re.compile(
    r"\b(today|tonight|tomorrow|yesterday|now|this (week|morning|afternoon|evening|month)"
    r"|latest|newest|recent|recently|news|hoy|mañana|aujourd'hui|demain|heute|morgen|gestern)\b",
    re.IGNORECASE,
)
_SLOW = re.compile(
    r"\b(price|prices|cost|costs|fee|fees|open|opening|hours|version|release|20[2-9]\d"
    r"|ceo|president|prime minister|champion|record holder)\b",
    re.IGNORECASE,
)


def volatility_of(text: str) -> Volatility:
    """How soon an answer goes stale, by a rule of thumb over words.

    `live` is never served again; `fast` lasts 10 minutes, `slow` a day, `static` 30 days. A
    feature's own setting goes first.
    """
    if _LIVE.search(text):
        return "live"
    if _FAST.search(text):
        return "fast"
    return "slow" if _SLOW.search(text) else "static"
