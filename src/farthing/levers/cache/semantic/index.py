"""One partition's vectors: a flat scan of sign bits, then the shortlist scored with int8 rows.

About 440 bytes an entry at 384 dimensions. Scores are exact to about 0.002, for the question
stays in float32. A neighbour that the bits lose is a missed hit, never a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from farthing.errors import FarthingBug
from farthing.levers.cache.semantic.embedder import need_numpy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Partition"]

Key = TypeVar("Key")
_SHORTLIST = 200
_SHORTLIST_MOST = 400
_FIRST_ROWS = 64


class Partition(Generic[Key]):
    """Vectors by key. Not safe for use by two threads at once."""

    def __init__(self, dimensions: int) -> None:
        self._numpy: Any = need_numpy("Comparing vectors")
        self.dimensions = dimensions
        self._words = (dimensions + 63) // 64
        self._keys: list[Key] = []
        self._places: dict[Key, int] = {}
        # Word by word, so that each is read in one go for all entries.
        self._bits: Any = self._numpy.zeros((self._words, _FIRST_ROWS), dtype=self._numpy.uint64)
        self._rows: Any = self._numpy.zeros((_FIRST_ROWS, dimensions), dtype=self._numpy.int8)
        self._scales: Any = self._numpy.zeros(_FIRST_ROWS, dtype=self._numpy.float32)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def add(self, key: Key, vector: npt.NDArray[np.float32]) -> None:
        """Keep a unit vector under `key`, in place of the one it had."""
        place = self._places.get(key)
        if place is None:
            place = len(self._keys)
            self._make_room(place + 1)
            self._keys.append(key)
            self._places[key] = place
        scale = float(self._numpy.abs(vector).max()) / 127
        if vector.shape != (self.dimensions,) or not scale > 0:
            raise FarthingBug(
                f"A vector of shape {vector.shape} is no unit vector of this partition"
            )
        self._bits[:, place] = self._signs(vector)
        self._rows[place] = self._numpy.rint(vector / scale).astype(self._numpy.int8)
        self._scales[place] = scale

    def remove(self, key: Key) -> bool:
        """Forget `key`; whether it was there. The last row takes its place."""
        place = self._places.pop(key, None)
        if place is None:
            return False
        last = len(self._keys) - 1
        moved = self._keys.pop()
        if place != last:
            self._keys[place] = moved
            self._places[moved] = place
            self._bits[:, place] = self._bits[:, last]
            self._rows[place] = self._rows[last]
            self._scales[place] = self._scales[last]
        return True

    def search(self, vector: npt.NDArray[np.float32], count: int) -> list[tuple[Key, float]]:
        """The nearest keys and their cosines, nearest first; at most `count`."""
        held = len(self._keys)
        if held == 0:
            return []
        numpy = self._numpy
        if held > _SHORTLIST:
            distances = numpy.zeros(held, dtype=numpy.uint16)
            for bits, asked in zip(self._bits, self._signs(vector), strict=True):
                distances += numpy.bitwise_count(bits[:held] ^ asked)
            places = self._nearest(distances)
        else:
            places = numpy.arange(held)
        scores = (self._rows[places].astype(numpy.float32) @ vector) * self._scales[places]
        order = numpy.argsort(-scores, kind="stable")[:count]
        return [(self._keys[int(places[at])], float(scores[at])) for at in order]

    def _nearest(self, distances: Any) -> Any:
        """Places of the shortlist and of what is as far off as its last, unless that is many."""
        numpy = self._numpy
        counts = numpy.bincount(distances).cumsum()  # a third of what argpartition takes
        places = numpy.flatnonzero(distances <= counts.searchsorted(_SHORTLIST))
        if len(places) > _SHORTLIST_MOST:
            return numpy.argpartition(distances, _SHORTLIST)[:_SHORTLIST]
        return places

    def keys(self) -> Iterable[Key]:
        """All keys held, in no order."""
        return tuple(self._keys)

    @property
    def held_bytes(self) -> int:
        """Memory of the tables, room to grow included."""
        return int(self._bits.nbytes + self._rows.nbytes + self._scales.nbytes)

    def _signs(self, vector: npt.NDArray[np.float32]) -> Any:
        packed = self._numpy.zeros(self._words * 8, dtype=self._numpy.uint8)
        bits = self._numpy.packbits(vector > 0)
        packed[: len(bits)] = bits
        return packed.view(self._numpy.uint64)

    def _make_room(self, rows: int) -> None:
        held = len(self._scales)
        if rows > held:
            numpy = self._numpy
            self._bits = numpy.pad(self._bits, ((0, 0), (0, held)))
            self._rows = numpy.pad(self._rows, ((0, held), (0, 0)))
            self._scales = numpy.pad(self._scales, (0, held))
