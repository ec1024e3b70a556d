"""What a caller asks of the cache in its headers; it can only ask for less than the rules allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

__all__ = ["NO_DIRECTIVES", "Directives", "read_directives"]

_WORDS: Final = frozenset({"off", "refresh", "exact", "semantic"})
_HEADERS: Final = (b"x-farthing-cache", b"cache-control", b"x-farthing-depends-on")
_AGE: Final = re.compile(r'"?([0-9]{1,12})[0-9]*"?')
_AGE_S_MAX: Final = 2**31  # as RFC 9111 (1.2.2) has it of what is larger


class Directives(msgspec.Struct, frozen=True, kw_only=True):
    """`why_not_served` and `why_not_kept` are reasons; empty: nothing against it."""

    why_not_served: str = ""
    why_not_kept: str = ""
    age_s_max: int | None = None
    is_exact_only: bool = False
    is_only_if_cached: bool = False
    documents: tuple[str, ...] = ()


NO_DIRECTIVES: Final = Directives()


def read_directives(headers: Iterable[tuple[bytes, bytes]]) -> Directives:
    """What `x-farthing-cache`, `cache-control` and `x-farthing-depends-on` ask for.

    A header that stands several times asks for all that it says. What can't be read is taken for
    the strictest that it may mean: a word for `off`, an age for 0 s.
    """
    said: dict[bytes, list[str]] = {name: [] for name in _HEADERS}
    for name, value in headers:
        if name in said:
            said[name].append(value.decode("latin-1"))
    if not any(said.values()):
        return NO_DIRECTIVES
    wish, control, documents = (", ".join(said[name]) for name in _HEADERS)
    wish = wish.strip().lower()
    asked = _parts(control.lower())
    served = kept = ""
    if wish and wish not in _WORDS:
        served = kept = f"x-farthing-cache: {wish[:40]!r} is not known"
    elif wish == "off":
        served = kept = "the caller said off"
    elif wish == "refresh":
        served = "the caller said refresh"
    elif "no-cache" in asked:
        served = "the caller said no-cache"
    if "no-store" in asked:
        kept = kept or "the caller said no-store"
    return Directives(
        why_not_served=served,
        why_not_kept=kept,
        age_s_max=_age_s_max(asked),
        is_exact_only=wish == "exact",
        is_only_if_cached="only-if-cached" in asked,
        documents=tuple(sorted(set(_parts(documents)))),
    )


def _parts(value: str) -> list[str]:
    """What stands between the commas of a header."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _age_s_max(asked: Sequence[str]) -> int | None:
    ages: list[int] = []
    for part in asked:
        name, _, told = part.partition("=")
        if name.strip() == "max-age":
            age = _AGE.fullmatch(told.strip())
            ages.append(0 if age is None else min(int(age.group(1)), _AGE_S_MAX))
    return min(ages, default=None)
