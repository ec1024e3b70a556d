"""Guards for who does what to whom, where words and their order are the same on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from farthing.levers.cache.semantic.signature import Signature
from farthing.levers.cache.semantic.syntax import Build

__all__ = ["roles"]

# Before the same thing, one contradicts the other: sold by Anna, sold to Anna.
_RIVAL_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "by": "to for from of than on as",
        "from": "to for with on as against",
        "for": "with against as on",
        "to": "against",
        "with": "against as from of",
        "on": "as off behind",
        "of": "as against",
        "than": "with for to of in on at",
        "in": "behind",
        "into": "from off",
        "onto": "from",
        "near": "behind in on",
        "beside": "in on",
        "about": "by from to with against",
    }
)
_RIVALS: Final = frozenset(
    frozenset((link, rival)) for link, rivals in _RIVAL_LISTS.items() for rival in rivals.split()
)
_NONE: Final = frozenset[str]()
_NOT_OF_OBJECTS: Final = frozenset(["by", "with", "from", "about", "against"])


def roles(one: Signature, other: Signature) -> Iterable[tuple[str, bool]]:
    """What differs, and whether that is certain, between two texts that say the same words."""
    here, there = one.build, other.build
    if here.voice != there.voice and here.voice and there.voice:
        yield f"{here.voice} / {there.voice} asked for", True
    for detail in chain(
        _links_left(one, other),
        _sides(here, there),
        _objects(here, there),
        _objects(there, here),
        _passives(here, there),
        _passives(there, here),
        _modals(one, other),
        _choices(here, there),
        _leads(one, other),
    ):
        yield detail.replace("=", "").replace("~", "person "), False


def _links_left(one: Signature, other: Signature) -> Iterable[str]:
    here, there = _stranded(one, other), _stranded(other, one)
    if here != there:
        yield f"{' '.join(here) or 'none'} / {' '.join(there) or 'none'}"


def _sides(here: Build, there: Build) -> Iterable[str]:
    for word in here.sides.keys() & there.sides.keys():
        left, right = here.sides[word], there.sides[word]
        if not left & right and any(frozenset((a, b)) in _RIVALS for a in left for b in right):
            yield f"{' '.join(left)} / {' '.join(right)} {word}"


def _objects(here: Build, there: Build) -> Iterable[str]:
    """Top up my card, top up by card."""
    links = there.sides.get(here.thing, _NONE) - here.sides.get(here.thing, _NONE)
    if here.thing != there.thing and here.lead == there.lead and links & _NOT_OF_OBJECTS:
        yield f"{here.lead} {here.thing} / {' '.join(links)}"


def _passives(here: Build, there: Build) -> Iterable[str]:
    if (here.undergone - there.undergone) & there.acts:
        yield "what one does / what is done to one"
    if here.needs and not there.needs and there.gets and not here.gets:
        yield "what one needs / what one gets"


def _modals(one: Signature, other: Signature) -> Iterable[str]:
    is_whether = one.asks in {"how to", "may I"}  # there the question itself says which
    if {one.build.modal, other.build.modal} == {"should", "may"} and not is_whether:
        yield "what one should / what one may"


def _choices(here: Build, there: Build) -> Iterable[str]:
    mine = {(first, second): word for word, first, second in here.choices}
    for word, first, second in there.choices:
        if mine.get((first, second), word) != word:
            yield f"{first} and / or {second}"


def _leads(one: Signature, other: Signature) -> Iterable[str]:
    here, there = one.build.lead, other.build.lead
    if here != there and here in other.content and there in one.content:
        yield f"{here} / {there}"


def _stranded(here: Signature, there: Signature) -> frozenset[str]:
    """The stranded prepositions; who teaches it is by whom it is taught."""
    is_passive = there.build.voice == "subject" and here.build.voice != "object"
    return here.build.stranded - {"by"} if is_passive else here.build.stranded
