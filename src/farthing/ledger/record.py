"""Journal records: one line each, `KIND CRC32 JSON`, written and read back.

A line is one letter, eight hex digits of the CRC-32 of letter and JSON, the JSON, and a
newline. JSON holds no raw newline, so a reader finds the next record after any damage. Entries
are arrays in the order of their fields, without names; the settlement of a call whose intent
stands in the same journal leaves out what the intent says.  # ADR-0012
"""

from __future__ import annotations

import enum
import zlib
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from msgspec.structs import astuple, replace

from farthing.call import Attempt, Attribution, Conversation, Endpoint
from farthing.ledger.entry import CallStatus, Entry, LeverMove
from farthing.money import Money

__all__ = [
    "INTENT_LOST",
    "CardNote",
    "Kind",
    "RecordedEntry",
    "RecordedOutcome",
    "card_line",
    "intent_line",
    "is_about",
    "read_begun",
    "read_card",
    "read_entry",
    "read_line",
    "read_outcome",
    "settlement_line",
]

_PREFIX_BYTES: Final = 9  # the letter and eight hex digits
INTENT_LOST: Final = "the record of how this call began was damaged; whom it was for is not known"


class Kind(enum.Enum):
    """What a record tells; the value is its letter."""

    INTENT = b"N"  # the entry as it shall stand if its process is never heard of again
    SETTLED = b"E"  # the entry as it stands
    OUTCOME = b"O"  # how the entry stands now; the rest is as its last intent says
    CARD = b"C"  # the content of a rate card that entries name
    OLD_INTENT = b"I"  # as the first versions wrote them: entries as objects
    OLD_SETTLED = b"S"


class CardNote(msgspec.Struct, frozen=True):
    """A rate card's content, as opaque JSON, under its id."""

    id: str
    content: msgspec.Raw


class _RecordedAttribution(Attribution, frozen=True, kw_only=True, array_like=True, gc=False):
    """An attribution as an array."""


class _RecordedConversation(Conversation, frozen=True, kw_only=True, array_like=True, gc=False):
    """A conversation as an array."""


class _RecordedAttempt(Attempt, frozen=True, kw_only=True, array_like=True, gc=False):
    """An attempt as an array."""


class RecordedEntry(Entry, frozen=True, kw_only=True, array_like=True, gc=False):
    """An entry as it was read from a journal; its fields are those of any entry."""

    attribution: _RecordedAttribution = _RecordedAttribution()
    conversation: _RecordedConversation = _RecordedConversation()
    attempts: tuple[_RecordedAttempt, ...] = ()


class BegunEntry(Entry, frozen=True, kw_only=True, array_like=True, gc=False):
    """An intent without its attempts, which its outcome replaces."""

    attribution: _RecordedAttribution = _RecordedAttribution()
    conversation: _RecordedConversation = _RecordedConversation()
    attempts: msgspec.Raw = msgspec.Raw()  # pyright: ignore[reportIncompatibleVariableOverride]


class RecordedOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the settlement of a call adds to its intent; it has at least one attempt.

    `charges` None: as the intent says.
    """

    call_id: str
    status: CallStatus
    duration_us: int
    overhead_us: int
    attempts: Annotated[tuple[_RecordedAttempt, ...], msgspec.Meta(min_length=1)]
    baseline: Money | None = None
    moves: tuple[LeverMove, ...] = ()
    detail: str = ""
    charges: tuple[str, ...] | None = None

    def after(self, intent: Entry) -> Entry:
        """The entry of the call whose intent is given."""
        return replace(
            intent,
            status=self.status,
            duration_us=self.duration_us,
            overhead_us=self.overhead_us,
            attempts=self.attempts,
            baseline=self.baseline,
            moves=self.moves,
            detail=self.detail,
            charges=intent.charges if self.charges is None else self.charges,
        )

    def alone(self) -> RecordedEntry:
        """The entry of a call whose intent can't be read: what it used and cost still stands."""
        return RecordedEntry(
            call_id=self.call_id,
            endpoint=Endpoint.RECORDED,
            model=self.attempts[0].model,
            is_streamed=False,
            status=self.status,
            started_us=self.attempts[0].started_us,
            duration_us=self.duration_us,
            overhead_us=self.overhead_us,
            attempts=self.attempts,
            baseline=self.baseline,
            moves=self.moves,
            detail=f"{INTENT_LOST}; {self.detail}" if self.detail else INTENT_LOST,
            charges=self.charges or (),
        )


