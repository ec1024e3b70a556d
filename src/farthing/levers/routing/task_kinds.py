"""What kind of task a prompt is, told by its words: for the time before there is any evidence.

A small model serves classification and extraction well as a rule, and generation less so; that is
all that is known on the first day. The weights are made by tools/train_task_kinds.py, which also
measures them on wordings it has not seen; the figure stands in the file. On real traffic they are
less sure, so that what they suggest is watched in shadow until evidence, or the user, says more.
"""

from __future__ import annotations

import importlib.resources
import itertools
import math
import re
from functools import cache
from typing import Final

import msgspec

__all__ = ["KINDS", "OTHER", "TRUSTED", "Kind", "features_of", "kind_of"]

OTHER: Final = "other"
KINDS: Final = ("classification", "extraction", OTHER)
TRUSTED: Final = 0.8  # a kind that is less sure is taken for `other`
_END_CHARACTERS: Final = 300
_WORD: Final = re.compile(r"[a-z]+|\d+|[^\w\s]")


class Kind(msgspec.Struct, frozen=True):
    """A kind with the probability that the weights give it."""

    name: str
    probability: float


class _Weights(msgspec.Struct, frozen=True):
    bias: tuple[float, ...]
    weights: dict[str, tuple[float, ...]]


def features_of(prompt: str) -> set[str]:
    """The words and pairs of words at a prompt's beginning and end, where instructions stand."""
    if len(prompt) > 2 * _END_CHARACTERS:
        prompt = f"{prompt[:_END_CHARACTERS]} {prompt[-_END_CHARACTERS:]}"
    words = ["#" if word.isdigit() else word for word in _WORD.findall(prompt.lower())]
    return {*words, *(f"{one} {two}" for one, two in itertools.pairwise(words))}


def kind_of(prompt: str) -> Kind:
    """The kind of a prompt; `other` where the weights say nothing better."""
    held = _weights()
    known = [held.weights[name] for name in features_of(prompt) if name in held.weights]
    scale = max(1.0, len(known)) ** 0.5
    scores = [
        bias + sum(row[index] for row in known) / scale for index, bias in enumerate(held.bias)
    ]
    raised = [math.exp(score - max(scores)) for score in scores]
    best = max(range(len(raised)), key=lambda index: raised[index])
    return Kind(KINDS[best], raised[best] / sum(raised))


@cache
def _weights() -> _Weights:
    packaged = importlib.resources.files("farthing.levers.routing") / "task_kinds.json"
    return msgspec.json.decode(packaged.read_bytes(), type=_Weights)
