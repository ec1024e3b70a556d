"""Holds back a principal that stores one wording after the other of nearly the same question."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Floods"]

_KNOWN_MAX = 4_096
_HOUR_US = 3_600_000_000
_CROWD = 4  # questions of the same principal that are nearly the same


class _Room:
    """What a principal may still store, as a bucket that fills in an hour."""

    __slots__ = ("at_us", "left", "told_us")

    def __init__(self, left: float, at_us: int) -> None:
        self.left = left
        self.at_us = at_us
        self.told_us = -_HOUR_US


class Floods:
    """By space and principal; a principal that was quiet for longest is forgotten first."""

    def __init__(self, per_hour_max: int) -> None:
        self._per_hour_max = per_hour_max
        self._rooms: OrderedDict[tuple[bytes, str], _Room] = OrderedDict()

    def admits(self, space: bytes, writer: str, own_alike: int | None, now_us: int) -> bool:
        """Whether one more question may stand in the index.

        `own_alike` counts those of the same principal that are nearly the same; None: nobody looked.
        """
        if own_alike is not None and own_alike < _CROWD:
            return True
        room = self._room(space, writer, now_us)
        gained = (now_us - room.at_us) * self._per_hour_max / _HOUR_US
        room.left = min(self._per_hour_max, room.left + max(0.0, gained))
        room.at_us = now_us
        if room.left < 1:
            return False
        room.left -= 1
        return True

    def is_to_tell(self, space: bytes, writer: str, now_us: int) -> bool:
        """Whether to say in the log that it was held back: once an hour."""
        room = self._room(space, writer, now_us)
        if now_us < room.told_us + _HOUR_US:
            return False
        room.told_us = now_us
        return True

    def _room(self, space: bytes, writer: str, now_us: int) -> _Room:
        known = (space, writer)
        room = self._rooms.get(known)
        if room is None:
            room = self._rooms[known] = _Room(self._per_hour_max, now_us)
            if len(self._rooms) > _KNOWN_MAX:
                self._rooms.popitem(last=False)
        self._rooms.move_to_end(known)
        return room
