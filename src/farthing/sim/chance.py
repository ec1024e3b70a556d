"""Chance: seeded draws and identifiers, the same for the same seed and the same question.

Everything random about one answer comes from one digest, so that an answer can be repeated to the
byte. Identifiers are cut from the digest by table, not drawn, because they are needed every time.
"""

from __future__ import annotations

import math
import random
import string
from hashlib import blake2b
from typing import Final

__all__ = ["Chance"]

_LETTERS: Final = string.ascii_letters + string.digits
_ALPHANUMERIC: Final = bytes(ord(_LETTERS[byte % len(_LETTERS)]) for byte in range(256))
_MICROSECONDS_PER_MS: Final = 1000


class Chance:
    """Draws for one answer, from a digest of the seed and the question."""

    __slots__ = ("_random", "digest")

    def __init__(self, seed: int, *question: bytes) -> None:
        hasher = blake2b(seed.to_bytes(16, "big", signed=True), digest_size=32)
        for part in question:
            hasher.update(len(part).to_bytes(8, "big"))
            hasher.update(part)
        self.digest = hasher.digest()
        self._random: random.Random | None = None

    @property
    def random(self) -> random.Random:
        """The generator of this answer; made on first use."""
        if self._random is None:
            self._random = random.Random(int.from_bytes(self.digest[:8], "big"))
        return self._random

    def name(self, purpose: str, length: int) -> str:
        """A stable identifier of letters and digits, at most 64 characters long."""
        cut = blake2b(self.digest, digest_size=length, person=purpose.encode()).digest()
        return cut.translate(_ALPHANUMERIC).decode()

    def hexadecimal(self, purpose: str, length: int) -> str:
        """A stable identifier of hexadecimal digits, at most 128 of them, an even number."""
        return blake2b(self.digest, digest_size=length // 2, person=purpose.encode()).hexdigest()

    def happens(self, probability: float) -> bool:
        """True with the given probability; certain at 1 and never at 0."""
        return probability >= 1 or self.random.random() < probability

    def lognormal_us(self, median_ms: float, sigma: float) -> int:
        """A duration in microseconds whose median is `median_ms`; 0 for a median of 0."""
        if median_ms <= 0:
            return 0
        drawn = median_ms * _MICROSECONDS_PER_MS
        return round(drawn * math.exp(sigma * self.random.gauss(0, 1)) if sigma else drawn)
