"""An alarm that is moved far more often than it rings.

A connection's deadline changes with every request and every chunk, and nearly always moves
later. So moving it only notes the new instant; the loop's timer is armed anew when it fires too
early, or when the deadline moves before it.
"""

from __future__ import annotations

import math
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

__all__ = ["Alarm"]

_EARLY_S = 0.001  # uvloop's clock counts whole milliseconds


class Alarm:
    """Calls `ring` once the clock reaches `due`; infinity means never."""

    __slots__ = ("_armed_for", "_clock", "_handle", "_loop", "_ring", "due")

    def __init__(
        self, loop: AbstractEventLoop, clock: Callable[[], float], ring: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._ring: Callable[[], None] | None = ring
        self._handle: TimerHandle | None = None
        self._armed_for = math.inf
        self.due = math.inf

    def set(self, due: float) -> None:
        """Ring at `due` (on the clock) instead of whatever was set."""
        self.due = due
        if due < self._armed_for:
            self._arm(due)

    def clear(self) -> None:
        """Ring no more until set again."""
        self.due = math.inf

    def stop(self) -> None:
        """Never ring again, and let go of the loop and the owner."""
        self.due = math.inf
        self._ring = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        if self._ring is None:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = due
        self._handle = self._loop.call_later(max(0.0, due - self._clock()), self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._armed_for = math.inf
        due = self.due
        if due > self._clock() + _EARLY_S:
            if due != math.inf:
                self._arm(due)
            return
        self.due = math.inf
        if self._ring is not None:
            self._ring()
