"""Prose: plain English-looking text of an exact length, cut from one long passage made at start.

The passage is ASCII without quotes or backslashes, so that it needs no escaping in JSON.
"""

from __future__ import annotations

import random
from typing import Final

__all__ = ["Prose"]

_SUBJECTS: Final = [
    "the account",
    "the refund",
    "a customer",
    "the shipment",
    "this plan",
    "your order",
    "the invoice",
    "our team",
    "the report",
    "a new password",
    "the warranty",
    "the update",
    "each step",
    "the result",
    "the second item",
    "that setting",
    "the delivery",
    "the meter",
    "one of the options",
    "the summary",
]
_VERBS: Final = [
    "explains",
    "covers",
    "needs",
    "changes",
    "confirms",
    "follows",
    "replaces",
    "includes",
    "arrives with",
    "depends on",
    "starts from",
    "is checked against",
    "comes before",
    "improves",
    "keeps",
    "shows",
    "returns",
    "matches",
]
_OBJECTS: Final = [
    "the original request",
    "a short review",
    "two working days",
    "the terms you chose",
    "the first payment",
    "an open question",
    "the latest version",
    "every part of the answer",
    "the address on file",
    "a small difference",
    "the usual limits",
    "the next billing date",
    "a clear reason",
    "the full amount",
    "what was said before",
    "the same result",
]
_LINKS: Final = ["and then", "while", "because", "so", "although", "as long as", "until", "and"]
_PASSAGE_CHARACTERS: Final = 1 << 17


class Prose:
    """Text by the character; the same start gives the same text."""

    __slots__ = ("_passage", "_starts")

    def __init__(self, seed: int) -> None:
        drawn = random.Random(seed)
        sentences: list[str] = []
        starts: list[int] = []
        length = 0
        while length < _PASSAGE_CHARACTERS:
            starts.append(length)
            sentences.append(_sentence(drawn))
            length += len(sentences[-1])
        self._passage = "".join(sentences)
        self._starts = tuple(starts)

    def text(self, start: int, characters: int) -> str:
        """`characters` characters of text from the sentence numbered `start` (any integer).

        Ends with a full stop where there is room for one.
        """
        if characters <= 0:
            return ""
        offset = self._starts[start % len(self._starts)]
        passage = self._passage
        found = passage[offset : offset + characters]
        while len(found) < characters:
            found += passage[: characters - len(found)]
        return found if characters < 2 or found[-1] == "." else found[:-1] + "."


def _sentence(drawn: random.Random) -> str:
    text = f"{drawn.choice(_SUBJECTS)} {drawn.choice(_VERBS)} {drawn.choice(_OBJECTS)}"
    if drawn.random() < 0.4:
        text += f" {drawn.choice(_LINKS)} {drawn.choice(_SUBJECTS)} {drawn.choice(_VERBS)}"
        text += f" {drawn.choice(_OBJECTS)}"
    return text[0].upper() + text[1:] + ". "
