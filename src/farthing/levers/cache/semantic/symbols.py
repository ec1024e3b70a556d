"""Symbols: whatever of a text is no word and no number, and how the text is laid out.

What nobody can read the sense of still counts: emoji, operators and scripts' own marks stand for
themselves, what can't be seen for something hidden, and code for every space in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from farthing.levers.cache.semantic.formulas import grouped
from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.token import Token

__all__ = ["ACCENTS", "alone", "layout", "other", "written"]

_UNICODE_END = 0x1E950  # behind the last script with marks of its own


def _ranges(codes: Sequence[int]) -> str:
    """Codes as ranges of a character class."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)


# Vowel signs, tones and accents, which are parts of words though not letters.
ACCENTS = _ranges(
    [code for code in range(0x300, _UNICODE_END) if unicodedata.category(chr(code))[0] == "M"]
)
_SIGNS = str.maketrans(
    {
        0x2019: "'", 0x2018: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"', 0x2010: "-", 0x2011: "-",
        0x2012: "-", 0x2013: "-", 0x2014: " - ", 0x2212: "-", 0x2044: "/",
    }
)  # fmt: skip
_SPACE = re.compile(r"\s+")
_AS_IT_IS = re.compile(r'`[^`]+`|"[^"]+"|«[^»]+»')
_POWER = re.compile("(?<=[\\d)])[\u00b2\u00b3\u00b9\u2070\u2074-\u207b]+")
_FRACTION = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])")
_PROSE = frozenset("\"'(),-\u2026")
_FRENCH = frozenset("?!:;")
_BRACKETS = frozenset("[]{}\\_")
_INDENTED = re.compile(r"\n[ \t]+\S")
_LOGIC = re.compile(r"\([^()]*\b(?:and|or|not)\b[^()]*\)", re.IGNORECASE)
_FORMULA = re.compile(
    r"[+*/=<>^\u00d7\u00f7\u2264\u2265|&()]|(?<=[\d)\s])-(?=[\d(\s])|\b(?:and|or|not)\b"
)


def written(text: str) -> str:
    """The text in NFKC, with plain quotes and single spaces; case is kept, and code and quotes are.

    Powers keep their sense: 10² is 10^2 and not 102, and 3½ is 3 1/2.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_SIGNS)
    parts: list[str] = []
    at = 0
    for span in _AS_IT_IS.finditer(text):
        parts += (_plain(text[at : span.start()]), span.group())
        at = span.end()
    return "".join((*parts, _plain(text[at:]))).strip()


def _plain(part: str) -> str:
    if part.isascii():
        return _SPACE.sub(" ", part)
    part = _FRACTION.sub(" ", _POWER.sub(lambda power: "^" + power.group(), part))
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", part).translate(_SIGNS))


def layout(text: str) -> list[str]:
    """What must be equal of how a text stands on its lines, and of the brackets of its formulas.

    Prose may be broken into lines anywhere; indented lines may not.
    """
    found: list[str] = []
    if _INDENTED.search(text.strip()):
        lines = [line.expandtabs() for line in text.splitlines() if line.strip()]
        depths = " ".join(str(len(line) - len(line.lstrip())) for line in lines)
        found.append(f"“indent {depths}")
    groups = grouped(text.translate(_SIGNS))
    if groups or _LOGIC.search(text):
        found.append(f"“{''.join(_FORMULA.findall(text.lower()))}")
        found += [f"“{group}" for group in groups]
    return found


def alone(raw: str, lexicon: Lexicon) -> list[Token]:
    """Signs between two spaces: `;` and `:` in bash are two things, a dash is none."""
    if raw == "&" or _PROSE.issuperset(raw) or (lexicon.language == "fr" and raw in _FRENCH):
        return []
    return [_hidden(raw) or Token(raw, raw, "mark")]


def other(raw: str, lexicon: Lexicon) -> list[Token]:
    """One sign that is not punctuation: an emoji, a bracket, something that can't be seen."""
    del lexicon
    is_prose = unicodedata.category(raw)[0] == "P" and raw not in _BRACKETS
    return [] if is_prose else [_hidden(raw) or Token(raw, raw, "mark")]


def _hidden(raw: str) -> Token | None:
    """What stands for characters that can't be seen, whose sense nobody can tell; else None."""
    if all(unicodedata.category(character)[0] != "C" for character in raw):
        return None
    return Token("“" + raw.encode("unicode_escape").decode(), raw, "exact")
