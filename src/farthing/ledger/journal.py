"""The journal: one append-only file per writer, written before and after each call.

Writing a record copies it into the kernel's memory: no thread, no await, no system call. Killing
the process loses nothing that was written; a power cut loses what `sync` has not yet forced to
disk. The file is locked while its writer lives, so that the drainer can tell a quiet writer from
a dead one. Its name bears random digits besides the time, so that no run is ever taken for an
earlier one, whatever the clock does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import threading
from pathlib import Path
from typing import Protocol

from farthing.clock import Clock, SystemClock
from farthing.errors import ConfigError, FarthingError
from farthing.ledger.entry import Entry
from farthing.ledger.layout import Layout, SegmentName
from farthing.ledger.mapped import MappedFile
from farthing.ledger.record import card_line, intent_line, settlement_line
from farthing.ledger.settings import LedgerSettings

__all__ = ["Journal", "JournalError", "JournalFull", "NotableCard"]

_DEFAULTS = LedgerSettings()
_CLOCK = SystemClock()
_WRITER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class JournalError(FarthingError):
    """A record could not be written; the journal holds what it held before."""

    code = "journal_error"
    status = 503


class JournalFull(JournalError):
    """There is no room for the record."""

    code = "journal_full"
    status = 507


class NotableCard(Protocol):
    """A rate card as the journal sees it: an id and opaque JSON."""

    @property
    def id(self) -> str:
        """The card's id; equal ids mean equal content."""
        ...

    def to_json(self) -> bytes:
        """The card's content."""
        ...


class Journal:
    """One writer's journal. All methods but `sync` belong to the thread that opened it."""

    def __init__(
        self, layout: Layout, writer: str, start_us: int, settings: LedgerSettings
    ) -> None:
        self._folder = layout.journal
        self._segment_bytes = settings.segment_mb * 1_000_000
        self._rotate_at = self._segment_bytes
        self._noted: set[str] = set()
        self._begun: dict[str, Entry] = {}  # the last intents of the calls under way
        self._retired: list[int] = []
        self._swap = threading.Lock()  # guards the descriptors against `sync` in another thread
        self._is_dirty = False
        self._is_closed = False
        self._segment = SegmentName(f"{writer}-{start_us:016d}-{secrets.token_hex(4)}", 0)
        self._file = MappedFile(self._create(self._segment))

    @classmethod
    def open(
        cls,
        directory: Path,
        writer: str,
        *,
        settings: LedgerSettings = _DEFAULTS,
        clock: Clock = _CLOCK,
    ) -> Journal:
        """A new journal in the ledger's directory, which is made where it is missing.

        `writer` names the process (letters, digits, `-`, `_`), for example `worker-3`.

        Raises:
            ConfigError: the writer's name won't do.
            JournalError: the file can't be made.
        """
        if not _WRITER.fullmatch(writer):
            raise ConfigError(f"{writer!r} can't name a journal: letters, digits, - and _ only.")
        layout = Layout(directory)
        try:
            layout.journal.mkdir(parents=True, exist_ok=True)
            journal = cls(layout, writer, clock.now_us(), settings)
            journal._sync_folder()
        except OSError as error:
            raise _failure(layout.journal, error) from error
        return journal

    @property
    def run(self) -> str:
        """The name of this writer's run, under which its leases stand."""
        return self._segment.run

    @property
    def path(self) -> Path:
        """The file being written."""
        return self._folder / self._segment.file

    def intend(self, entry: Entry) -> None:
        """Write down the entry as it shall stand if this process is never heard of again.

        Before each dispatch; of several intents for one call the last counts.

        Raises:
            JournalError: nothing was written; do not dispatch.
        """
        self._write(intent_line(entry))
        self._begun[entry.call_id] = entry

    def settle(self, entry: Entry) -> None:
        """Write down the entry as it stands; it replaces the intents of the same `call_id`.

        Raises:
            JournalError: nothing was written; the intent still stands.
        """
        self._write(settlement_line(entry, self._begun.get(entry.call_id)))
        self._begun.pop(entry.call_id, None)

    def note_card(self, card: NotableCard) -> None:
        """Keep a rate card's content, once per segment, so that old entries stay explainable.

        Raises:
            JournalError: nothing was written.
        """
        if card.id not in self._noted:  # ids are content hashes
            self._write(card_line(card.id, card.to_json()))
            self._noted.add(card.id)

    def sync(self) -> None:
        """Force what was written to disk; from any thread.

        Raises:
            JournalError: the disk refused; the next call tries again.
        """
        with self._swap:
            pending, self._retired = self._retired, []
            if self._is_dirty and not self._is_closed:
                pending.append(os.dup(self._file.descriptor))
            self._is_dirty = False
        try:
            for descriptor in pending:
                os.fdatasync(descriptor)
            if len(pending) > 1:
                self._sync_folder()  # a new segment came up
        except OSError as error:
            self._is_dirty = True
            raise _failure(self.path, error) from error
        finally:
            for descriptor in pending:
                os.close(descriptor)

    def close(self) -> None:
        """Force everything to disk and free the lock; intents still open become final."""
        try:
            self.sync()
        finally:
            with self._swap:
                if not self._is_closed:
                    self._is_closed = True
                    self._file.finish()
                    os.close(self._file.descriptor)

    def _write(self, line: bytes) -> None:
        if self._file.size + len(line) > self._rotate_at:
            self._rotate()
        try:
            self._file.append(line)
        except OSError as error:
            raise _failure(self.path, error) from error
        self._is_dirty = True

    def _rotate(self) -> None:
        following = SegmentName(self._segment.run, self._segment.sequence + 1)
        try:
            descriptor = self._create(following)
        except OSError:
            # No room for a new file: go on in this one, and try again a little later.
            self._rotate_at = self._file.size + self._segment_bytes // 16
            return
        with self._swap:
            self._file.finish()
            self._retired.append(self._file.descriptor)  # synced, unlocked and closed by `sync`
            self._file = MappedFile(descriptor)
            self._segment = following
        self._rotate_at = self._segment_bytes
        self._noted.clear()

    def _create(self, segment: SegmentName) -> int:
        """A new file that is locked before anybody can see it under its name."""
        path = self._folder / segment.file
        unlocked = self._folder / f".{segment.file}.new"
        descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                raise FileExistsError(errno.EEXIST, "journal exists", str(path))
            unlocked.rename(path)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                unlocked.unlink()
            raise
        return descriptor

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failure(path: Path, error: OSError) -> JournalError:
    if error.errno in _NO_ROOM:
        return JournalFull(
            f"No room in the journal {path}: {error.strerror}.\n"
            "The record was not kept, all earlier records were.\n"
            "Free space on the disk; the next call tries again."
        )
    return JournalError(
        f"The journal {path} can't be written: {error.strerror}.\n"
        "The record was not kept, all earlier records were.\n"
        "Check the disk and the folder's permissions."
    )
