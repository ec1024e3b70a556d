"""Reading a writer's run of journal segments: in order, resumable, in bounded chunks."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from farthing.ledger.entry import Entry
from farthing.ledger.layout import SegmentName
from farthing.ledger.record import (
    CardNote,
    Kind,
    is_about,
    read_begun,
    read_card,
    read_entry,
    read_line,
    read_outcome,
)
from farthing.ledger.store import Batch, Checkpoint, Damage, Position

__all__ = ["Tail"]

_CHUNK_BYTES = 1_000_000
_GLANCE_BYTES = 16_384  # enough for the next record, whatever it is
_DAMAGE_BYTES_KEPT = 65_536


class _Intent(msgspec.Struct, frozen=True, gc=False):
    """An open intent, and where it stands; `entry` lacks the attempts, `content` has them."""

    sequence: int
    offset: int
    kind: Kind
    content: bytes
    entry: Entry

    @property
    def at(self) -> Position:
        """Where it stands."""
        return Position(self.sequence, self.offset)


_START = Position()
# Looked up once: a member of an enum takes as long to find as a record takes to check.
_INTENT, _OLD_INTENT, _OUTCOME, _CARD = Kind.INTENT, Kind.OLD_INTENT, Kind.OUTCOME, Kind.CARD


class Tail:
    """One run, read from its checkpoint on. Holds the open intents, nothing more."""

    def __init__(
        self,
        folder: Path,
        run: str,
        checkpoint: Checkpoint | None,
        *,
        chunk_bytes: int = _CHUNK_BYTES,
    ) -> None:
        self._folder = folder
        self._chunk_bytes = chunk_bytes
        self._run = run
        self.read = _START if checkpoint is None else checkpoint.resume
        self._posted = _START if checkpoint is None else checkpoint.read
        self._open: dict[str, _Intent] = {}  # oldest first: an intent seen again moves to the end

    @property
    def checkpoint(self) -> Checkpoint:
        """Where this run stands."""
        return Checkpoint(run=self._run, resume=self.resume, read=max(self.read, self._posted))

    @property
    def resume(self) -> Position:
        """The oldest open intent, or where reading stands."""
        for intent in self._open.values():
            return intent.at
        return self.read

    @property
    def open_calls(self) -> int:
        """How many calls are under way, as far as was read."""
        return len(self._open)

    @property
    def low_water_us(self) -> int | None:
        """When the earliest call under way began."""
        return min((intent.entry.started_us for intent in self._open.values()), default=None)

    def lag_bytes(self, segments: Sequence[SegmentName]) -> int:
        """How many bytes are not yet read."""
        return sum(
            self._end(segment) - (self.read.offset if segment.sequence == self.read.sequence else 0)
            for segment in segments
            if segment.sequence >= self.read.sequence
        )

    def take(self, segments: Sequence[SegmentName], *, is_dead: bool = False) -> Batch | None:
        """The next chunk of records; None when there is none (yet).

        `segments` were listed before this call, so that all but the last are complete; the last
        one is too where the writer `is_dead`.

        Raises:
            OSError: a segment can't be read; the tail stands where it stood.
        """
        for segment in segments:
            if segment.sequence < self.read.sequence:
                continue
            if segment.sequence > self.read.sequence:
                self.read = Position(segment.sequence, 0)
            is_complete = is_dead or segment is not segments[-1]
            lines = self._lines(
                segment, self.read.offset, self._chunk_bytes, is_complete=is_complete
            )
            if lines:
                return self._digest(segment, lines)
        return None

    def abandon(self, segments: Sequence[SegmentName]) -> Batch:
        """The open intents of a dead run, which stand as they are: nobody will settle them.

        Raises:
            OSError: a segment can't be read; the tail stands where it stood.
        """
        entries: list[Entry] = []
        damages: list[Damage] = []
        for intent in self._open.values():
            try:
                entries.append(read_entry(intent.kind, intent.content))
            except msgspec.DecodeError:
                file = SegmentName(self._run, intent.at.sequence).file
                kept = intent.content[:_DAMAGE_BYTES_KEPT]
                damages.append(Damage(file, intent.at.offset, kept))
        last = segments[-1]
        end = Position(last.sequence, self._size(last))
        self._open.clear()
        self.read = end
        return Batch(entries=entries, damages=damages, checkpoint=self.checkpoint)

    def next_started_us(self, segments: Sequence[SegmentName]) -> int | None:
        """When the call of the first record not yet read began; None where there is none."""
        for segment in segments:
            if segment.sequence >= self.read.sequence:
                offset = self.read.offset if segment.sequence == self.read.sequence else 0
                while lines := self._lines(segment, offset, _GLANCE_BYTES, is_complete=True):
                    for line in lines:
                        started_us = _started_us(line)
                        if started_us is not None:
                            return started_us
                        offset += len(line) + 1
        return None

    def find(self, segments: Sequence[SegmentName], call_id: str) -> Entry | None:
        """A call that was settled in what is not read yet; nothing counts as read by it.

        Raises:
            OSError: a segment can't be read.
        """
        wanted = msgspec.json.encode(call_id)
        apart = Tail(self._folder, self._run, None)
        for segment in segments:
            if segment.sequence < self.read.sequence:
                continue
            offset = self.read.offset if segment.sequence == self.read.sequence else 0
            is_complete = segment is not segments[-1]
            while lines := self._lines(segment, offset, self._chunk_bytes, is_complete=is_complete):
                offset += sum(map(len, lines)) + len(lines)
                batch = apart._digest(segment, [line for line in lines if is_about(line, wanted)])
                if batch.entries:
                    return batch.entries[-1]
        return None

    def _digest(self, segment: SegmentName, lines: list[bytes]) -> Batch:
        entries: list[Entry] = []
        cards: list[CardNote] = []
        damages: list[Damage] = []
        opened = self._open
        sequence = segment.sequence
        offset = self.read.offset
        posted_offset = self._posted_in(segment)
        for line in lines:
            at = offset
            offset += len(line) + 1
            written, record = line, read_line(line)
            if record is None:
                written = line.lstrip(b"\0")  # a power cut leaves zeros where nothing was written
                at += len(line) - len(written)
                record = read_line(written)
                if record is None and len(line) - len(written) == 1:
                    continue  # its writer died before it wrote the first byte, so before it said so
            try:
                if record is None:
                    raise msgspec.DecodeError  # noqa: TRY301 - damaged either way
                kind, content = record
                if kind is _INTENT or kind is _OLD_INTENT:
                    entry = read_begun(kind, content)
                    opened.pop(entry.call_id, None)
                    opened[entry.call_id] = _Intent(sequence, at, kind, content, entry)
                elif kind is _CARD:
                    cards.append(read_card(content))
                else:
                    entry = self._settled(kind, content)
                    if at >= posted_offset:  # else read again for the sake of an older intent
                        entries.append(entry)
            except msgspec.DecodeError:
                if at >= posted_offset:
                    damages.append(Damage(segment.file, at, written[:_DAMAGE_BYTES_KEPT]))
        self.read = Position(sequence, offset)
        return Batch(entries=entries, cards=cards, damages=damages, checkpoint=self.checkpoint)

    def _posted_in(self, segment: SegmentName) -> int:
        """The place in a segment from which on nothing was posted yet."""
        if segment.sequence == self._posted.sequence:
            return self._posted.offset
        return 0 if segment.sequence > self._posted.sequence else sys.maxsize

    def _settled(self, kind: Kind, content: bytes) -> Entry:
        """The entry of a settlement, which closes the intent of its call."""
        if kind is not _OUTCOME:
            entry = read_entry(kind, content)
            self._open.pop(entry.call_id, None)
            return entry
        outcome = read_outcome(content)
        intent = self._open.pop(outcome.call_id, None)
        return outcome.alone() if intent is None else outcome.after(intent.entry)

    def _size(self, segment: SegmentName) -> int:
        return (self._folder / segment.file).stat().st_size

    def _end(self, segment: SegmentName) -> int:
        """Where the records end and the room for more, which is zeros, begins."""
        with (self._folder / segment.file).open("rb", buffering=0) as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while low < high:
                middle = (low + high) // 2
                if os.pread(file.fileno(), 1, middle) == b"\0":
                    high = middle
                else:
                    low = middle + 1
        return low

    def _lines(
        self, segment: SegmentName, offset: int, wanted: int, *, is_complete: bool
    ) -> list[bytes]:
        """Whole lines from `offset` on, about `wanted` bytes of them; none where there is none.

        While a segment may still grow, a zero, or a last line that does not read yet, is its end.
        """
        descriptor = os.open(self._folder / segment.file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while True:
                data = os.pread(descriptor, wanted, offset)
                whole = data if is_complete else _settled_part(data)
                lines = whole.split(b"\n")
                del lines[-1]  # it has no end yet, or nothing in it
                if lines or len(whole) < wanted:
                    return lines
                wanted *= 2  # one line longer than that
        finally:
            os.close(descriptor)


def _started_us(line: bytes) -> int | None:
    """When the call of a record began; None where that can't be told."""
    record = read_line(line)
    if record is None:
        return None
    kind, content = record
    with contextlib.suppress(msgspec.DecodeError):
        if kind is Kind.OUTCOME:
            return read_outcome(content).alone().started_us
        if kind is not Kind.CARD:
            return read_entry(kind, content).started_us
    return None


def _settled_part(data: bytes) -> bytes:
    """The records in `data` that are wholly written.

    A record's first byte is written last; where a processor lets another see that order reversed,
    the checksum tells.
    """
    zero = data.find(b"\0")
    if zero < 0:
        return data
    data = data[:zero]
    begin = data.rfind(b"\n", 0, -1) + 1
    is_whole = data.endswith(b"\n") and read_line(data[begin:-1]) is not None
    return data if is_whole else data[:begin]
