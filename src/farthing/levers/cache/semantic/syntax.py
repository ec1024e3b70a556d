"""How a sentence is built, as far as its answer hangs on it: who acts, and what belongs to what.

Which countries sell oil to Japan, and which does Japan sell oil to: the same words, and neither
their order nor a preposition before a noun tells the two apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

from farthing.levers.cache.semantic.token import Token

__all__ = ["ASKING_TO_DO", "Build", "Voice", "build_of"]

Voice = Literal["", "subject", "object"]

_ASKED: Final = frozenset(["who", "whom", "which", "what"])
_DO: Final = frozenset(["do", "does", "did"])
_BE: Final = frozenset(["is", "are", "was", "were", "am", "be", "been"])
_MODAL: Final = frozenset(
    ["can", "could", "will", "would", "should", "must", "may", "shall", "might"]
)
_HAVE: Final = frozenset(["has", "have", "had"])
_BEFORE_NOUNS: Final = frozenset(["the", "a", "an", "my", "our", "your", "his", "her", "their", "this",
                                  "that", "these", "those", "its"])  # fmt: skip
_PRONOUNS: Final = frozenset(["i", "we", "you", "they", "he", "she", "it"])
_FRAMES: Final = frozenset(["=howto", "=cani", "=must_do", "=doyou"])
_NEEDING: Final = frozenset(["need", "needs", "needed", "require", "requires", "required"])
_SHOULD: Final = frozenset(["should", "must", "ought"])
_MAY: Final = frozenset(["can", "could", "may", "allowed", "able"])
_FIRST_PERSON: Final = frozenset(["i", "we"])
_UNDERGOING: Final = frozenset(["get", "getting", "be", "been", "am", "being", "got"])
_PARTICIPLE: Final = ("ed", "paid", "sent", "sold", "told", "given", "taken", "chosen", "hurt", "bitten",
                      "stung", "caught", "left", "taught", "seen", "found", "met", "bought", "hit")  # fmt: skip
ASKING_TO_DO: Final = frozenset(["=howto", "=cani"])  # frames that ask how, or whether, to do it
_NONE: Final = frozenset[str]()
_NO_SIDES: Final[Mapping[str, frozenset[str]]] = {}
_LOOK_UP: Final = frozenset(["=look_up", "=where"])
_NAMED_KINDS: Final = frozenset(["=which_country", "=which_city", "=which_person"])
_PHRASE_BEGINS: Final = _PRONOUNS | _BEFORE_NOUNS
_NOUN_PHRASE_MOST: Final = 4  # words between the word that asks and its verb
_PREPOSITIONS: Final = frozenset(
    ["for", "to", "from", "with", "by", "about", "of", "against", "than", "as"]
)
_OFTEN_IDLE: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {"where": ("to", "at"), "what": ("like",)}
)  # where is it at, what is it like
# Of two prepositions before the same thing one contradicts the other.
_PEOPLE: Final[Mapping[str, str]] = MappingProxyType(
    {"me": "1", "us": "1", "you": "2", "him": "3", "her": "3", "them": "3", "myself": "1"}
)
_SIDED: Final = frozenset(
    [*_PREPOSITIONS, "on", "in", "at", "into", "onto", "off", "behind", "near", "beside"]
)


@dataclass(frozen=True, slots=True)
class Build:
    """The build of one sentence.

    `voice`: whether what is asked for acts (who pays) or is acted upon (who do I pay).
    `stranded`: prepositions whose object is what is asked for, wherever they stand.
    `sides`: what stands behind which prepositions; people too.
    `choices`: the pairs that `and` or `or` joins.
    `lead`: what is to be done, where a text asks how or whether one can.
    `looks_up`: whether it asks for what one can look up; `needs`: for what is needed; `gets`: for
    what one gets. `modal`: whether it asks what one should do or what one may.
    `acts` is what the asker does, `undergone` what is done to him: I pay, I get paid.
    `thing`: what is next to the lead and may be its object.
    """

    voice: Voice
    stranded: frozenset[str]
    sides: Mapping[str, frozenset[str]]
    choices: frozenset[tuple[str, str, str]]
    lead: str
    looks_up: bool
    needs: bool
    gets: bool
    thing: str
    modal: str
    acts: frozenset[str]
    undergone: frozenset[str]


def build_of(tokens: Sequence[Token], silent: Collection[str]) -> Build:
    """How a text without its fillers is built; `silent` words carry no meaning of their own."""
    raws = {token.raw for token in tokens}
    texts = {token.text for token in tokens}
    lead = _lead(tokens, silent) if not texts.isdisjoint(ASKING_TO_DO) else ""
    has_prepositions = not raws.isdisjoint(_SIDED)
    has_me = not raws.isdisjoint(_FIRST_PERSON) or bool(lead) or "=must_do" in texts
    has_choice = "and" in raws or "or" in raws
    return Build(
        voice=_voice(tokens),
        stranded=frozenset(_stranded(tokens)) if has_prepositions else _NONE,
        sides=_sides(tokens) if has_prepositions else _NO_SIDES,
        choices=frozenset(_choices(tokens, silent)) if has_choice else frozenset(),
        lead=lead,
        looks_up=not texts.isdisjoint(_LOOK_UP),
        needs=not raws.isdisjoint(_NEEDING),
        gets="=get" in texts,
        modal=_modal(texts, raws),
        acts=frozenset(_acts(tokens, lead)) if has_me else _NONE,
        undergone=_NONE if raws.isdisjoint(_UNDERGOING) else frozenset(_undergone(tokens)),
        thing=_thing(tokens, lead),
    )


def _voice(tokens: Sequence[Token]) -> Voice:
    at = next((at for at, token in enumerate(tokens) if _first(token.raw) in _ASKED), None)
    if at is None or any(token.text in _FRAMES for token in tokens[:at]):
        return ""
    if " " in tokens[at].raw and tokens[at].text not in _NAMED_KINDS:
        return ""
    behind = tokens[at + 1 : at + 2 + _NOUN_PHRASE_MOST]
    for place, token in enumerate(behind):
        if token.text in _FRAMES or token.raw in _DO:
            return "object"
        if token.raw in _MODAL or token.raw in _HAVE:
            return _voice_of_modal(token, behind[place + 1 : place + 2], is_first=place == 0)
        if token.raw in _BE or token.raw in _PRONOUNS:
            return ""
    return "subject" if at + 2 < len(tokens) else ""


def _voice_of_modal(verb: Token, following: Sequence[Token], *, is_first: bool) -> Voice:
    """Who can call, who can I call."""
    if not following:
        return ""
    is_acted_upon = following[0].raw in _PHRASE_BEGINS or following[0].kind == "name"
    if verb.raw in _MODAL:
        return "object" if is_acted_upon else "subject"
    return "object" if is_acted_upon and not is_first else ""


def _first(raw: str) -> str:
    return raw.partition(" ")[0]


def _stranded(tokens: Sequence[Token]) -> Iterable[str]:
    """Prepositions without a noun behind them, and those before the word that asks."""
    asked = next((token.raw for token in tokens if token.raw in _ASKED or token.raw == "where"), "")
    if not asked:
        return
    idle = _OFTEN_IDLE.get(asked, ())
    last = len(tokens) - 1
    for at, token in enumerate(tokens):
        if token.kind != "stop" or token.raw not in _PREPOSITIONS or token.raw in idle:
            continue
        is_open = at == last or (
            tokens[at + 1].kind == "stop" and tokens[at + 1].raw in _PREPOSITIONS
        )
        is_fronted = at < last and tokens[at + 1].raw in _ASKED
        if (is_open and at) or is_fronted:
            yield token.raw


def _sides(tokens: Sequence[Token]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    link = ""
    for token in tokens:
        raw = token.raw
        if token.kind == "stop":
            if raw in _PEOPLE:
                if link:
                    found.setdefault(f"~{_PEOPLE[raw]}", set()).add(link)
                link = ""
            elif raw in _SIDED:
                link = raw
            elif raw not in _BEFORE_NOUNS:
                link = ""
        elif token.kind != "mark":
            if link:
                found.setdefault(token.text, set()).add(link)
            link = ""
    return {word: frozenset(links) for word, links in found.items()}


def _choices(tokens: Sequence[Token], silent: Collection[str]) -> Iterable[tuple[str, str, str]]:
    for at, token in enumerate(tokens):
        if token.raw not in {"and", "or"} or not 0 < at < len(tokens) - 1:
            continue
        behind = next((one for one in tokens[at + 1 :] if one.raw not in _BEFORE_NOUNS), None)
        if behind is not None and not {behind.kind, tokens[at - 1].kind} & {"stop", "mark"}:
            first, second = sorted((tokens[at - 1].text, behind.text))
            if first not in silent and second not in silent:
                yield token.raw, first, second


def _lead(tokens: Sequence[Token], silent: Collection[str]) -> str:
    """The first word behind `how do I` or `can I`: the verb."""
    for at, token in enumerate(tokens[:-1]):
        if token.text in {"=howto", "=cani"}:
            verb = tokens[at + 1]
            is_verb = verb.kind == "word" and verb.text not in silent
            is_verb = is_verb and not token.raw.endswith((" for", " of", " in", " with"))
            return verb.text if is_verb else ""
    return ""


def _thing(tokens: Sequence[Token], lead: str) -> str:
    """The word right behind the lead, articles aside."""
    if not lead:
        return ""
    at = next(place for place, token in enumerate(tokens) if token.text == lead)
    for token in tokens[at + 1 :]:
        if token.raw not in _BEFORE_NOUNS:
            return token.text if token.kind in {"word", "name"} else ""
    return ""


def _modal(texts: Collection[str], raws: Collection[str]) -> str:
    is_may = "=cani" in texts or not _MAY.isdisjoint(raws)
    if not _SHOULD.isdisjoint(raws):
        return "" if is_may else "should"
    return "may" if is_may else ""


def _acts(tokens: Sequence[Token], lead: str) -> Iterable[str]:
    if lead:
        yield lead
    for first, second in pairwise(tokens):
        if (first.raw in _FIRST_PERSON or first.text == "=must_do") and second.kind == "word":
            yield second.text


def _undergone(tokens: Sequence[Token]) -> Iterable[str]:
    """What the asker has done to him: am I insured, do I get paid."""
    for at, token in enumerate(tokens):
        if token.raw in _UNDERGOING:
            following = tokens[at + 1 : at + 3]
            for one in following:
                if one.kind == "word" and one.raw.endswith(_PARTICIPLE):
                    yield one.text
                if one.raw not in _FIRST_PERSON:
                    break
