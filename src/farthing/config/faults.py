"""What is wrong with a setting, in words: msgspec speaks of types and regular expressions."""

from __future__ import annotations

import re
from types import MappingProxyType

import msgspec

__all__ = ["fault_in_words"]

_PATTERN = re.compile(r"Expected `str` matching regex (?P<pattern>'.*')(?: - at .*)?$")
_PLACE = re.compile(r" - at `\$\.(?P<place>[^`]+)`$")
_UNQUOTED = re.compile(r"Expected `str`, got `(int|float|date)`")
_WORDS = MappingProxyType(
    {
        r"^\d{1,9}(\.\d{1,9})?$": 'write USD in digits, like "12.50": no sign, at most 9 decimals',
        r"^\d+(\.\d+)?$": 'write a number in digits, like "0.5"',
        r"^(\d+(\.\d+)?|\d+/[1-9]\d*)?$": 'write a number in digits, like "0.25"',
        r"^(\d{4}-\d\d-\d\d)?$": 'write a day like "2026-11-01"',
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": (
            "write a name of letters, digits, dots, dashes and underscores, at most 64 of them"
        ),
    }
)


def fault_in_words(error: msgspec.ValidationError) -> str:
    """What to write instead; the place in front where the error names one."""
    told = str(error)
    place = _PLACE.search(told)
    told = _PLACE.sub("", told)
    if matched := _PATTERN.match(told):
        pattern = matched["pattern"][1:-1].replace("\\\\", "\\")
        told = _WORDS.get(pattern, told)
    elif _UNQUOTED.match(told):
        told += '; write it in quotes, like "12.50" or "2026-11-01"'
    return f"{place['place']}: {told}" if place else told
