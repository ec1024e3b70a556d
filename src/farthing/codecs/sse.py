"""Server-sent events, cut at event boundaries and nowhere else.

A block is one event with the blank line that ends it; the blocks put together are the stream's
bytes. A line ends with LF, CR or CRLF; a blank line ends an event; a line that begins with a colon
is a comment; `data` lines of one event are joined with LF; one space behind the colon is dropped.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
(from memory, not checked against the page).
"""

from __future__ import annotations

import re

import msgspec

__all__ = ["EVENT_BYTES_MAX", "Event", "Splitter", "data_of", "first_end", "read_event"]

EVENT_BYTES_MAX = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Atomic, so that a CRLF is never taken for a CR and a blank line.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event; `data` is empty for a comment or a blank line."""

    name: str = ""
    data: bytes = b""
    id: str = ""


def read_event(block: bytes) -> Event:
    """The event a block holds."""
    name = event_id = b""
    data: list[bytes] = []
    for line in _LINE_END.split(block.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif field == b"id":
            event_id = value
    return Event(
        name=name.decode(errors="replace"),
        data=b"\n".join(data),
        id=event_id.decode(errors="replace"),
    )


def data_of(block: bytes) -> bytes:
    """The data of a block's event; quick for the two forms that nearly every event has."""
    end = len(block) - 2
    if block.startswith(b"data: "):
        first = 6
    elif block.startswith(b"event: ") and block.find(b"\n") == (at := block.find(b"\ndata: ")):
        first = at + 7
    else:
        return read_event(block).data
    if block.find(b"\n", first) == end and b"\r" not in block:
        return block[first:end]
    return read_event(block).data


def first_end(begun: bytes, data: bytes) -> int:
    """Where in `data` the event ends that has begun, with `begun` as its last bytes; 0: nowhere."""
    ends = (found.end() - len(begun) for found in _BLANK_LINE.finditer(begun + data))
    return next((end for end in ends if end > 0), 0)


class Splitter:
    """Cuts a stream into blocks. Holds at most one incomplete block of `limit` bytes.

    A block that outgrows the limit is not held: its bytes are handed on in `spilled_before` and
    `spilled_after`, which belong before and behind the blocks of the same call. `has_late_lf` says
    that the data began with the LF of a CRLF whose CR ended the block before; it is in no block.
    """

    def __init__(self, limit: int = EVENT_BYTES_MAX) -> None:
        self._limit = limit
        self._held = bytearray()
        self.is_spilling = False
        self._ended_with_cr = False
        self._is_plain = True  # nothing is left over from the call before
        self.has_spilled = False
        self.has_late_lf = False
        self.spilled_before = b""
        self.spilled_after = b""

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their block."""
        return len(self._held)

    @property
    def begun(self) -> bytes | None:
        """The last bytes of an event that has begun; None where all that came is whole events."""
        return None if self._is_plain else bytes(self._held[-3:])

    def sole_data(self, data: bytes) -> bytes:
        """The data of the one event that `data` is, where it has the form nearly every event has.

        Empty otherwise, and then nothing was taken in: `split` has to be called.
        """
        end = len(data) - 2
        is_sole = (
            data.startswith(b"data: ")
            and data.find(b"\n") == end
            and data.endswith(b"\n")
            and self._is_plain
            and b"\r" not in data
        )
        return data[6:end] if is_sole else b""

    def split(self, data: bytes) -> list[bytes]:
        """The blocks that are complete now."""
        if data.endswith(b"\n\n") and self._is_plain and b"\r" not in data:
            if data.find(b"\n\n") == len(data) - 2:
                return [data]
            return [part + b"\n\n" for part in data[:-2].split(b"\n\n")]
        return self._split_held(data)

    def _split_held(self, data: bytes) -> list[bytes]:
        self.spilled_before = self.spilled_after = b""
        self.has_late_lf = self._ended_with_cr and data.startswith(b"\n")
        if self.has_late_lf:
            data = data[1:]
        if data:
            self._ended_with_cr = False
        held = self._held
        seek = max(0, len(held) - 3)
        held += data
        blocks: list[bytes] = []
        start = 0
        for end in self._ends(seek):
            blocks.append(bytes(held[start:end]))
            start = end
        if start:
            self._ended_with_cr = start == len(held) and held.endswith(b"\r")
            del held[:start]
        if self.is_spilling and blocks:
            self.spilled_before += blocks.pop(0)
            self.is_spilling = False
        if held and (self.is_spilling or len(held) > self._limit):
            self._spill()
        self._is_plain = not (
            held
            or self.is_spilling
            or self._ended_with_cr
            or self.has_late_lf
            or self.spilled_before
            or self.spilled_after
        )
        return blocks

    def _ends(self, seek: int) -> list[int]:
        """Where blocks end within the held bytes, from `seek` on."""
        held = self._held
        if b"\r" in held:
            return [found.end() for found in _BLANK_LINE.finditer(held, seek)]
        ends: list[int] = []
        while (at := held.find(b"\n\n", seek)) >= 0:
            seek = at + 2
            ends.append(seek)
        return ends

    def _spill(self) -> None:
        """Hand the held bytes on, all but the few that may be the start of a blank line."""
        self.is_spilling = self.has_spilled = True
        cut = max(0, len(self._held) - 3)
        self.spilled_after = bytes(self._held[:cut])
        del self._held[:cut]

    def close(self) -> bytes:
        """The last block, which no blank line ended; empty if there is none."""
        rest = bytes(self._held)
        self._held.clear()
        return rest
