"""The vocabulary of a call: who asked for what, and each try to answer it.

A `Call` is one request as the client made it. Serving it takes any number of `Attempt`s, one per
try at one upstream. Instants are microseconds since the Unix epoch, UTC; durations microseconds.
"""

from __future__ import annotations

import enum

import msgspec

from farthing.money import Money
from farthing.usage import NO_USAGE, STANDARD, Terms, Usage

__all__ = [
    "FOR_TAG",
    "UNATTRIBUTED",
    "Attempt",
    "AttemptStatus",
    "Attribution",
    "Call",
    "Conversation",
    "Endpoint",
    "Pricing",
]

UNATTRIBUTED = "unattributed"
FOR_TAG = "farthing-for"  # on a second answer: the call beside which it was asked for


class Endpoint(enum.StrEnum):
    """The wire formats that are metered, named protocol.operation."""

    OPENAI_CHAT = "openai.chat"
    OPENAI_EMBEDDINGS = "openai.embeddings"
    ANTHROPIC_MESSAGES = "anthropic.messages"
    ANTHROPIC_COUNT_TOKENS = "anthropic.count_tokens"
    RECORDED = "recorded"  # told to us after the fact, by the library or an import


class Attribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom a call is for. An empty string means nobody said; reports show it as `unattributed`."""

    feature: str = ""
    user: str = ""
    tenant: str = ""
    session: str = ""
    trace: str = ""
    step: str = ""
    environment: str = ""
    tags: dict[str, str] = {}


class Conversation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where a call stands in its conversation, read from its messages.

    `turn` counts the user's turns so far; `step` the assistant's answers since the last of them
    (an agent's tool loop); `last_turn` is a hash of the last user turn (hex; empty when there is
    none). The same session, turn, step and hash again is a regeneration.
    """

    turn: int = 0
    step: int = 0
    last_turn: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request as the client made it.

    `body` is the client's bytes, never altered; `model` the name the client used; `output_most`
    the caller's own limit on output tokens (0: none given); `id` is unique and sorts by time.
    """

    id: str
    endpoint: Endpoint
    model: str
    body: bytes
    is_streamed: bool
    output_most: int
    attribution: Attribution
    conversation: Conversation
    started_us: int


class AttemptStatus(enum.StrEnum):
    """How one try ended."""

    OK = "ok"
    ERROR = "error"  # the provider answered with an error, or broke the protocol
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no connection, nothing was sent
    CUT = "cut"  # the answer broke off midway
    CANCELLED = "cancelled"  # the client went away, or we stopped it
    INTERRUPTED = "interrupted"  # the process died before the answer was in


class Pricing(enum.StrEnum):
    """How an attempt came by its cost."""

    CARD = "card"  # our rate card
    PROVIDER = "provider"  # the provider's own cost field
    ESTIMATED = "estimated"  # a policy's substitute rates; the price is not known
    UNPRICED_MODEL = "unpriced_model"
    UNPRICED_CONDITION = "unpriced_condition"
    FREE = "free"  # nothing was billable: never sent, or refused by the provider


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One try at one upstream, with what it used and cost.

    `model` is what was sent upstream, `model_served` what the answer names. `cost` is the booked
    sum (None: unpriced); `card_cost` and `provider_cost` stand beside it where they are known.
    `detail` says what went wrong, or why there is no price. `request_id` is the provider's.
    """

    number: int
    provider: str
    model: str
    status: AttemptStatus
    model_served: str = ""
    http_status: int = 0
    detail: str = ""
    request_id: str = ""
    usage: Usage = NO_USAGE
    terms: Terms = STANDARD
    pricing: Pricing = Pricing.FREE
    cost: Money | None = None
    card_cost: Money | None = None
    provider_cost: Money | None = None
    card_id: str = ""
    started_us: int = 0
    first_byte_us: int = 0
    duration_us: int = 0
    finish_reason: str = ""
