"""A learned score of a call, before it is answered: linear in the features of an encoder.

It estimates how much a call's answer would lose by the cheaper of two models, from -1 to 1. A
policy's `route` steps compare it with a threshold. The weights stand in the policy file, under its
signature; the encoder by its identity, which must be what it was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from farthing.levers.routing.encoder import Encoder
from farthing.levers.routing.step import Agree, Route, Single, Step, Verify

__all__ = ["Scorer", "score", "scorer_of", "scores_named", "weighed"]


class Scorer(msgspec.Struct, frozen=True):
    """`weights` are the features' weights by place (float32, little endian), `bias` is added.

    `probe` is what an embedder made of a fixed sentence, which it must still make of it.
    """

    encoder: str
    bias: float
    weights: bytes
    probe: bytes | UnsetType = UNSET


def scorer_of(encoder: str, bias: float, weights: list[float], probe: bytes = b"") -> Scorer:
    """A scorer of these weights."""
    return Scorer(encoder, bias, struct.pack(f"<{len(weights)}f", *weights), probe or UNSET)


def score(scorer: Scorer, encoder: Encoder, text: str) -> float:
    """The score of a text; a place that has no weight counts nothing."""
    return weighed(scorer, encoder.features(text))


def weighed(scorer: Scorer, features: Mapping[int, float]) -> float:
    """The score of the features that a text has."""
    weights = memoryview(scorer.weights).cast("f") if _IS_LITTLE else _swapped(scorer.weights)
    count = len(weights)
    found = features.items()
    return scorer.bias + sum(weights[place] * value for place, value in found if place < count)


def scores_named(step: Step) -> Iterator[str]:
    """The names of the scores that a step looks at."""
    match step:
        case Route():
            yield step.score
            yield from scores_named(step.cheap)
            yield from scores_named(step.strong)
        case Agree() | Verify():
            yield from scores_named(step.otherwise)
        case Single():
            return


_IS_LITTLE = struct.pack("=h", 1) == struct.pack("<h", 1)


def _swapped(raw: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(raw) // 4}f", raw)
