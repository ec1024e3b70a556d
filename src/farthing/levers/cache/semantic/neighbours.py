"""The questions of a stream, prepared once for many orders: who is near whom, and what guards say.

Each question's nearest others are ranked once; what is near it among the entries held then is a
walk down its rank, and only where the rank ends too early are all entries looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.guards import Comparison
from farthing.levers.cache.semantic.signature import Signature
from farthing.levers.cache.semantic.variables import compare
from farthing.levers.cache.semantic.volatility import volatility_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Near", "Neighbourhood"]

Near = tuple[int, float]  # a question's number and its cosine
_RANKED = 384
_BLOCK = 512


class Neighbourhood:
    """Questions by number: answers (numbered), vectors, ranks and remembered comparisons."""

    def __init__(
        self,
        signatures: Sequence[Signature],
        answers: Sequence[str],
        vectors: npt.NDArray[np.float32],
    ) -> None:
        self._numpy: Any = need_numpy("Simulating streams")
        numbers: dict[str, int] = {}
        self.answers = [numbers.setdefault(one, len(numbers)) for one in answers]
        self.is_live = [volatility_of(one.plain) == "live" for one in signatures]
        self._signatures = signatures
        self._vectors: Any = vectors
        self._compared: dict[tuple[int, int], Comparison] = {}
        self._ranks, self._cosines = self._ranked(min(_RANKED, len(signatures) - 1))
        self.rows: list[list[int]] = self._ranks.tolist()
        self.row_cosines: list[list[float]] = self._cosines.tolist()

    def __len__(self) -> int:
        return len(self._signatures)

    def _ranked(self, count: int) -> tuple[Any, Any]:
        numpy, size = self._numpy, len(self._signatures)
        ranks = numpy.zeros((size, count), dtype=numpy.int32)
        cosines = numpy.zeros((size, count), dtype=numpy.float32)
        for start in range(0, size, _BLOCK):
            alike = self._vectors[start : start + _BLOCK] @ self._vectors.T
            own = numpy.arange(len(alike))
            alike[own, start + own] = -numpy.inf
            top = numpy.argpartition(-alike, count - 1, axis=1)[:, :count] if count else ranks[:0]
            near = numpy.take_along_axis(alike, top, axis=1)
            order = numpy.argsort(-near, axis=1, kind="stable")
            ranks[start : start + _BLOCK] = numpy.take_along_axis(top, order, axis=1)
            cosines[start : start + _BLOCK] = numpy.take_along_axis(near, order, axis=1)
        return ranks, cosines

    def compare(self, one: int, other: int) -> Comparison:
        """What the guards say of two questions."""
        key = (one, other) if one < other else (other, one)
        found = self._compared.get(key)
        if found is None:
            found = self._compared[key] = compare(self._signatures[one], self._signatures[other])
        return found

    def nearest(self, question: int, held: Any, count: int) -> list[Near]:
        """The nearest `count` of the entries that are `held` (a mask by number), nearest first."""
        numpy = self._numpy
        ranks = self._ranks[question]
        there = numpy.flatnonzero(held[ranks])[:count]
        if len(there) == count:
            cosines = self._cosines[question][there].tolist()
            return list(zip(ranks[there].tolist(), cosines, strict=True))
        entries = numpy.flatnonzero(held)
        alike = self._vectors[entries] @ self._vectors[question]
        if len(entries) > count:
            top = numpy.argpartition(-alike, count)[:count]
        else:
            top = numpy.arange(len(entries))
        top = top[numpy.argsort(-alike[top], kind="stable")]
        return list(zip(entries[top].tolist(), alike[top].tolist(), strict=True))
