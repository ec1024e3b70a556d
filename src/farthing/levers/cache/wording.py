"""What a question's wording tells: which differences do not matter, and whether its answer ages.

Deliberately timid: a missed hit costs a call, a wrong one costs trust. Case is kept but at the
first word of a question, punctuation but at the very end, spaces where code or quotes may be, and
lines as they are: verses, rows and steps may be counted.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["plainly", "volatility_of"]

_CODE: Final = re.compile(r"[`{}<>\\|\t]|  \S*[=(]")
_LINE_BREAK: Final = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_QUOTE: Final = re.compile("[\"'\u2018-\u201f\u00ab\u00bb\u2039\u203a\u300c-\u300f]")
_SPACES: Final = re.compile(r"\s+")
_ASKING: Final = frozenset(
    (
        *("how", "what", "what's", "when", "where", "where's", "which", "who", "who's", "whose"),
        *("why", "can", "could", "do", "does", "did", "is", "are", "was", "were", "will", "would"),
        *("should", "shall"),
    )
)
_QUESTION_MAX: Final = 400  # characters; in longer texts such words are about something else
_LIVE: Final = re.compile(
    r"\b(?:now|today|tonight|tomorrow|yesterday|currently|at the moment|latest|newest|"
    r"this (?:morning|afternoon|evening|week|month|year)|weather|forecast|news|breaking|"
    r"exchange rate|stock price|share price|live score|what time|what date|what day)\b",
    re.IGNORECASE,
)
_FAST: Final = re.compile(
    r"\b(?:my|our) (?:\w+ )?(?:order|account|balance|invoice|ticket|parcel|package|delivery|"
    r"shipment|subscription|refund|bill|booking)\b|\b20\d\d\b|\brecent(?:ly)?\b|\bprices?\b",
    re.IGNORECASE,
)


def plainly(text: str) -> str:
    """The text without what does not matter; equal results ask the same."""
    text = unicodedata.normalize("NFC", text)
    words = text.strip()
    if _CODE.search(words) or _LINE_BREAK.search(words):
        return text.rstrip()
    if not _QUOTE.search(words):
        words = _SPACES.sub(" ", words)
    first, space, rest = words.partition(" ")
    if first.lower() in _ASKING and first[1:].islower():
        words = first.lower() + space + rest
        return words.removesuffix("?").rstrip()
    is_one_stop = words.endswith(".") and words.rstrip(".") == words[:-1] != ""
    return words[:-1] if is_one_stop else words


def volatility_of(text: str) -> str:
    """`live`, `fast`, or nothing, by the words of a short text."""
    if not text or len(text) > _QUESTION_MAX:
        return ""
    if _LIVE.search(text):
        return "live"
    return "fast" if _FAST.search(text) else ""
