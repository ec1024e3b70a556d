"""What a text asks for: how to, may I, when, who, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from farthing.levers.cache.semantic.token import Token

__all__ = ["asks_of"]

# What a text asks for. The first that is found counts; a text without any is a statement.
_ASKS: Mapping[str, str] = MappingProxyType(
    {
        "=howto": "how to", "=cani": "may I", "=where": "where", "=when": "when", "=why": "why",
        "=how_long": "how long", "=price": "what", "=whatis": "what", "=author": "who",
        "=inventor": "who", "=must_do": "must I", "=todo": "what now", "=how_soon": "how soon", "=min_age": "what", "=needed": "what", "=purpose": "what", "=population": "what", "=height": "what",
        "=age": "what", "=depth": "what", "=frequently": "how often", "where": "where", "when": "when", "why": "why", "who": "who",
        "whom": "whom", "whose": "whose", "how": "how", "what": "what", "which": "which",
    }
)  # fmt: skip
_MEASURES = frozenset(
    [
        "=quantity_of",
        "=number_of",
        "=weight",
        "=width",
        "=speed",
        "=temperature",
        "=size",
        "=distance",
    ]
)
_AUXILIARIES = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "should",
        "has",
        "have",
        "may",
        "am",
        "if",
        "whether",
    ]
)
_BE = (["is"], ["are"])
_MUST = frozenset(
    {
        "should",
        "must",
        "need",
        "needs",
        "needed",
        "necessary",
        "ought",
        "require",
        "requires",
        "required",
        "mandatory",
        "compulsory",
        "obligatory",
        "have to",
        "supposed",
    }
)
# A word that asks, wherever it stands.
_ABOVE_ALL: Mapping[str, str] = MappingProxyType(
    {"=cani_that": "may I", "=difference_between": "what"}
)


def asks_of(tokens: Sequence[Token]) -> str:
    """What an English text asks for; `statement` where it asks nothing."""
    raws = [token.raw for token in tokens]
    texts = {token.text for token in tokens}
    for text, asked in _ABOVE_ALL.items():
        if text in texts:
            return asked
    for index, token in enumerate(tokens):
        found = _asked_by(token)
        if found is not None:
            return _told_apart(found, token, raws, index)
    if _MUST & set(raws):
        return "must I"
    first = raws[0].split()[0] if raws else ""
    return "whether" if first in _AUXILIARIES or "=doyou" in texts else "statement"


def _asked_by(token: Token) -> str | None:
    if token.text in _MEASURES and token.raw.startswith(("how", "what")):
        return "what"
    return _ASKS.get(token.text) or _ASKS.get(token.raw)


def _told_apart(found: str, token: Token, raws: Sequence[str], index: int) -> str:
    """What a word asks for by the words beside it."""
    following = raws[index + 1 : index + 3]
    if found == "who" and _is_object(following):
        return "whom"
    if found == "whom" and raws[index - 1 : index] == ["by"]:
        return "who"
    if found == "what" and token.raw == "what" and _is_of_things(following):
        return "which"
    if found == "when" and (token.raw in {"when is", "when are"} or following[:1] in _BE):
        return "when is"
    return found


def _is_of_things(following: Sequence[str]) -> bool:
    """Whether `what` is which, or what someone does; not what something is."""
    return bool(following) and following[0] not in {"is", "are", "was", "were"}


def _is_object(following: Sequence[str]) -> bool:
    """Whether `who` is whom: who did Anna call, who should I call; not who called Anna."""
    if not following:
        return False
    is_modal = following[0] in {"should", "can", "could", "would", "will", "must"}
    pronoun = len(following) > 1 and following[1] in {"i", "we", "you", "they", "he", "she"}
    return following[0] in {"did", "do", "does"} or (is_modal and pronoun)
