"""Journal records: one line each, `KIND CRC32 JSON`, written and read back.

A line is one letter, eight hex digits of the CRC-32 of letter and JSON, the JSON, and a
newline. JSON holds no raw newline, so a reader finds the next record after any damage.
"""

from __future__ import annotations

import enum
import zlib
from types import MappingProxyType

import msgspec

from farthing.ledger.entry import Entry

__all__ = ["PREFIX_BYTES", "CardNote", "Kind", "card_line", "entry_line", "read_line"]

PREFIX_BYTES = 9  # the letter and eight hex digits


class Kind(enum.Enum):
    """What a record tells; the value is its letter."""

    INTENT = b"I"  # the entry as it shall stand if its process is never heard of again
    SETTLED = b"S"  # the entry as it stands
    CARD = b"C"  # the content of a rate card that entries name


class CardNote(msgspec.Struct, frozen=True):
    """A rate card's content, as opaque JSON, under its id."""

    id: str
    content: msgspec.Raw


_ENCODE = msgspec.json.Encoder().encode
_INTENT_SEED, _SETTLED_SEED, _CARD_SEED = (zlib.crc32(kind.value) for kind in Kind)
_KINDS = MappingProxyType({kind.value: (kind, zlib.crc32(kind.value)) for kind in Kind})


def entry_line(entry: Entry, *, is_settled: bool) -> bytes:
    """The line for an intent or a settlement."""
    content = _ENCODE(entry)
    if is_settled:
        return b"S%08x%b\n" % (zlib.crc32(content, _SETTLED_SEED), content)
    return b"I%08x%b\n" % (zlib.crc32(content, _INTENT_SEED), content)


def card_line(card_id: str, content: bytes) -> bytes:
    """The line for a rate card's content."""
    note = _ENCODE(CardNote(card_id, msgspec.Raw(content)))
    return b"C%08x%b\n" % (zlib.crc32(note, _CARD_SEED), note)


def read_line(line: bytes) -> tuple[Kind, bytes] | None:
    """The kind and JSON of a line without its newline; None where the line is damaged."""
    known = _KINDS.get(line[:1])
    if known is None:
        return None
    kind, seed = known
    content = line[PREFIX_BYTES:]
    if b"%08x" % zlib.crc32(content, seed) != line[1:PREFIX_BYTES]:
        return None
    return kind, content
