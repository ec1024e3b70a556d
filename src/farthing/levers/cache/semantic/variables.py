"""Texts of several variables: each is compared with its own counterpart, and all with all.

The free-text variables of a template stand in one text, which is embedded and stored as such,
parted by what no variable holds. So `a b | c` is not `a | b c`, though the words are the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from farthing.levers.cache.semantic import guards
from farthing.levers.cache.semantic.guards import Comparison, Finding
from farthing.levers.cache.semantic.signature import Signature

__all__ = ["compare"]


def compare(one: Signature, other: Signature) -> Comparison:
    """Every reason why `one` and `other` may not share an answer; symmetric."""
    whole = guards.compare(one, other)
    if not one.parts and not other.parts:
        return whole
    return Comparison((*whole.findings, *_apart(one, other, whole)), whole.unmatched)


def _apart(one: Signature, other: Signature, whole: Comparison) -> Iterable[Finding]:
    """What differs where each variable is compared by itself."""
    if len(one.parts) != len(other.parts):
        yield Finding("variable", f"{len(one.parts)} / {len(other.parts)} variables", "veto")
        return
    for here, there in zip(one.parts, other.parts, strict=True):
        if here == there:
            continue
        part = guards.compare(here, there)
        yield from (finding for finding in part.findings if finding not in whole.findings)
        if one.plain == other.plain and here.plain != there.plain:
            yield Finding("variable", f"{here.plain} / {there.plain}", "veto")
        for words, missing in zip(part.unmatched, whole.unmatched, strict=True):
            for word in words:
                if word not in missing:  # it stands in another variable
                    yield Finding("variable", word.lstrip("="), "veto")
