"""Call ids: unique without coordination, sorting by time.

`call_` + 12 hex digits of milliseconds since the epoch + 10 of this process's random prefix + 6 of
a counter. Two processes collide with probability 2^-40 a pair.
"""

from __future__ import annotations

from itertools import count

__all__ = ["CallIds"]


class CallIds:
    """Makes the ids of one process."""

    def __init__(self, random_bytes: bytes) -> None:
        """`random_bytes`: at least 5 bytes from a strong source, one draw a process."""
        self._prefix = random_bytes[:5].hex()
        self._count = count(int.from_bytes(random_bytes[5:8], "big"))
        self._begun_ms = -1
        self._begun = ""

    def make(self, now_us: int) -> str:
        """The next id, for a call that starts at `now_us`."""
        now_ms = now_us // 1000
        if now_ms != self._begun_ms:
            self._begun_ms = now_ms
            self._begun = f"call_{now_ms:012x}{self._prefix}"
        return self._begun + "%06x" % (next(self._count) & 0xFFFFFF)
