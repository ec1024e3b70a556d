"""How fast answers have come of late: whole, and to the first byte of a stream.

Coalescing asks it whether a call that wants a stream would wait longer for another's whole answer
than for a stream of its own.
"""

from __future__ import annotations

from collections import deque
from statistics import median, quantiles
from typing import Final

__all__ = ["Pace"]

_SEEN_MAX: Final = 32
_SEEN_MIN: Final = 8
_KINDS_MAX: Final = 1000  # names come from callers
_UPPER: Final = 2  # of three quartiles

_Kind = tuple[str, str]  # feature, model


class Pace:
    """Durations of the last calls of each kind, in microseconds; a kind is a feature and a model."""

    def __init__(self) -> None:
        self._whole: dict[_Kind, deque[int]] = {}
        self._first: dict[_Kind, deque[int]] = {}

    def __len__(self) -> int:
        return len(self._whole) + len(self._first)

    def note(self, kind: _Kind, took_us: int, *, is_streamed: bool) -> None:
        """A whole answer took so long, or the first bytes of a streamed one."""
        seen = self._first if is_streamed else self._whole
        if kind not in seen:
            if len(seen) >= _KINDS_MAX:
                seen.clear()
            seen[kind] = deque(maxlen=_SEEN_MAX)
        seen[kind].append(took_us)

    def first_us(self, kind: _Kind) -> int | None:
        """The median until a stream begins; None: too few were seen."""
        seen = self._first.get(kind, ())
        return int(median(seen)) if len(seen) >= _SEEN_MIN else None

    def whole_us(self, kind: _Kind) -> int | None:
        """What three of four whole answers are within; None: too few were seen."""
        seen = self._whole.get(kind, ())
        return int(quantiles(seen, n=4)[_UPPER]) if len(seen) >= _SEEN_MIN else None

    def patience_us(self, kind: _Kind, elapsed_us: int) -> int | None:
        """How long a call for a stream may wait for a whole answer under way since `elapsed_us`.

        It is what a stream of its own takes to begin. None: the answer is not expected within that
        time, or nobody knows.
        """
        first_us, whole_us = self.first_us(kind), self.whole_us(kind)
        if first_us is None or whole_us is None or whole_us - elapsed_us > first_us:
            return None
        return first_us
