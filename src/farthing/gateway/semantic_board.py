"""What the event loop knows of the semantic layer without asking: positions, and wordings.

It holds the approved wordings and which answers are shared; everything else stays with the layer.
"""

from __future__ import annotations

from typing import Final

from farthing.gateway.semantic_acts import Cleared, News, Parted, Placed, Shared, Worded
from farthing.gateway.semantic_plan import Position
from farthing.levers.cache.semantic_tables import WordingRow

__all__ = ["FOR_ALL", "Board"]

# Approvals that hold for everyone: a person's word, and answers that were equal but for their form.
FOR_ALL: Final = frozenset({"person", "cheap"})
_NOWHERE: Final = Position()


class Board:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._positions: dict[bytes, Position] = {}
        self._wordings: dict[bytes, WordingRow] = {}
        self._shared: set[bytes] = set()

    def position(self, course: bytes) -> Position:
        """Where a course stands; nothing is proven of one that nobody has asked in yet."""
        return self._positions.get(course, _NOWHERE)

    def wording(self, key: bytes, writer: str) -> WordingRow | None:
        """The approved wording under `key`, where this principal may have its answer."""
        row = self._wordings.get(key)
        if row is None:
            return None
        is_his = row.source in FOR_ALL or row.writer == writer
        return row if is_his or row.entry in self._shared else None

    def note(self, row: WordingRow) -> None:
        """Know of an approved wording before it comes back from the store."""
        self._wordings[row.key] = row

    def take(self, news: News) -> None:
        """Take in what the layer tells."""
        match news:
            case Placed(course, position):
                self._positions[course] = position
            case Worded(rows):
                self._wordings.update((row.key, row) for row in rows)
            case Parted(key, entry):
                row = self._wordings.get(key)
                if row is not None and row.entry == entry:
                    del self._wordings[key]
            case Shared(entry, is_shared):
                (self._shared.add if is_shared else self._shared.discard)(entry)
            case Cleared():
                self._wordings.clear()
                self._shared.clear()
            case _:
                pass

    def clear(self) -> None:
        """Know nothing: nobody tells what changes."""
        self._positions.clear()
        self._wordings.clear()
        self._shared.clear()
