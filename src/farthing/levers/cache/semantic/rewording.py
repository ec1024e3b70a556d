"""Constructions that are said in two ways, as one: do not work, not work; keep from, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.syntax import ASKING_TO_DO
from farthing.levers.cache.semantic.token import Token

__all__ = ["reworded"]

_INVERTED: Final = frozenset(
    ["do", "does", "did", "is", "are", "was", "were", "can", "could", "will", "would", "should",
     "has", "have", "had"]
)  # fmt: skip
# Behind these a `not` belongs to what follows it and to nothing else.
_NOT_BEHIND: Final = _INVERTED | {"a", "an", "the", "to", "and", "or", "but", "that", "which", "who",
                                  "if", "when", "be", "been", "am"}  # fmt: skip
_LOOKING_UP: Final = frozenset(["=find", "=view", "check", "=find_out", "=get"])
_WITH_ME: Final = (("with", "me"), ("with", "us"))
_AMBIGUOUS: Final = frozenset(["=get", "take", "=join", "=app", "order", "hav", "have"])
_TIMES: Final = frozenset(["day", "week", "month", "hour", "minut", "year"])
_NOT_LASTING_BEHIND: Final = frozenset(
    [
        "i",
        "we",
        "you",
        "to",
        "the",
        "my",
        "our",
        "your",
        "this",
        "that",
        "his",
        "her",
        "their",
        "people",
        "they",
    ]
)
_LASTING: Final = frozenset(["last", "lasts"])
_TAKING: Final = _LASTING | {"take", "takes"}
_TO_A_PLACE: Final = frozenset(
    ("to", article) for article in ("the", "a", "an", "my", "our", "your")
)
_ABOARD: Final = frozenset(["on", "onto", "aboard", "into", "through", "to"])
_SCHEMES: Final = frozenset(
    ["=pension", "=state_pension", "scheme", "program", "=loyalty", "=class_course", "=gym"]
)
_APPLIED_FOR: Final = frozenset(
    ["passport", "visa", "=mortgage", "loan", "=job", "=university", "benefit", "=benefit", "grant",
     "permit", "license", "card", "credit", "leave", "membership", "colleg", "school", "=class_course",
     "plan", "=insurance", "citizenship", "patent", "=driving_licence", "=scholarship", "residenc"]
)  # fmt: skip
_OF_APPLYING: Final = frozenset(
    (word,) for word in ("for", "form", "fee", "deadline", "status", "letter")
)
_SITUATED: Final = frozenset(["located", "situated", "kept"])
_PLURAL_PRONOUNS: Final = frozenset(["they", "them"])
_KINDS_OF_CAPITAL: Final = frozenset(["=which_city"])
_REACH: Final = 5  # words from the verb to what is looked up
_OWNED: Final = frozenset(["my", "our", "the", "your"])


def reworded(tokens: list[Token], lexicon: Lexicon) -> tuple[Token, ...]:
    """The tokens of an English text with such constructions in one form."""
    if not tokens:
        return ()
    texts = {token.text for token in tokens}
    for word, turn in _BY_WORD.items():
        if word in texts:
            tokens = turn(tokens, next(at for at, one in enumerate(tokens) if one.text == word))
    tokens = _ends(tokens)
    if not _AMBIGUOUS.isdisjoint(texts):
        _tell_apart(tokens)
    if not _PLURAL_PRONOUNS.isdisjoint(texts):
        tokens = _without_anaphors(tokens)
    if not _LOOKING_UP.isdisjoint(texts):
        _look_up(tokens, lexicon)
    return tuple(tokens)


def _ends(tokens: list[Token]) -> list[Token]:
    """What is said by the first and the last words together."""
    first, last = tokens[0], tokens[-1]
    if first.raw == "where":
        return [token for token in tokens if token.raw not in _SITUATED]
    if first.raw == "what" and last.text == "=mean":
        tokens[-1] = last._replace(text="=whatis")
    if first.raw == "what" and last.raw == "for" and len(tokens) > 3:
        return _purpose(tokens)
    if len(tokens) > 2 and last.raw in {"made", "did"} and tokens[-2].raw in {"i", "we"}:
        return tokens[:-2]  # the last commit I made
    return tokens


def _purpose(tokens: list[Token]) -> list[Token]:
    """What is it for, what is it used for: what is the purpose of it."""
    if tokens[1].raw not in {"is", "are"}:
        return tokens
    kept = tokens[:-2] if tokens[-2].text == "=use" else tokens[:-1]
    return [*kept, Token("=purpose", "for", "word")]


def _tell_apart(tokens: list[Token]) -> None:
    """Words that mean one thing or another by what stands beside them."""
    for at, token in enumerate(tokens):
        told = _MEANT.get(token.text) or _MEANT.get(token.raw)
        if told is not None:
            meant, is_meant = told
            before = tokens[at - 1].text if at else ""
            if is_meant(before, token, tokens[at + 1 : at + 1 + _REACH]):
                tokens[at] = token._replace(text=meant, kind="word")


def _is_to_a_place(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    del before, token
    return _raws(ahead[:2]) in _TO_A_PLACE


def _is_aboard(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    del token
    return before == "=cani" and not _ABOARD.isdisjoint(_raws(ahead))


def _is_with_me(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    del before, token
    return any(pair in _WITH_ME for pair in pairwise(_raws(ahead)))


def _is_by(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    del token
    return before in ASKING_TO_DO and "by" in _raws(ahead)


def _is_of_scheme(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    del before, token
    return any(one.text in _SCHEMES for one in ahead)


def _is_applying(before: str, token: Token, ahead: Sequence[Token]) -> bool:
    is_for_it = before in _APPLIED_FOR or _raws(ahead[:1]) in _OF_APPLYING
    return is_for_it and token.raw.startswith("application")


_MEANT: Final[Mapping[str, tuple[str, Callable[[str, Token, Sequence[Token]], bool]]]] = (
    MappingProxyType(
        {
            "=get": ("=arrive", _is_to_a_place),
            "take": ("=bring", _is_aboard),
            "have": ("=bring", _is_with_me),
            "order": ("sort", _is_by),
            "=join": ("=signup", _is_of_scheme),
            "=app": ("=apply", _is_applying),
        }
    )
)


def _command(tokens: list[Token], at: int) -> list[Token]:
    """Which command lists the files: how do I list the files."""
    is_asked_for = at == 1 and tokens[0].raw in {"what", "which"} and tokens[1].raw == "command"
    if is_asked_for and len(tokens) > 3 and tokens[2].kind == "word":
        return [Token("=howto", "which command", "word"), *tokens[2:]]
    return tokens


def _capital(tokens: list[Token], at: int) -> list[Token]:
    """Which city is the capital: what is the capital."""
    del at
    return [
        Token("which", "which", "stop") if token.text in _KINDS_OF_CAPITAL else token
        for token in tokens
    ]


def _process(tokens: list[Token], at: int) -> list[Token]:
    """A verb, behind `how do I`; else nothing: the process of."""
    if at and tokens[at - 1].text in ASKING_TO_DO:
        tokens[at] = tokens[at]._replace(kind="word")
    return tokens


def _count_time(tokens: list[Token], at: int) -> list[Token]:
    """How many days something takes is how long it takes."""
    is_time = at + 1 < len(tokens) and tokens[at + 1].text in _TIMES
    if is_time and any(token.raw in _TAKING for token in tokens[at + 2 :]):
        tokens[at : at + 2] = [tokens[at]._replace(text="=how_long")]
        return _how_long(tokens, at)
    return tokens


def _how_long(tokens: list[Token], at: int) -> list[Token]:
    del at
    return [token for place, token in enumerate(tokens) if not _is_lasting(tokens, place)]


def _is_lasting(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word says only that something goes on: how long does it last."""
    if tokens[at].raw not in _LASTING or not at:
        return False
    return tokens[at - 1].raw not in _NOT_LASTING_BEHIND


