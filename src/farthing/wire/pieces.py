"""Bytes that arrive in pieces and are wanted whole."""

from __future__ import annotations

__all__ = ["Pieces"]

_LOOSE_MOST = 256


class Pieces:
    """Gathers pieces; memory stays near the sum of their lengths however small they are."""

    __slots__ = ("_folded", "_loose", "length")

    def __init__(self) -> None:
        self._loose: list[bytes] = []
        self._folded: bytearray | None = None
        self.length = 0

    def append(self, piece: bytes) -> None:
        """Add `piece` at the end."""
        self.length += len(piece)
        self._loose.append(piece)
        if len(self._loose) > _LOOSE_MOST:
            if self._folded is None:
                self._folded = bytearray()
            self._folded += b"".join(self._loose)
            self._loose.clear()

    def take(self) -> bytes:
        """All pieces as one, without a copy where there was one; leaves none behind."""
        loose = self._loose
        folded = self._folded
        self._loose = []
        self._folded = None
        self.length = 0
        if folded is not None:
            folded += b"".join(loose)
            return bytes(folded)
        return loose[0] if len(loose) == 1 else b"".join(loose)
