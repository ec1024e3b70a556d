"""Constructions that are said in two ways, as one: do not work, not work; keep from, stop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from farthing.levers.cache.semantic.lexicon import Lexicon
from farthing.levers.cache.semantic.token import Token

__all__ = ["reworded"]

_INVERTED: Final = frozenset(
    ["do", "does", "did", "is", "are", "was", "were", "can", "could", "will", "would", "should",
     "has", "have", "had"]
)  # fmt: skip
# Behind these a `not` belongs to what follows it and to nothing else.
_NOT_BEHIND: Final = _INVERTED | {"a", "an", "the", "to", "and", "or", "but", "that", "which", "who",
                                  "if", "when", "be", "been", "am"}  # fmt: skip
_LOOKING_UP: Final = frozenset(["=find", "=view", "check", "=find_out"])
_AMBIGUOUS: Final = frozenset(["=get", "take", "=join", "=app", "order", "hav", "have"])
_TIMES: Final = frozenset(["day", "week", "month", "hour", "minut", "year"])
_NOT_LASTING_BEHIND: Final = frozenset(["i", "we", "you", "to", "the", "my", "our", "your", "this", "that", "his", "her", "their", "people", "they"])
_LASTING: Final = frozenset(["take", "takes", "taking", "last", "lasts"])
_TO_A_PLACE: Final = frozenset(("to", article) for article in ("the", "a", "an", "my", "our", "your"))
_ABOARD: Final = frozenset(["on", "onto", "aboard", "into", "through", "to"])
_SCHEMES: Final = frozenset(["=pension", "=state_pension", "scheme", "program", "=loyalty", "=class_course", "=gym"])
_APPLIED_FOR: Final = frozenset(
    ["passport", "visa", "=mortgage", "loan", "=job", "=university", "benefit", "=benefit", "grant",
     "permit", "license", "card", "credit", "leave", "membership", "colleg", "school", "=class_course",
     "plan", "=insurance", "citizenship", "patent", "=driving_licence", "=scholarship", "residenc"]
)  # fmt: skip
_OF_APPLYING: Final = frozenset((word,) for word in ("for", "form", "fee", "deadline", "status", "letter"))
_SITUATED: Final = frozenset(["located", "situated", "kept"])
_PLURAL_PRONOUNS: Final = frozenset(["they", "them"])
_REACH: Final = 5  # words from the verb to what is looked up
_OWNED: Final = frozenset(["my", "our", "the", "your"])


def reworded(tokens: list[Token], lexicon: Lexicon) -> tuple[Token, ...]:
    """The tokens of an English text with such constructions in one form."""
    texts = [token.text for token in tokens]
    if "!not" in texts:
        _turn_negation(tokens, texts.index("!not"))
    if "keep" in texts:
        _keep_from(tokens, texts.index("keep"))
    is_asked_for = tokens and tokens[-1].raw == "for" and tokens[0].raw in {"what", "whats"}
    if is_asked_for and len(tokens) > 3 and tokens[1].raw in {"is", "are"}:
        at = len(tokens) - 1
        tokens[at] = Token("=purpose", "for", "word")
        if tokens[at - 1].text == "=use":
            del tokens[at - 1]
    if "process" in texts:
        at = texts.index("process")
        if at and texts[at - 1] in {"=howto", "=cani"}:
            tokens[at] = tokens[at]._replace(kind="word")
    if tokens and tokens[-1].text == "=mean" and tokens[0].raw == "what":
        tokens[-1] = tokens[-1]._replace(text="=whatis")
    if "=number_of" in texts:
        _count_time(tokens, texts.index("=number_of"))
    if any(token.text == "=how_long" for token in tokens):
        tokens = [token for at, token in enumerate(tokens) if not _is_lasting(tokens, at)]
    if not _AMBIGUOUS.isdisjoint(texts):
        _tell_apart(tokens)
    if tokens and tokens[0].raw == "where":
        tokens = [token for token in tokens if token.raw not in _SITUATED]
    if len(tokens) > 2 and tokens[-1].raw in {"made", "did"} and tokens[-2].raw in {"i", "we"}:
        del tokens[-2:]  # the last commit I made
    if any(token.raw in _PLURAL_PRONOUNS for token in tokens):
        tokens = _without_anaphors(tokens)
    if not _LOOKING_UP.isdisjoint(texts) or "=get" in texts:
        _look_up(tokens, lexicon)
    return tuple(tokens)


def _tell_apart(tokens: list[Token]) -> None:
    """Words that mean one thing or another by what stands beside them."""
    for at, token in enumerate(tokens):
        ahead = tokens[at + 1 : at + 1 + _REACH]
        if token.text == "=get" and _raws(ahead)[:2] in _TO_A_PLACE:
            tokens[at] = token._replace(text="=arrive")
        elif token.text == "take" and at and tokens[at - 1].text == "=cani":
            if not _ABOARD.isdisjoint(_raws(ahead)):
                tokens[at] = token._replace(text="=bring")
        elif token.raw == "have" and any(
            first.raw == "with" and second.raw in {"me", "us"} for first, second in pairwise(ahead)
        ):
            tokens[at] = Token("=bring", "have", "word")
        elif token.raw == "order" and at and tokens[at - 1].text in {"=howto", "=cani"}:
            if "by" in _raws(ahead):
                tokens[at] = token._replace(text="sort")
        elif token.text == "=join":
            if any(one.text in _SCHEMES for one in ahead):
                tokens[at] = token._replace(text="=signup")
        elif token.text == "=app" and token.raw.startswith("application"):
            is_behind = at > 0 and tokens[at - 1].text in _APPLIED_FOR
            if is_behind or _raws(ahead)[:1] in _OF_APPLYING:
                tokens[at] = token._replace(text="=apply")


def _count_time(tokens: list[Token], at: int) -> None:
    """How many days something takes is how long it takes."""
    is_time = at + 1 < len(tokens) and tokens[at + 1].text in _TIMES
    if is_time and any(token.raw in _LASTING for token in tokens[at + 2 :]):
        tokens[at : at + 2] = [tokens[at]._replace(text="=how_long")]


def _is_lasting(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word says only that something goes on: how long does it take, last."""
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