_ENCODE = msgspec.json.Encoder().encode
_INTENT_SEED, _SETTLED_SEED, _OUTCOME_SEED, _CARD_SEED = map(zlib.crc32, (b"N", b"E", b"O", b"C"))
_KINDS = MappingProxyType({kind.value: (kind, zlib.crc32(kind.value)) for kind in Kind})
_DECODE_ENTRY = msgspec.json.Decoder(RecordedEntry).decode
_DECODE_BEGUN = msgspec.json.Decoder(BegunEntry).decode
_DECODE_OLD_ENTRY = msgspec.json.Decoder(Entry).decode
read_outcome = msgspec.json.Decoder(RecordedOutcome).decode
read_card = msgspec.json.Decoder(CardNote).decode


def intent_line(entry: Entry) -> bytes:
    """The line for an intent."""
    content = _content(entry)
    return b"N%08x%b\n" % (zlib.crc32(content, _INTENT_SEED), content)


def settlement_line(entry: Entry, intent: Entry | None) -> bytes:
    """The line for a settlement; `intent` is the last that was written for the call, if any."""
    if intent is None or not _continues(entry, intent):
        content = _content(entry)
        return b"E%08x%b\n" % (zlib.crc32(content, _SETTLED_SEED), content)
    usual = (
        entry.call_id,
        entry.status,
        entry.duration_us,
        entry.overhead_us,
        [astuple(attempt) for attempt in entry.attempts],
        entry.baseline,
    )
    charges = None if entry.charges == intent.charges else entry.charges
    if entry.moves or entry.detail or charges is not None:
        content = _ENCODE((*usual, entry.moves, entry.detail, charges))
    else:
        content = _ENCODE(usual)
    return b"O%08x%b\n" % (zlib.crc32(content, _OUTCOME_SEED), content)


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
    content = line[_PREFIX_BYTES:]
    if line.startswith(b"%08x" % zlib.crc32(content, seed), 1):
        return kind, content
    return None


def is_about(line: bytes, call_id: bytes) -> bool:
    """Whether a line is a record of the call whose id, as JSON, is given.

    Cheap enough to ask of each line of a file; not for records as the first versions wrote them.
    """
    return line.startswith(call_id, _PREFIX_BYTES + 1)


def read_entry(kind: Kind, content: bytes) -> Entry:
    """The entry in the JSON of an intent or a whole settlement.

    Raises:
        msgspec.DecodeError: there is none.
    """
    is_old = kind is Kind.OLD_INTENT or kind is Kind.OLD_SETTLED
    return _DECODE_OLD_ENTRY(content) if is_old else _DECODE_ENTRY(content)


def read_begun(kind: Kind, content: bytes) -> Entry:
    """The same for an intent, as far as its outcome needs it: its attempts are not read.

    Raises:
        msgspec.DecodeError: there is none.
    """
    return _DECODE_OLD_ENTRY(content) if kind is Kind.OLD_INTENT else _DECODE_BEGUN(content)


def _continues(entry: Entry, intent: Entry) -> bool:
    """Whether the intent says what an outcome leaves out, and an outcome alone would say when."""
    return (
        (entry.attribution is intent.attribution or entry.attribution == intent.attribution)
        and (entry.conversation is intent.conversation or entry.conversation == intent.conversation)
        and entry.model == intent.model
        and entry.started_us == intent.started_us
        and entry.endpoint is intent.endpoint
        and entry.is_streamed is intent.is_streamed
        and entry.corrects == intent.corrects
        and bool(entry.attempts)
        and entry.attempts[0].started_us > 0
    )


def _content(entry: Entry) -> bytes:
    """The entry as an array; its last fields are left out where all of them are as usual."""
    usual = (
        entry.call_id,
        entry.endpoint,
        entry.model,
        entry.is_streamed,
        entry.status,
        entry.started_us,
        entry.duration_us,
        entry.overhead_us,
        astuple(entry.attribution),
        astuple(entry.conversation),
        [astuple(attempt) for attempt in entry.attempts],
        entry.baseline,
    )
    if entry.moves or entry.corrects or entry.detail or entry.charges:
        return _ENCODE((*usual, entry.moves, entry.corrects, entry.detail, entry.charges))
    return _ENCODE(usual)
