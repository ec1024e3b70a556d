"""Guards for who does what to whom, where words and their order are the same on both sides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from farthing.levers.cache.semantic.signature import Signature

__all__ = ["roles"]

# Before the same thing, one contradicts the other: sold by Anna, sold to Anna.
_RIVALS: Final = frozenset(
    frozenset(pair.split("/"))
    for pair in (
        "by/to by/for by/from by/of by/than by/on by/as from/to from/for from/with for/with from/on from/as "
        "from/against to/against with/against with/as with/from with/of for/against for/as on/as "
        "for/on of/as of/against than/with than/for than/to than/of than/in than/on than/at "
        "on/off on/behind in/behind into/from onto/from into/off near/behind beside/in beside/on "
        "near/in near/on about/by about/from about/to about/with about/against"
    ).split()
)
_NOT_OF_OBJECTS: Final = frozenset(["by", "with", "from", "about", "against"])


def roles(one: Signature, other: Signature) -> Iterable[tuple[str, bool]]:
    """What differs, and whether that is certain, between two texts that say the same words."""
    here, there = one.build, other.build
    if here.voice != there.voice and here.voice and there.voice:
        yield f"{here.voice} / {there.voice} asked for", True
    if _stranded(one, other) != _stranded(other, one):
        yield f"{' '.join(here.stranded) or 'none'} / {' '.join(there.stranded) or 'none'}", False
    if here.sides != there.sides:
        for word in here.sides.keys() & there.sides.keys():
            left, right = here.sides[word], there.sides[word]
            if not left & right and any(frozenset((a, b)) in _RIVALS for a in left for b in right):
                said = f"{' '.join(left)} / {' '.join(right)} {word}"
                yield said.replace("=", "").replace("~", "person "), False
    for left, right in ((here, there), (there, here)):
        links = right.sides.get(left.thing, frozenset()) - left.sides.get(left.thing, frozenset())
        if left.thing != right.thing and left.lead == right.lead and links & _NOT_OF_OBJECTS:
            yield f"{left.lead} {left.thing} / {' '.join(links)}".replace("=", ""), False
    for left, right in ((here, there), (there, here)):
        if (left.undergone - right.undergone) & right.acts:
            yield "what one does / what is done to one", False
        if left.needs and not right.needs and right.gets and not left.gets:
            yield "what one needs / what one gets", False
    if {here.modal, there.modal} == {"should", "may"} and one.asks not in {"how to", "may I"}:
        yield "what one should / what one may", False
    if here.choices != there.choices:
        mine = {(first, second): word for word, first, second in here.choices}
        for word, first, second in there.choices:
            if mine.get((first, second), word) != word:
                yield f"{first} and / or {second}", False
    if here.lead != there.lead and here.lead in other.content and there.lead in one.content:
        yield f"{here.lead} / {there.lead}".replace("=", ""), False


def _stranded(here: Signature, there: Signature) -> frozenset[str]:
    """The stranded prepositions; who teaches it is by whom it is taught."""
    is_passive = there.build.voice == "subject" and here.build.voice != "object"
    return here.build.stranded - {"by"} if is_passive else here.build.stranded
