"""Brackets that group: `5-(3-2)` is not `5-3-2`, and `log(x) y` is not `log(x y)`.

A bracket groups where it touches a word, a number or another bracket, where an operator stands
before or behind it, or within it. What stands within is then compared as it is. Any other is an
aside, which prose may as well put between commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["grouped"]

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_BRACKET = re.compile(r"[()\[\]{}]")
_OPERATOR = "[-+*/=<>^%|&\u00d7\u00f7\u2264\u2265]"
_SIGN = _OPERATOR.replace("-", "", 1)  # a dash may be prose
_BEFORE = re.compile(rf"(?:[\w)\]}}!-]|{_SIGN}\s*|(?:[\d)]|\b\w)\s*-\s*)\Z")
_BEHIND = re.compile(rf"[\w(\[{{-]|\s*{_SIGN}|\s-\s*[\d(]")
_WITHIN = re.compile(rf"{_SIGN}|[\d)]\s*-|-\s*[\d(]|\b\w\s*-\s*\w\b")
_NAME = re.compile(r"\w+\Z")
_PLURAL = frozenset(["s", "es", "n", "en", "e"])  # order(s)
_SPACE = re.compile(r"\s+")
_NEAR = 24  # characters beside a bracket that are looked at


def grouped(text: str) -> list[str]:
    """What each outermost bracket of a formula groups, with the name that it follows at once."""
    return [
        found
        for start, end in _outermost(text)
        if (
            found := _group(
                text[max(0, start - _NEAR) : start], text[start:end], text[end : end + _NEAR]
            )
        )
    ]


def _group(before: str, group: str, behind: str) -> str:
    within = _SPACE.sub(" ", group[1:-1].strip())
    name = _NAME.search(before)
    if name is not None and within in _PLURAL:
        return ""
    if _BEFORE.search(before) or _BEHIND.match(behind) or _WITHIN.search(within):
        return f"{'' if name is None else name.group()}{group[0]}{within}{group[-1]}"
    return ""


def _outermost(text: str) -> Iterable[tuple[int, int]]:
    """Where the outermost brackets that are closed begin, and end."""
    start, awaited = 0, ""
    for found in _BRACKET.finditer(text):
        at, sign = found.start(), found.group()
        if sign in _CLOSING:
            start = start if awaited else at
            awaited += _CLOSING[sign]
        elif awaited and sign == awaited[-1]:
            awaited = awaited[:-1]
            if not awaited:
                yield start, at + 1
