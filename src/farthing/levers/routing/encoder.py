"""Turns a prompt into the features that a learned score reads.

`hashed` counts words and pairs of words in 256 places. It needs no package, no weights and about a
tenth of a millisecond. Its identity holds a hash of what it makes of fixed sentences: any change to
it is another identity, and voids what was certified with the old.

`Embedded` is the vector of an embedder, by the name it has for the semantic cache: `minilm`,
`wordllama`, or `module:name`. Its identity is the embedder's, which holds the hash of the weights.
The last bits of vectors differ from machine to machine, so what it makes of a fixed sentence is
kept beside the identity as a probe, and compared by its direction.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import struct
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from farthing.levers.cache.semantic_extra import embedder_of, need_embedder

if TYPE_CHECKING:
    from farthing.levers.cache.semantic import Embedder

__all__ = [
    "CHARACTERS",
    "HASHED",
    "Embedded",
    "Encoder",
    "Hashed",
    "encoder_named",
    "identity_of",
    "is_alike",
    "probe_of",
]

CHARACTERS: Final = 2_000  # of a prompt's beginning are read
HASHED: Final = "hashed"
_PLACES: Final = 256
_ALIKE: Final = 0.99  # cosine of two probes of one embedder on two machines
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_PROBES: Final = (
    "",
    "Translate the following sentence into French: the cat sat on the mat.",
    "def f(x):\n    return x ** 2 + 1  # what is f(12)?",
    "Überweise 1.250,00 € an Frau Müller; Betreff: „Rechnung 7“.",
    "A train leaves at 9:40 and travels 180 km at 75 km/h. When does it arrive? " * 40,
)


class Encoder(Protocol):
    """Features of a text, by place; places that are 0 are left out."""

    name: str

    def features(self, text: str) -> Mapping[int, float]:
        """The features of the text's first `CHARACTERS`; the same for the same text."""
        ...


class Hashed:
    """Words and pairs of words, their counts dampened, as a vector of length 1; and the length."""

    name = HASHED

    def features(self, text: str) -> Mapping[int, float]:
        """At most 256 features of words, and one of how long the text is (place 256)."""
        words = _WORD.findall(text[:CHARACTERS].lower())
        counts: dict[int, int] = {}
        for gram in itertools.chain(words, map(" ".join, itertools.pairwise(words))):
            place = zlib.crc32(gram.encode("utf-8", "surrogatepass")) % _PLACES
            counts[place] = counts.get(place, 0) + 1
        found = {place: math.log1p(count) for place, count in counts.items()}
        length = math.sqrt(sum(value * value for value in found.values())) or 1.0
        found = {place: value / length for place, value in found.items()}
        found[_PLACES] = math.log1p(len(words)) / 10
        return found


class Embedded:
    """The unit vector of an embedder, and the text's length in the place behind it."""

    def __init__(self, name: str, embedder: Embedder) -> None:
        self.name = name
        self.identity = embedder.identity
        self._embedder = embedder

    def features(self, text: str) -> Mapping[int, float]:
        """A feature for each dimension, and one of how many words there are; none of a blank text."""
        read = text[:CHARACTERS].encode("utf-8", "replace").decode()  # halves of pairs are no text
        if not read.strip():
            return {}
        (vector,) = self._embedder.embed([read])
        found: dict[int, float] = {place: float(value) for place, value in enumerate(vector)}
        found[self._embedder.dimensions] = math.log1p(len(read.split())) / 10
        return found


def encoder_named(name: str) -> Encoder:
    """The encoder of this name: `hashed`, or an embedder's; loads it, which may take a second.

    Raises:
        ConfigError: there is none, or what it needs is not installed.
    """
    if name == HASHED:
        return Hashed()
    need_embedder(name, "The encoder")
    return Embedded(name, embedder_of(name, "The encoder")[1]())


def identity_of(encoder: Encoder) -> str:
    """An embedder's own; else the name and a hash of what is made of fixed sentences."""
    if isinstance(encoder, Embedded):
        return encoder.identity
    digest = hashlib.sha256()
    for probe in _PROBES:
        for place, value in sorted(encoder.features(probe).items()):
            digest.update(struct.pack("<iq", place, round(value * 10_000)))
        digest.update(b"\0")
    return f"{encoder.name}#{digest.hexdigest()[:16]}"


def probe_of(encoder: Encoder) -> bytes:
    """What an embedder makes of a fixed sentence, in a byte a feature; empty: its identity tells."""
    if not isinstance(encoder, Embedded):
        return b""
    made = encoder.features(_PROBES[1])
    found = (round(127 * max(-1.0, min(1.0, made[place]))) for place in sorted(made))
    return struct.pack(f"{len(made)}b", *found)


def is_alike(probe: bytes, other: bytes) -> bool:
    """Whether two probes show the same vectors, but for their last bits."""
    if len(probe) != len(other):
        return False
    a, b = (struct.unpack(f"{len(one)}b", one) for one in (probe, other))
    size = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) >= _ALIKE * size
