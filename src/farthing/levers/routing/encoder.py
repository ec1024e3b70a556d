"""Turns a prompt into the features that a learned score reads.

`hashed` counts words and pairs of words in 256 places. It needs no package, no weights and about a
tenth of a millisecond. An encoder's identity holds a hash of what it makes of fixed sentences: any
change to it, here or in a package, is another identity, and voids what was certified with the old.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Final, Protocol

__all__ = ["CHARACTERS", "HASHED", "Encoder", "Hashed", "encoder_named", "identity_of"]

CHARACTERS: Final = 2_000  # of a prompt's beginning are read
HASHED: Final = "hashed"
_PLACES: Final = 256
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


def encoder_named(name: str) -> Encoder:
    """The encoder of this name.

    Raises:
        ValueError: there is none.
    """
    if name != HASHED:
        raise ValueError(f"there is no encoder {name!r}; there is: {HASHED}")
    return Hashed()


def identity_of(encoder: Encoder) -> str:
    """The encoder's name and a hash of what it makes of fixed sentences, to four decimals."""
    digest = hashlib.sha256()
    for probe in _PROBES:
        for place, value in sorted(encoder.features(probe).items()):
            digest.update(struct.pack("<iq", place, round(value * 10_000)))
        digest.update(b"\0")
    return f"{encoder.name}#{digest.hexdigest()[:16]}"