def _turn_negation(tokens: list[Token], at: int) -> None:
    """Why does it not run, as why does not it run: the form of why doesn't it run."""
    if tokens[at].raw != "not" or at < 2 or tokens[at - 1].raw in _NOT_BEHIND:
        return
    verb = next((place for place in range(min(3, at)) if tokens[place].raw in _INVERTED), None)
    if verb is None or any(token.text == "!not" for token in tokens[at + 1 :]):
        return
    if not any(token.raw in _NOT_BEHIND and token.raw in _INVERTED for token in tokens[verb + 1 : at]):
        tokens.insert(verb + 1, tokens.pop(at))


def _keep_from(tokens: list[Token], at: int) -> None:
    """Keep it from sticking, as stop it sticking."""
    for place in range(at + 2, min(at + 6, len(tokens) - 1)):
        if tokens[place].raw == "from" and tokens[place + 1].raw.endswith("ing"):
            tokens[at] = tokens[at]._replace(text="=give_up")
            del tokens[place]
            return


def _look_up(tokens: list[Token], lexicon: Lexicon) -> None:
    """Find, see, check one's number, or where it is: one question."""
    for at, token in enumerate(tokens):
        is_owned = at + 1 < len(tokens) and tokens[at + 1].raw in _OWNED
        if token.text not in _LOOKING_UP and not (token.text == "=get" and is_owned):
            continue
        if _has_fact(tokens[at + 1 : at + 1 + _REACH], lexicon):
            tokens[at] = token._replace(text="=look_up")


def _has_fact(tokens: Sequence[Token], lexicon: Lexicon) -> bool:
    return any(token.text in lexicon.facts for token in tokens if token.kind != "stop")
