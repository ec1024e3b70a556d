"""The questions that one worker has at hand, by space; nothing is compared across spaces.

A space holds what is equal in everything but the question. Used by one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from farthing.levers.cache.semantic.decision import (
    Decision,
    Lookup,
    Rules,
    View,
    propose,
)
from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.index import Partition
from farthing.levers.cache.semantic.personal import is_personal
from farthing.levers.cache.semantic.scorer import Neighbour
from farthing.levers.cache.semantic.sightings import Sightings
from farthing.levers.cache.semantic.signature import Signature, sign

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["QUESTION_PLACE", "Held", "Looked", "Question", "Shelf", "packed", "unpacked"]

QUESTION_PLACE = b"question"  # with the entry's key: where a sealed question stands
_NEIGHBOURS = 8
_FURTHER = 64  # neighbours among which those are sought that may be served
_SIGNATURES_MAX = 5_000


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a question, sealed. `vector` is float16; `answer` stands for what it says.

    `writer` stands for who asked it, within the tenant; empty where nobody is told apart.
    """

    text: str
    vector: bytes
    writer: str
    answer: bytes


class Held(msgspec.Struct, frozen=True, gc=False):
    """A question at hand."""

    entry: bytes
    text: str
    writer: str
    answer: bytes


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look-up found: the decision, the nearest cosines, whose answer it is about.

    `nearest` is whose question is nearest, where a guard's veto left none to choose. `own_alike`
    counts the asker's own questions that are nearly the same as this one.
    """

    decision: Decision
    cosines: tuple[float, ...] = ()
    chosen: Held | None = None
    nearest: Held | None = None
    own_alike: int = 0


class _Space(msgspec.Struct):
    partition: Partition[bytes]
    held: dict[bytes, Held]
    is_whole: bool


class _Candidate:
    """A question near another one; signed once it is compared, for that takes a while."""

    __slots__ = (
        "_held",
        "_shelf",
        "is_admitted",
        "is_quarantined",
        "is_shared",
        "is_stale",
        "neighbour",
    )

    def __init__(
        self, shelf: Shelf, held: Held, neighbour: Neighbour, *, is_quarantined: bool
    ) -> None:
        self._shelf = shelf
        self._held = held
        self.neighbour = neighbour
        self.is_quarantined = is_quarantined
        self.is_shared = shelf.sightings.is_shared(held.entry)
        self.is_admitted = shelf.sightings.is_admitted(held.entry)
        self.is_stale = False  # an answer that has expired is not found when it is to be served

    @property
    def writer(self) -> str:
        """Who asked it first."""
        return self._held.writer

    @property
    def signature(self) -> Signature:
        """What the guards compare."""
        return self._shelf.signature(self._held)


class Shelf:
    """At most `entries_max` questions; the space unused for longest goes first."""

    def __init__(self, dimensions: int, entries_max: int, sightings: Sightings) -> None:
        self.sightings = sightings
        self._dimensions = dimensions
        self._entries_max = entries_max
        self._spaces: OrderedDict[bytes, _Space] = OrderedDict()
        self._places: dict[bytes, bytes] = {}
        self._signatures: OrderedDict[bytes, Signature] = OrderedDict()
        self.same: dict[bytes, bytes] = {}  # key of an approved wording -> entry
        self.apart: set[tuple[bytes, bytes]] = set()

    def __len__(self) -> int:
        return len(self._places)

    def state(self, space: bytes) -> bool | None:
        """Whether all of a space is here; None: nothing is known of it."""
        held = self._spaces.get(space)
        return None if held is None else held.is_whole

    def held(self, entry: bytes) -> Held | None:
        """A question, if it is here."""
        space = self._places.get(entry)
        return None if space is None else self._spaces[space].held.get(entry)

    def count(self, space: bytes) -> int:
        """How many of its questions are here."""
        held = self._spaces.get(space)
        return 0 if held is None else len(held.held)

    def begin(self, space: bytes) -> None:
        """Have a space, of which more is to come."""
        partition: Partition[bytes] = Partition(self._dimensions)
        self._spaces[space] = _Space(partition, {}, is_whole=False)

    def complete(self, space: bytes) -> None:
        """All of a space is here."""
        if space in self._spaces:
            self._spaces[space].is_whole = True

    def add(self, space: bytes, held: Held, vector: npt.NDArray[np.float32]) -> None:
        """Have a question at hand, where its space is."""
        room = self._spaces.get(space)
        if room is None:
            return
        self._spaces.move_to_end(space)
        self._signatures.pop(held.entry, None)
        room.partition.add(held.entry, vector)
        room.held[held.entry] = held
        self._places[held.entry] = space
        self.sightings.stored(
            held.entry, held.writer, held.answer, is_personal=is_personal(held.text)
        )
        while len(self._places) > self._entries_max and len(self._spaces) > 1:
            self._drop(next(iter(self._spaces)))

    def remove(self, entry: bytes) -> None:
        """Forget a question."""
        space = self._places.pop(entry, None)
        room = None if space is None else self._spaces.get(space)
        if room is not None:
            room.partition.remove(entry)
            room.held.pop(entry, None)
        self._signatures.pop(entry, None)
        self.sightings.gone(entry)

    def clear(self) -> None:
        """Forget all."""
        self._spaces.clear()
        self._places.clear()
        self._signatures.clear()
        self.same.clear()
        self.apart.clear()
        self.sightings.clear()

    def look(
        self,
        space: bytes,
        key: bytes,
        lookup: Lookup,
        vector: npt.NDArray[np.float32],
        rules: Rules,
    ) -> Looked:
        """What is near a question, and what to do. Its own earlier answer is not near, but it."""
        room = self._spaces.get(space)
        if room is None:
            return Looked(decision=propose(lookup, View(candidates=(), rules=rules)))
        self._spaces.move_to_end(space)
        near = self._near(room, key, vector, lookup.writer)
        candidates = [
            _Candidate(
                self,
                room.held[entry],
                Neighbour(entry.hex(), self._answer(room, entry), cosine),
                is_quarantined=(key, entry) in self.apart,
            )
            for entry, cosine in near
        ]
        decision = propose(lookup, View(candidates=candidates, rules=rules))
        entry = bytes.fromhex(decision.entry) if decision.entry else b""
        alike_min = (1 + rules.near_min) / 2
        return Looked(
            decision=decision,
            cosines=tuple(round(cosine, 4) for _, cosine in near[:3]),
            chosen=room.held.get(entry),
            nearest=room.held.get(near[0][0]) if near else None,
            own_alike=sum(
                cosine >= alike_min and room.held[entry].writer == lookup.writer
                for entry, cosine in near
            ),
        )

    def _near(
        self, room: _Space, key: bytes, vector: npt.NDArray[np.float32], writer: str
    ) -> list[tuple[bytes, float]]:
        """The nearest; where others' hide those that may be served, as many of these further off."""
        near = [one for one in room.partition.search(vector, _NEIGHBOURS + 1) if one[0] != key]
        near = near[:_NEIGHBOURS]
        if all(self._is_free(room.held[entry], writer) for entry, _ in near):
            return near
        found = [one for one in room.partition.search(vector, _FURTHER) if one[0] != key]
        free = [one for one in found if self._is_free(room.held[one[0]], writer)][:_NEIGHBOURS]
        return near + [one for one in free if one not in near]

    def _is_free(self, held: Held, writer: str) -> bool:
        sightings = self.sightings
        is_his = held.writer == writer or sightings.is_shared(held.entry)
        return is_his and sightings.is_admitted(held.entry)

    def _answer(self, room: _Space, entry: bytes) -> str:
        """What stands for an entry's answer; approved wordings share the answer of the first."""
        seen = {entry}
        while (first := self.same.get(entry)) is not None and first not in seen:
            if first not in room.held:
                break
            entry = first
            seen.add(entry)
        return room.held[entry].answer.hex()

    def signature(self, held: Held) -> Signature:
        """The signature of a question; of the latest some are kept."""
        found = self._signatures.get(held.entry)
        if found is None:
            found = sign(held.text)
            self._signatures[held.entry] = found
            if len(self._signatures) > _SIGNATURES_MAX:
                self._signatures.popitem(last=False)
        return found

    def _drop(self, space: bytes) -> None:
        gone = self._spaces.pop(space)
        for entry in gone.held:
            self._places.pop(entry, None)
            self._signatures.pop(entry, None)
            self.sightings.unloaded(entry)


def packed(vector: npt.NDArray[np.float32]) -> bytes:
    """A vector as it is stored: float16, to about a thousandth."""
    return vector.astype("float16").tobytes()


def unpacked(data: bytes) -> npt.NDArray[np.float32]:
    """The inverse of `packed`, at unit length."""
    numpy = need_numpy("Comparing vectors")
    vector = numpy.frombuffer(data, dtype="float16").astype("float32")
    return vector / numpy.linalg.norm(vector)