def _raws(tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(token.raw for token in tokens)


def _without_anaphors(tokens: Sequence[Token]) -> list[Token]:
    """Without `they` and `them` where several things were named before."""
    found: list[Token] = []
    is_plural = False
    for token in tokens:
        if is_plural and token.raw in _PLURAL_PRONOUNS:
            continue
        is_plural |= token.kind == "word" and token.raw.endswith("s")
        found.append(token)
    return found


def _turn_negation(tokens: list[Token], at: int) -> list[Token]:
    """Why does it not run, as why does not it run: the form of why doesn't it run."""
    if tokens[at].raw != "not" or at < 2 or tokens[at - 1].raw in _NOT_BEHIND:
        return tokens
    verb = next((place for place in range(min(3, at)) if tokens[place].raw in _INVERTED), None)
    is_only = all(token.text != "!not" for token in tokens[at + 1 :])
    if verb is not None and is_only and _INVERTED.isdisjoint(_raws(tokens[verb + 1 : at])):
        tokens.insert(verb + 1, tokens.pop(at))
    return tokens


def _keep_from(tokens: list[Token], at: int) -> list[Token]:
    """Keep it from sticking, as stop it sticking."""
    for place in range(at + 2, min(at + 6, len(tokens) - 1)):
        if tokens[place].raw == "from" and tokens[place + 1].raw.endswith("ing"):
            tokens[at] = tokens[at]._replace(text="=give_up")
            del tokens[place]
            break
    return tokens


_BY_WORD: Final[Mapping[str, Callable[[list[Token], int], list[Token]]]] = MappingProxyType(
    {
        "!not": _turn_negation,
        "keep": _keep_from,
        "process": _process,
        "command": _command,
        "=capital_city": _capital,
        "=number_of": _count_time,
        "=how_long": _how_long,
    }
)


def _look_up(tokens: list[Token], lexicon: Lexicon) -> None:
    """Find, see, check one's number, or where it is: one question."""
    for at, token in enumerate(tokens):
        is_owned = at + 1 < len(tokens) and tokens[at + 1].raw in _OWNED
        if token.text not in _LOOKING_UP or (token.text == "=get" and not is_owned):
            continue
        if _has_fact(tokens[at + 1 : at + 1 + _REACH], lexicon):
            tokens[at] = token._replace(text="=look_up")


def _has_fact(tokens: Sequence[Token], lexicon: Lexicon) -> bool:
    return any(token.text in lexicon.facts for token in tokens if token.kind != "stop")
