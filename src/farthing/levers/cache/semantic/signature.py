"""Signatures: what of a text the guards compare. Made once per text and kept with the entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from farthing.levers.cache.semantic.asking import asks_of
from farthing.levers.cache.semantic.lexicon import language_of, lexicon_for
from farthing.levers.cache.semantic.symbols import layout
from farthing.levers.cache.semantic.syntax import Build, build_of
from farthing.levers.cache.semantic.token import Token
from farthing.levers.cache.semantic.wording import plain_text, read_tokens

__all__ = ["BETWEEN_VARIABLES", "PARTING", "Signature", "sign"]

PARTING = "\x1f"  # the unit separator: white space to whoever reads words
BETWEEN_VARIABLES = f"\n{PARTING}\n"

_SILENT = frozenset(
    {
        "=howto",
        "=cani",
        "=doyou",
        "=whatis",
        "=get",
        "=where",
        "=when",
        "=why",
        "=must_do",
        "=compute",
        "=todo",
        "=cani_that",
        "=look_up",
    }
)
_ASKERS = frozenset({"=cani", "=must_do"})  # who asks would do it
_BETWEEN_PEOPLE = frozenset(["give", "tell", "need", "want", "like", "let"])  # verbs among `stop`
_PAST = frozenset({"did", "was", "were", "had"})
_SUBJECTS = frozenset({"i", "we", "you", "they", "he", "she"})
_FUTURE = frozenset({"will", "shall"})
_PERSONS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(["i", "me", "we", "us", "myself", "ourselves"], "1"),
        **dict.fromkeys(["you", "yourself"], "2"),
        **dict.fromkeys(
            [
                "he",
                "him",
                "she",
                "her",
                "they",
                "them",
                "himself",
                "herself",
            ],
            "3",
        ),
        **dict.fromkeys(["my", "mine", "our", "ours"], "1's"),
        **dict.fromkeys(["your", "yours"], "2's"),
        **dict.fromkeys(["his", "hers", "their", "theirs"], "3's"),
    }
)
_OWNERS: Mapping[str, str] = MappingProxyType(
    {**{raw: who for raw, who in _PERSONS.items() if who.endswith("'s")}, "her": "3's"}
)
_OWNING = frozenset(
    ["my", "our", "your", "his", "her", "their", "this", "that", "these", "those", "one", "single"]
)
_POINTING = _OWNING | {"the"}
# Words of place and direction: what follows them takes a part that it can't swap.
_LINKS = frozenset(
    [
        "from",
        "to",
        "into",
        "onto",
        "by",
        "than",
        "of",
        "against",
        "via",
        "for",
        "with",
        "in",
        "on",
        "at",
        "through",
        "across",
        "toward",
        "towards",
        "over",
        "out",
        "off",
        "up",
        "down",
        "as",
        "->",
        "=>",
        "→",
        ">",
        "<",
    ]
)
_DIRECTED = frozenset(
    ["from", "to", "into", "onto", "by", "than", "against", "via", "->", "=>", "→", ">", "<", "as"]
)
_STEADY = frozenset(["and", "or", "vs", "&", "+", "between"])  # what stands at their sides may swap


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What is compared of one text.

    `content` maps the compared form of each word that carries meaning to the word as written.
    `row` is the text's order: content, names, amounts, operators and the links between them.
    `cast` is the row with the persons in it and without the links: who does what to whom.
    `owners` says whose a word is; `is_definition` that what is asked for is nobody's: what is a PIN.
    `links` are the pairs (link or operator, what follows it). `length` counts the characters of the
    words, without those of greetings and thanks. `parts` are the variables, where there are several.
    """

    language: str
    plain: str
    length: int
    content: Mapping[str, str]
    compounds: frozenset[str]
    names: frozenset[str]
    operators: tuple[str, ...]
    quantities: tuple[str, ...]
    exact: tuple[str, ...]
    row: tuple[str, ...]
    cast: tuple[str, ...]
    links: frozenset[tuple[str, str]]
    asks: str
    tense: str
    persons: frozenset[str]
    owned: Mapping[str, bool]
    owners: Mapping[str, str]
    is_definition: bool
    build: Build
    parts: tuple[Signature, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to compare; such a text matches nothing."""
        return not (self.content or self.quantities or self.exact)


def sign(text: str) -> Signature:
    """The signature of a text, in the language its function words tell."""
    language = language_of(text)
    lexicon = lexicon_for(language)
    plain = plain_text(text)
    tokens = [token for token in read_tokens(plain, lexicon) if token.kind != "filler"]
    kept = [
        token for token in tokens if token.kind in {"word", "name"} and token.text not in _SILENT
    ]
    row = tuple(_row(tokens))
    return Signature(
        language=language,
        plain=plain,
        length=sum(len(token.raw) + 1 for token in tokens),
        content={token.text: token.raw for token in kept},
        compounds=frozenset(_compounds(tokens)),
        names=frozenset(token.text for token in kept if token.kind == "name"),
        operators=tuple(sorted(token.text for token in tokens if token.kind == "operator")),
        quantities=tuple(token.text for token in tokens if token.kind == "quantity"),
        exact=tuple(sorted([*layout(text), *(t.text for t in tokens if t.kind == "exact")])),
        row=row,
        cast=tuple(_cast(tokens)),
        links=frozenset(_links(row)),
        asks=asks_of(tokens) if language == "en" else "",
        tense=_tense(tokens),
        persons=frozenset(_PERSONS[token.raw] for token in tokens if token.raw in _PERSONS),
        owned=_owned(tokens),
        owners=_owners(tokens),
        is_definition=_is_definition(tokens),
        build=build_of(tokens, _SILENT),
        parts=_parts(text),
    )


def _parts(text: str) -> tuple[Signature, ...]:
    if BETWEEN_VARIABLES not in text:
        return ()
    return tuple(sign(part) for part in text.split(BETWEEN_VARIABLES))


def _row(tokens: Sequence[Token]) -> Iterable[str]:
    for token in tokens:
        if token.kind == "stop":
            if token.raw in _LINKS or token.raw in _STEADY:
                yield f"~{token.raw}"
        elif token.kind == "mark":
            yield f"~{token.raw}"
        elif token.text not in _SILENT:
            yield token.text


def _cast(tokens: Sequence[Token]) -> Iterable[str]:
    for token in tokens:
        person = "1" if token.text in _ASKERS else _PERSONS.get(token.raw, "'s")
        if not person.endswith("'s"):
            yield f"~{person}"
        elif token.raw in _BETWEEN_PEOPLE:
            yield f"~{token.raw}"
        elif token.kind not in {"stop", "mark"} and (
            token.text not in _SILENT or token.text == "=get"
        ):
            yield token.text


def _links(row: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Each directed link or operator with the next thing that carries meaning."""
    waiting: list[str] = []
    for item in row:
        if item[0] == "!" or (item[0] == "~" and item[1:] in _DIRECTED):
            waiting.append(item)
        elif item[0] != "~":
            for link in waiting:
                yield link, item
            waiting = []


def _compounds(tokens: Sequence[Token]) -> Iterable[str]:
    """Neighbouring words written as one: `drop down` is `dropdown`."""
    for first, second in pairwise(tokens):
        if first.kind in {"word", "name", "stop"} and second.kind in {"word", "name", "stop"}:
            yield first.raw + second.raw


def _tense(tokens: Sequence[Token]) -> str:
    words = {token.raw for token in tokens}
    if words & _PAST:
        return "past"
    if words & _FUTURE:
        return "future of whom" if tokens[0].raw == "who" else "future"
    if _has_bare_past(tokens):
        return "past"
    if any(
        first.raw in {"have", "has"} and second.raw in _SUBJECTS
        for first, second in pairwise(tokens)
    ):
        return "past"
    is_perfect = tokens and tokens[0].raw in {"has", "have"}
    return "past" if is_perfect and tokens[1:] and tokens[1].raw != "to" else ""


def _has_bare_past(tokens: Sequence[Token]) -> bool:
    """Who discovered it, what caused it: a past that no auxiliary tells."""
    if not tokens:
        return False
    if tokens[0].text in {"=why", "=inventor", "=author"}:
        return tokens[0].raw.endswith("caused") or tokens[0].text != "=why"
    is_who = tokens[0].raw == "who" and len(tokens) > 1
    return is_who and tokens[1].kind == "word" and tokens[1].raw.endswith("ed")


def _owned(tokens: Sequence[Token]) -> Mapping[str, bool]:
    """Words right after a word of owning or pointing, and whether they are plural."""
    return {
        second.text: second.raw.endswith("s") and not second.raw.endswith("ss")
        for first, second in pairwise(tokens)
        if first.raw in _OWNING and second.kind in {"word", "name"}
    }


def _owners(tokens: Sequence[Token]) -> Mapping[str, str]:
    return {
        second.text: first.text if first.is_owner else _OWNERS[first.raw]
        for first, second in pairwise(tokens)
        if (first.is_owner or first.raw in _OWNERS) and second.kind in {"word", "name"}
    }


def _is_definition(tokens: Sequence[Token]) -> bool:
    raws = [token.raw for token in tokens[:3]]
    if tokens and tokens[0].text == "=whatis":
        return True
    return raws[:1] == ["what"] and raws[1:2] in (["is"], ["are"]) and not _POINTING & set(raws[2:])
