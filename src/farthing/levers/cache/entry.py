"""What is stored: an answer as it came, with what a call for it used."""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.call import Attempt, AttemptStatus, Endpoint
from farthing.codecs import Content
from farthing.ledger import CallStatus, Entry
from farthing.money import Money
from farthing.usage import Terms, Usage

__all__ = ["Stored", "Tried", "decode_stored", "encode_stored", "place_in", "taken_of"]
__all__ += ["tried_of", "why_not_keep"]

_FINISHED: Final = frozenset(
    {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call"}
)


class Tried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one billed try used; its price is worked out anew for each hit."""

    provider: str
    model: str
    served: str
    usage: Usage
    terms: Terms
    provider_cost: Money | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer. `body` is what the provider sent, a stream's events one after the other.

    `call_id` is the call that paid for it; `answered` says which of `tried` gave the answer. Instants
    in microseconds since the epoch.
    """

    call_id: str
    created_us: int
    expires_us: int
    is_stream: bool
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    tried: tuple[Tried, ...]
    answered: int = 0

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return len(self.body) + 1000


encode_stored = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Stored)


def decode_stored(data: bytes) -> Stored:
    """The inverse of `encode_stored`.

    Raises:
        msgspec.DecodeError: the bytes are no stored answer of this version.
    """
    return _decoder.decode(data)


def tried_of(entry: Entry) -> tuple[Tried, ...]:
    """What a call for this answer would be billed: the tries that succeeded."""
    return tuple(
        Tried(
            provider=attempt.provider,
            model=attempt.model,
            served=attempt.model_served,
            usage=attempt.usage,
            terms=attempt.terms,
            provider_cost=attempt.provider_cost,
        )
        for attempt in entry.attempts
        if attempt.status is AttemptStatus.OK
    )


def place_in(entry: Entry, taken: Attempt) -> int:
    """Which of the tries that succeeded gave the answer."""
    good = [a.number for a in entry.attempts if a.status is AttemptStatus.OK]
    return good.index(taken.number) if taken.number in good else 0


def why_not_keep(entry: Entry, taken: Attempt | None, content: Content, tool_ttl_s: int) -> str:
    """Why an answer must not be given again; empty: it may.

    `taken` is the try whose answer it is; None: none that the call asked for. What a fallback or a
    budget's downgrade answered is no answer to the next call.
    """
    if not _has_succeeded(entry):
        return "it did not succeed"
    if taken is None:
        return "another model answered than was asked"
    reasons = {part for part in taken.finish_reason.split(",") if part}
    if entry.endpoint is not Endpoint.OPENAI_EMBEDDINGS and not reasons:
        return "it has no finish reason"
    if not reasons <= _FINISHED:
        return f"it ended with {','.join(sorted(reasons))}"
    return "it calls tools" if content.calls_tools and not tool_ttl_s else ""


def _has_succeeded(entry: Entry) -> bool:
    last = entry.attempts[-1] if entry.attempts else None
    return (
        entry.status is CallStatus.OK
        and last is not None
        and last.status is AttemptStatus.OK
        and last.http_status == 200
    )


def taken_of(entry: Entry, target: tuple[str, str]) -> Attempt | None:
    """The try that gave the answer; None where that is not `target`, a provider and a model.

    The first that succeeded says where the answer came from, the last how it ended: a provider's
    own fallback stands as tries of its own between them.
    """
    good = (a for a in entry.attempts if a.status is AttemptStatus.OK)
    first = next(good, None)
    is_meant = first is not None and (first.provider, first.model) == target
    return entry.attempts[-1] if is_meant else None
