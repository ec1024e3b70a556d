"""Time as it is handed in: wall clock for records, monotonic clock for durations."""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where instants and durations come from; both in microseconds."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        ...

    def monotonic_us(self) -> int:
        """Microseconds since an arbitrary instant; never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time_ns() // 1000

    def monotonic_us(self) -> int:
        """Microseconds of the monotonic clock."""
        return perf_counter_ns() // 1000
