"""Whether two answers agree: the final answer of each, in one form.

Tool calls are compared as calls, JSON as a value, a marked answer ("Answer: 42", a boxed formula)
by what is marked, anything else by its whole text but for case, spaces and outer punctuation. Two
answers agree where the forms are equal; free prose hardly ever does, and is then asked of the
stronger model, as it was in the outcomes: their `answer` is such a form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

__all__ = ["final_answer"]

_FENCE: Final = re.compile(r"^\s*```[\w+-]*\n(.*?)\n?```\s*$", re.DOTALL)
_MARKED: Final = re.compile(
    r"(?:^|\n)[\s*#>_]*(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\s*[*_]*\s*[:=]\s*[*_]*\s*(.+)",
    re.IGNORECASE,
)
_HASHED: Final = re.compile(r"(?:^|\n)####\s*(.+)")
_BOXED: Final = re.compile(r"\\boxed\s*\{")
_TEXT_CHARACTERS_MOST: Final = 20_000


def final_answer(text: str, calls: Sequence[tuple[str, str]] = ()) -> str | None:
    """The final answer in one form; None where nothing is said, which agrees with nothing.

    `calls` are tool calls: a name and its arguments as JSON in one form.
    """
    if calls:
        return "calls " + msgspec.json.encode(sorted(calls)).decode()
    text = text[-_TEXT_CHARACTERS_MOST:]
    if not text.strip():
        return None
    value = _json(text)
    if value is not None:
        return "json " + value
    marked = _marked(text)
    return "text " + _plain(marked if marked is not None else text)


def _json(text: str) -> str | None:
    """An object or an array in one form; anything else is read as text."""
    fenced = _FENCE.match(text)
    bare = (fenced.group(1) if fenced else text).strip()
    if bare[:1] not in ("{", "["):
        return None
    try:
        value: Any = msgspec.json.decode(bare)
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.json.encode(value, order="sorted").decode()


def _marked(text: str) -> str | None:
    """What the text marks as its answer, the last time it does."""
    found = [match for pattern in (_MARKED, _HASHED) for match in pattern.finditer(text)]
    boxed = list(_BOXED.finditer(text))
    if boxed and all(boxed[-1].start() > match.start() for match in found):
        return _in_braces(text, boxed[-1].end())
    if not found:
        return None
    marked = max(found, key=lambda match: match.start()).group(1)
    inner = _BOXED.search(marked)
    return marked if inner is None else _in_braces(marked, inner.end())


def _in_braces(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return text[start:at]
    return text[start:]


def _plain(text: str) -> str:
    """The text without what does not change an answer; a number as a number."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = " ".join(folded.split()).strip(" .,;:!?\"'`*$\\()")
    number = bare.replace(",", "").removesuffix("%")
    try:
        value = Decimal(number)
    except InvalidOperation:
        return bare
    if not value.is_finite():
        return bare
    return f"{value.normalize():f}" + ("%" if bare.endswith("%") else "")
