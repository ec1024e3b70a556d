"""A token bucket in exact integers: how much may pass now, and when more may.

The bucket holds up to `burst` units and refills at `per_minute / share` units a minute. It is kept
in parts so small that a microsecond's refill is a whole number of them, so that nothing drifts
however often it is asked. Over any span of d minutes it passes at most `burst + d * rate` units:
the bound of the generic cell rate algorithm, which a token bucket equals.

Source: ITU-T Recommendation I.371 (03/2004), annex A, the two equal forms of the algorithm.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Bucket"]

_MINUTE_US: Final = 60_000_000


class Bucket:
    """One of `share` buckets that split a rate and a burst between them; each holds its ceiling.

    A single call may ask for the whole burst: beyond the bucket's own part it passes when the
    bucket is full, and leaves it in debt. `correct` may leave a debt as well. A debt is paid by
    the refill before anything else passes.
    """

    __slots__ = ("_at_us", "_capacity", "_level", "_rate", "_unit", "burst")

    def __init__(self, per_minute: int, burst: int, now_us: int, *, share: int = 1) -> None:
        if per_minute < 1 or burst < 1 or share < 1:
            raise ValueError("per_minute, burst and share must be at least 1")
        self.burst = burst
        self._rate = per_minute  # parts a microsecond
        self._unit = _MINUTE_US * share  # parts a unit
        self._capacity = self._level = -(-burst // share) * self._unit
        self._at_us = now_us

    def take(self, units: int, now_us: int) -> int:
        """Take `units` if they are there; 0 when taken, else how long to wait, in microseconds.

        Raises:
            ValueError: more than `burst` never passes; ask `fits` first.
        """
        if not self.fits(units):
            raise ValueError(f"{units} units never pass a bucket of {self.burst}")
        waits_us = self.wait_us(units, now_us)
        if not waits_us:
            self._level -= units * self._unit
        return waits_us

    def wait_us(self, units: int, now_us: int) -> int:
        """How long until `units` may pass, taking nothing; 0 for now."""
        self._refill(now_us)
        lacking = min(units * self._unit, self._capacity) - self._level
        return 0 if lacking <= 0 else -(-lacking // self._rate)

    def spend(self, units: int) -> None:
        """Take `units` that `wait_us` just said may pass."""
        self._level -= units * self._unit

    def fits(self, units: int) -> bool:
        """Whether so many can ever pass at once."""
        return units <= self.burst

    def correct(self, units: int, now_us: int) -> None:
        """Take `units` more without asking, into debt if need be; negative: give them back."""
        self._refill(now_us)
        self._level = min(self._capacity, self._level - units * self._unit)

    def remaining(self, now_us: int) -> int:
        """How many whole units may pass now; 0 in debt."""
        return self.gauge(now_us)[0]

    def full_in_us(self, now_us: int) -> int:
        """How long until the bucket is full again."""
        return self.gauge(now_us)[1]

    def gauge(self, now_us: int) -> tuple[int, int]:
        """Whole units that may pass now (0 in debt), and how long until it is full again."""
        self._refill(now_us)
        level = self._level
        lacking = self._capacity - level
        return level // self._unit if level > 0 else 0, -(-lacking // self._rate)

    def _refill(self, now_us: int) -> None:
        """A clock that went back refills nothing."""
        passed_us = now_us - self._at_us
        if passed_us > 0:
            self._at_us = now_us
            level = self._level + passed_us * self._rate
            self._level = min(self._capacity, level)
