"""A file that grows at its end and is written through memory: no system call per record.

Room is reserved in steps, so that a full disk is noticed when room is asked for and not in the
midst of a record; what is reserved and not yet written reads as zeros. A record's first byte is
written last: whoever meets a zero where a record would begin has met the end. What was written
is the kernel's, and outlives the process.  # ADR-0010
"""

from __future__ import annotations

import mmap
import os

__all__ = ["MappedFile"]

_STEP_BYTES = 1 << 18
_ZEROS = bytes(_STEP_BYTES)


class MappedFile:
    """Appends records, none of them empty or beginning with a zero, to an empty open file.

    `size` is where the next one goes. Owns the descriptor (opened for reading and writing).
    """

    __slots__ = ("_map", "_room", "descriptor", "size")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        self._room = 0
        self._map: mmap.mmap | None = None

    def append(self, record: bytes) -> None:
        """Write `record` at the end.

        Raises:
            OSError: there is no room for it; nothing was written.
        """
        start = self.size
        end = start + len(record)
        memory = self._map
        if memory is None or end > self._room:
            memory = self._map = self._grow(end)
        memory[start + 1 : end] = record[1:]
        memory[start] = record[0]
        self.size = end

    def finish(self) -> None:
        """Give back the room that was not used; nothing can be appended after it."""
        self._unmap()
        os.ftruncate(self.descriptor, self.size)

    def abandon(self) -> None:
        """Close as a dying process would: nothing is given back."""
        self._unmap()
        os.close(self.descriptor)

    def _grow(self, end: int) -> mmap.mmap:
        room = -(-end // _STEP_BYTES) * _STEP_BYTES
        try:
            os.posix_fallocate(self.descriptor, 0, room)
            # Pages that are there already take a quarter of the time to write to for the first time.
            os.pwrite(self.descriptor, _ZEROS[: room - self._room], self._room)
        except OSError:
            room = end  # what is left may just do
            os.posix_fallocate(self.descriptor, 0, room)
        self._unmap()
        self._room = room
        return mmap.mmap(self.descriptor, room)

    def _unmap(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
