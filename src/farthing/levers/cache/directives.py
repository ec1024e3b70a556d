"""What a caller asks of the cache in its headers; it can only ask for less than the rules allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["NO_DIRECTIVES", "Directives", "read_directives"]

_WORDS: Final = frozenset({"off", "refresh", "exact", "semantic"})


class Directives(msgspec.Struct, frozen=True, kw_only=True):
    """`why_not_served` and `why_not_kept` are reasons; empty: nothing against it."""

    why_not_served: str = ""
    why_not_kept: str = ""
    age_s_max: int | None = None
    is_exact_only: bool = False
    is_only_if_cached: bool = False
    documents: tuple[str, ...] = ()


NO_DIRECTIVES: Final = Directives()


def read_directives(headers: Mapping[bytes, bytes]) -> Directives:
    """What `x-farthing-cache`, `cache-control` and `x-farthing-depends-on` ask for.

    A word that is not known is taken for `off`: whoever writes one wants less, not more.
    """
    wish = headers.get(b"x-farthing-cache", b"").decode("latin-1").strip().lower()
    control = headers.get(b"cache-control", b"").decode("latin-1").lower()
    documents = headers.get(b"x-farthing-depends-on", b"").decode("latin-1")
    if not (wish or control or documents):
        return NO_DIRECTIVES
    asked = {part.strip() for part in control.split(",") if part.strip()}
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
    ages = [int(a[8:]) for a in asked if a.startswith("max-age=") and a[8:].isdigit()]
    named = (part.strip() for part in documents.split(","))
    return Directives(
        why_not_served=served,
        why_not_kept=kept,
        age_s_max=min(ages) if ages else None,
        is_exact_only=wish == "exact",
        is_only_if_cached="only-if-cached" in asked,
        documents=tuple(sorted({name for name in named if name})),
    )
