"""Where the ledger's files lie in its data directory, and the locks that guard them.

journal/WRITER-START-RANDOM.SEQUENCE.jnl   segments, one writer each, locked while it lives
ledger.sqlite                       the store
archive/day=YYYY-MM-DD/part-N.parquet
run/drainer.json                    how the drainer fares, for health checks
drain.lock                          held by the one drainer
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

__all__ = ["FileLock", "Layout", "SegmentName", "is_locked"]

_SUFFIX = ".jnl"


class Layout(msgspec.Struct, frozen=True):
    """The paths of one ledger."""

    directory: Path

    @property
    def journal(self) -> Path:
        """The folder of journal segments."""
        return self.directory / "journal"

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.directory / "ledger.sqlite"

    @property
    def archive(self) -> Path:
        """The folder of sealed days."""
        return self.directory / "archive"

    @property
    def is_begun(self) -> bool:
        """Whether a ledger was begun here."""
        return self.store.exists() or self.journal.is_dir() or self.archive.is_dir()

    @property
    def drain_lock(self) -> Path:
        """The file whose lock makes a drainer the only one."""
        return self.directory / "drain.lock"

    @property
    def drainer_status(self) -> Path:
        """The drainer's account of itself, one JSON object."""
        return self.directory / "run" / "drainer.json"

    @property
    def journal_bytes(self) -> int:
        """The size of all journal segments."""
        found = (n for names in self.segments().values() for n in names)
        return sum((self.journal / name.file).stat().st_size for name in found)

    def segments(self) -> dict[str, list[SegmentName]]:
        """All journal segments by run of a writer, oldest first."""
        names = [
            name
            for path in (self.journal.iterdir() if self.journal.is_dir() else ())
            if (name := SegmentName.parse(path.name)) is not None
        ]
        runs: dict[str, list[SegmentName]] = {}
        for name in sorted(names, key=lambda n: (n.run, n.sequence)):
            runs.setdefault(name.run, []).append(name)
        return runs


class SegmentName(msgspec.Struct, frozen=True, order=True):
    """One segment: the run of a writer (`WRITER-START-RANDOM`) and the segment's place in it."""

    run: str
    sequence: int

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.run}.{self.sequence:06d}{_SUFFIX}"

    @classmethod
    def parse(cls, file: str) -> SegmentName | None:
        """The segment a file name stands for; None for any other file."""
        stem, dot, number = file.removesuffix(_SUFFIX).rpartition(".")
        if not file.endswith(_SUFFIX) or not dot or not number.isdigit():
            return None
        return cls(stem, int(number))


class FileLock:
    """An exclusive lock on a file, freed when its process dies, however it dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """The lock, or None where somebody else holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Free the lock."""
        os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the file's lock; a file that can't be opened counts as held."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
