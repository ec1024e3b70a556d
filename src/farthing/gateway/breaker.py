"""The circuit breaker of one provider.

Closed: calls pass. After `failures` failures in a row it opens: calls go elsewhere. After `open_s`
one probe passes; its success closes the breaker, its failure opens it again. Only faults of the
provider count: errors that the client caused never trip it.
"""

from __future__ import annotations

import enum
from typing import Final

from farthing.config import BreakerSettings

__all__ = ["Breaker", "BreakerState"]


class BreakerState(enum.StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


_CLOSED: Final = BreakerState.CLOSED  # to find a member of an enum takes time


class Breaker:
    """Counts the failures in a row of one provider; instants are monotonic microseconds."""

    __slots__ = ("_failures", "_open_us", "_opened_us", "_settings", "state")

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._open_us = int(settings.open_s * 1_000_000)
        self._failures = 0
        self._opened_us = 0
        self.state = BreakerState.CLOSED

    @property
    def is_closed(self) -> bool:
        """Whether calls pass whatever the time."""
        return self.state is _CLOSED

    def admits(self, now_us: int) -> bool:
        """Whether a call may pass now; turns an open breaker into a probing one when it is time."""
        if self.state is BreakerState.CLOSED:
            return True
        if now_us - self._opened_us >= self._open_us:
            self.state = BreakerState.PROBING
            self._opened_us = now_us  # a probe that never reports back frees the next in open_s
            return True
        return False

    def succeeded(self) -> None:
        """The provider answered, be it with an error that the client caused."""
        if self._failures:
            self._failures = 0
            self.state = BreakerState.CLOSED

    def failed(self, now_us: int) -> None:
        """The provider failed: unreachable, too late, a 5xx, or broken off."""
        self._failures += 1
        if self.state is BreakerState.PROBING or self._failures >= self._settings.failures:
            self.state = BreakerState.OPEN
            self._opened_us = now_us
