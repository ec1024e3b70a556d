"""Guards: reasons why two texts that look alike must not share an answer.

A *veto* is certain enough to stand whatever a score or a certificate says: other numbers, names,
negation, opposites, roles. A *doubt* holds back where nothing has been proven yet: a word without
its like on the other side, another kind of question, another tense. Guards compare signatures
only, so a verdict can be given again later from what was stored.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from farthing.levers.cache.semantic.lexicon import LEXICON_VERSION, lexicon_for
from farthing.levers.cache.semantic.order import SYMMETRIC, reordered
from farthing.levers.cache.semantic.quoting import unquoted
from farthing.levers.cache.semantic.roles import roles
from farthing.levers.cache.semantic.signature import Signature
from farthing.levers.cache.semantic.slips import is_slip

__all__ = ["GUARDS_VERSION", "Comparison", "Finding", "compare"]

GUARDS_VERSION = f"6/{LEXICON_VERSION}"
_FLIPS = ("un", "in", "im", "ir", "il", "non", "dis", "de", "mis", "anti", "a", "counter")
_LIKE_ASKS = (
    frozenset({"what", "statement"}),
    frozenset({"what", "which"}),
    frozenset({"what", "how long"}),  # the length is a word that both have to say
    frozenset({"what now", "statement"}),
    frozenset({"which", "who"}),
    frozenset({"may I", "whether"}),
    frozenset({"what", "how"}),
    frozenset({"what", "when is"}),
    frozenset({"when", "when is"}),
    frozenset({"what", "who"}),
)
_HOW_TO = frozenset({"how to"})
_WHERE_OR_HOW = frozenset({"where", "how to"})
_VETO_OPERATORS = frozenset(
    [
        "!not",
        "!before",
        "!after",
        "!under",
        "!above",
        "!until",
        "!since",
        "!within",
        "!inside",
        "!outside",
        "!only",
        "!most",
        "!least",
        "!more",
        "!less",
        "!today",
        "!tonight",
        "!tomorrow",
        "!yesterday",
        "!monday",
        "!tuesday",
        "!wednesday",
        "!thursday",
        "!friday",
        "!saturday",
        "!sunday",
        "!january",
        "!february",
        "!april",
        "!june",
        "!july",
        "!august",
        "!september",
        "!october",
        "!november",
        "!december",
    ]
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason against; `detail` names what differs, for a log or a person."""

    guard: str
    detail: str
    kind: Literal["veto", "doubt"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All reasons against, and the words of each side that the other side does not say."""

    findings: tuple[Finding, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def is_vetoed(self) -> bool:
        """Whether a reason stands that no evidence outweighs."""
        return any(finding.kind == "veto" for finding in self.findings)

    @property
    def vetoes(self) -> frozenset[str]:
        """The guards that veto it."""
        return frozenset(one.guard for one in self.findings if one.kind == "veto")

    @property
    def is_clear(self) -> bool:
        """Whether there is no reason against at all, not even a doubt."""
        return not self.findings

    @property
    def unmatched_count(self) -> int:
        """Words that only one side says."""
        return len(self.unmatched[0]) + len(self.unmatched[1])


def compare(one: Signature, other: Signature) -> Comparison:
    """Every reason why `one` and `other` may not share an answer; symmetric."""
    if one.exact != other.exact:
        one, other = unquoted(one, other), unquoted(other, one)
    unmatched = _unmatched(one, other)
    found: list[Finding] = []
    for guard in _GUARDS:
        found += guard(one, other, unmatched)
    return Comparison(tuple(found), unmatched)


_Unmatched = tuple[tuple[str, ...], tuple[str, ...]]


def _unmatched(one: Signature, other: Signature) -> _Unmatched:
    left = [word for word in one.content if not _is_said(word, one, other)]
    right = [word for word in other.content if not _is_said(word, other, one)]
    may_slip = one.language == other.language == "en"
    for word in list(left) if may_slip else []:
        for match in right:
            if _is_slip(word, match, one, other):
                left.remove(word)
                right.remove(match)
                break
    return tuple(left), tuple(right)


def _is_said(word: str, here: Signature, there: Signature) -> bool:
    if word in there.content or here.content[word] in there.compounds:
        return True
    return any(
        here.content[word] in pair and pair in there.content.values() for pair in here.compounds
    )


def _is_slip(word: str, match: str, one: Signature, other: Signature) -> bool:
    if word in one.names and match in other.names and one.content[word] != other.content[match]:
        return False  # two names are two things, however alike
    return is_slip(one.content[word], other.content[match])


def _language(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    if one.language != other.language:
        yield Finding("language", f"{one.language} / {other.language}", "veto")
    if one.is_empty or other.is_empty:
        yield Finding("empty", "nothing to compare", "veto")


def _exact(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    if one.exact != other.exact:
        yield Finding("exact", _difference(one.exact, other.exact), "veto")


def _numbers(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    if one.quantities == other.quantities:
        return
    if Counter(one.quantities) != Counter(other.quantities):
        yield Finding("numbers", _difference(one.quantities, other.quantities), "veto")
    else:
        yield Finding(
            "order", " ".join(one.quantities) + " / " + " ".join(other.quantities), "veto"
        )


def _marks(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    """Marks that stand by themselves: pay in $, pay in €; C, C++."""
    here, there = Counter(_marks_of(one)), Counter(_marks_of(other))
    left, right = sorted((here - there).elements()), sorted((there - here).elements())
    if not (left or right):
        return
    said = f"{' '.join(left) or 'none'} / {' '.join(right) or 'none'}"
    is_money = any(map(_is_currency, left)) and any(map(_is_currency, right))
    kind: Literal["veto", "doubt"] = "veto" if left and right else "doubt"
    yield Finding("numbers" if is_money else "mark", said, kind)


def _marks_of(signature: Signature) -> Iterable[str]:
    steady = {"/", "&", "->", "=>", "→"}  # they join, and so do words or nothing
    for item in signature.row:
        if item[0] == "~" and not item[1:].isalpha() and item[1:] not in steady:
            yield item[1:]


def _is_currency(mark: str) -> bool:
    return unicodedata.category(mark[-1]) == "Sc"


def _operators(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    if one.operators == other.operators:
        return
    here, there = Counter(one.operators), Counter(other.operators)
    for name in sorted((here - there) + (there - here)):
        guard = "negation" if name == "!not" else "operator"
        side = f"{here[name]} / {there[name]} times {name[1:]}"
        yield Finding(guard, side, "veto" if name in _VETO_OPERATORS else "doubt")


def _links(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    """The same word behind another link: to London, from London; not paid, not shipped."""
    if one.links == other.links:
        return
    here, there = dict(_turned(one)), dict(_turned(other))
    for word in sorted(here.keys() & there.keys()):
        if here[word] != there[word] and _conflict(here[word], there[word]):
            said = " ".join(sorted(here[word])) + " / " + " ".join(sorted(there[word]))
            yield Finding("role", f"{word}: {said}".replace("~", "").replace("!", ""), "veto")
    for link in sorted({link for link, _ in one.links} & {link for link, _ in other.links}):
        targets = {word for name, word in one.links if name == link}
        rivals = {word for name, word in other.links if name == link}
        is_scoped = link[0] == "!" and link not in SYMMETRIC
        if is_scoped and targets <= set(other.row) and rivals <= set(one.row) and targets != rivals:
            yield Finding("scope", f"{link[1:]} {min(targets)} / {min(rivals)}", "veto")


def _turned(signature: Signature) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for link, word in signature.links:
        found.setdefault(word, set()).add(link)
    return {word: frozenset(links) for word, links in found.items()}


def _conflict(here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether the links of one word contradict each other: `to` on one side, `from` on the other."""
    rivals = ({"~from", "~to"}, {"~from", "~into"}, {"~than", "~to"}, {"!before", "!after"},
              {"!under", "!above"}, {"~from", "~onto"}, {"!within", "!after"}, {"!until", "!since"})  # fmt: skip
    return any(
        len(here & pair) == 1 and not there & pair & here and len(there & pair) == 1
        for pair in rivals
    )


def _opposites(one: Signature, other: Signature, unmatched: _Unmatched) -> Iterable[Finding]:
    opposites = lexicon_for(one.language).opposites
    for left in unmatched[0]:
        for right in unmatched[1]:
            if (
                frozenset((left, right)) in opposites
                or _is_flip(left, right)
                or _is_flip(right, left)
            ):
                yield Finding("opposite", f"{one.content[left]} / {other.content[right]}", "veto")


def _is_flip(bare: str, longer: str) -> bool:
    return len(bare) > 3 and any(longer == prefix + bare for prefix in _FLIPS)


def _names(one: Signature, other: Signature, unmatched: _Unmatched) -> Iterable[Finding]:
    for side, names in ((unmatched[0], one.names), (unmatched[1], other.names)):
        for word in side:
            if word in names:
                yield Finding("name", word.lstrip("="), "veto")


def _order(one: Signature, other: Signature, unmatched: _Unmatched) -> Iterable[Finding]:
    found = None if unmatched != ((), ()) else reordered(one, other)
    if found is not None:
        yield Finding("order", found.detail, "veto" if found.is_certain else "doubt")


def _roles(one: Signature, other: Signature, unmatched: _Unmatched) -> Iterable[Finding]:
    if one.language == "en" and one.build != other.build and unmatched == ((), ()):
        for detail, is_certain in roles(one, other):
            yield Finding("role", detail, "veto" if is_certain else "doubt")


def _coverage(one: Signature, other: Signature, unmatched: _Unmatched) -> Iterable[Finding]:
    for side, signature in ((unmatched[0], one), (unmatched[1], other)):
        for word in side:
            if word not in signature.names:
                yield Finding("word", signature.content[word], "doubt")


def _repeats(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    """Words said several times in a row; what a text says twice it may be asked to count."""
    here, there = (
        Counter(
            first for first, second in pairwise(side.row) if first == second and first[0] != "~"
        )
        for side in (one, other)
    )
    for word in sorted((here - there) + (there - here)):
        yield Finding("repeat", f"{word}: {here[word] + 1} / {there[word] + 1} times", "doubt")


def _asks(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    asked = frozenset((one.asks, other.asks))
    is_like = any(asked <= like for like in _LIKE_ASKS) or _is_place(asked, one, other)
    if len(asked) == 2 and not is_like:
        kind: Literal["veto", "doubt"] = "veto" if asked == frozenset({"who", "whom"}) else "doubt"
        yield Finding("question", f"{one.asks} / {other.asks}", kind)
    elif asked == _HOW_TO and one.build.looks_up != other.build.looks_up:
        yield Finding("question", "how to look it up / how to get it", "doubt")


def _is_place(asked: frozenset[str], one: Signature, other: Signature) -> bool:
    """Where one finds a setting or a fact is how one finds it."""
    if asked != _WHERE_OR_HOW or one.language != "en":
        return False
    on_screen = lexicon_for("en").on_screen & one.content.keys() & other.content.keys()
    return bool(on_screen) or (one.build.looks_up and other.build.looks_up)


def _grammar(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    if one.tense != other.tense and {"past", "future of whom"} & {one.tense, other.tense}:
        yield Finding("tense", f"{one.tense or 'present'} / {other.tense or 'present'}", "doubt")
    for word in one.owned.keys() & other.owned.keys():
        if one.owned[word] != other.owned[word]:
            yield Finding("count", f"{one.content.get(word)} / {other.content.get(word)}", "doubt")
    for word in one.owners.keys() & other.owners.keys():
        here, there = one.owners[word], other.owners[word]
        if here != there:
            said = f"{here} / {there} {one.content.get(word)}".replace("=", "")
            yield Finding("owner", said, "doubt")


def _persons(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    for ending in ("", "'s"):
        here = {person for person in one.persons if person.endswith("'s") == bool(ending)}
        there = {person for person in other.persons if person.endswith("'s") == bool(ending)}
        third = f"3{ending}"
        if (here and there and not here & there) or ((third in here) != (third in there)):
            yield Finding("person", f"{sorted(here)} / {sorted(there)}", "doubt")
    for general, particular in ((one, other), (other, one)):
        if general.is_definition and not particular.is_definition and "1's" in particular.persons:
            yield Finding("person", "a thing as such / one's own", "doubt")
        elif general.is_definition and particular.build.needs:
            yield Finding("question", "what it is / what it needs", "doubt")


def _length(one: Signature, other: Signature, _: _Unmatched) -> Iterable[Finding]:
    short, long = sorted((one.length, other.length))
    if long > 2 * short + 24:
        yield Finding("length", f"{short} / {long} characters", "doubt")


_GUARDS: tuple[Callable[[Signature, Signature, _Unmatched], Iterable[Finding]], ...] = (
    _language,
    _exact,
    _numbers,
    _marks,
    _operators,
    _links,
    _opposites,
    _names,
    _order,
    _roles,
    _coverage,
    _repeats,
    _asks,
    _grammar,
    _persons,
    _length,
)


def _difference(one: Iterable[str], other: Iterable[str]) -> str:
    here, there = Counter(one), Counter(other)
    return f"{' '.join(here - there) or 'none'} / {' '.join(there - here) or 'none'}"
