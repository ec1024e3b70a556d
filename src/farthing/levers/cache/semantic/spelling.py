"""British and American spelling as one: `colour` and `color`, `organise` and `organize`.

The result is a form to compare by, not a word to show: a rule may change a word that has one
spelling only, and changes it alike wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["one_spelling"]

_LENGTH_MIN: Final = 5
_RULES: Final = (
    (re.compile(r"is(?=(?:e|es|ed|er|ers|ing|ation|ations|able)$)"), "iz"),
    (re.compile(r"ys(?=(?:e|es|ed|er|ers|ing)$)"), "yz"),
    (re.compile(r"our(?=(?:s|ed|ing|ful|less|able|ite|ites|y|hood|hoods|al|ally)?$)"), "or"),
    (re.compile(r"ogue(?=s?$)"), "og"),
    (re.compile(r"l(?=l[eo]rs?$)"), ""),
    (
        re.compile(r"\b(centi|kilo|milli)?(cent|lit|met|theat|fib|calib|spect|meag)re(?=s?$)"),
        r"\1\2er",
    ),
    (re.compile(r"(def|off|pret|lic)ence"), r"\1ense"),
    (re.compile(r"(an|h|p|gyn|arch|leuk|glyc|c)ae(?=[mdcosl])"), r"\1e"),
    (re.compile(r"^oe(?=[sd])|(?<=rrh)oe|(?<=^f)oe(?=t)|(?<=^c)oe(?=l)"), "e"),
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mould": "mold", "moulds": "molds", "mouldy": "moldy", "kerb": "curb", "plough": "plow",
        "pyjamas": "pajamas", "yoghurt": "yogurt", "doughnut": "donut", "doughnuts": "donuts",
        "cosy": "cozy", "sceptical": "skeptical", "jewellery": "jewelry", "moustache": "mustache",
        "skilful": "skillful", "practise": "practice", "practised": "practiced",
        "practising": "practicing", "manoeuvre": "maneuver", "manoeuvres": "maneuvers", "sulphur": "sulfur", "towards": "toward",
        "whilst": "while", "amongst": "among", "afterwards": "afterward", "speciality": "specialty",
        "ageing": "aging", "judgement": "judgment", "artefact": "artifact", "enquiry": "inquiry",
        "enquiries": "inquiries", "mum": "mom",
    }
)  # fmt: skip


def one_spelling(word: str) -> str:
    """A lower-case English word in the form that both spellings of it have."""
    known = _WORDS.get(word)
    if known is not None:
        return known
    if len(word) < _LENGTH_MIN:
        return word
    for pattern, instead in _RULES:
        word = pattern.sub(instead, word)
    return word
