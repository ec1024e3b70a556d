"""The ledger's immutable record of one call.

L1  An entry is never changed; a correction is a new entry that names the old (`corrects`).
L4  Every entry falls in exactly one bucket of every dimension; `unattributed` is a bucket.
L5  Each attempt names its card, or says why it is unpriced.
"""

from __future__ import annotations

import enum

import msgspec

from farthing.call import Attempt, Attribution, Conversation, Endpoint
from farthing.money import Money, total

__all__ = ["CallStatus", "Entry", "LeverMove"]


class CallStatus(enum.StrEnum):
    """How a call ended, as its caller saw it."""

    OK = "ok"
    ERROR = "error"
    REFUSED = "refused"  # by us; nothing was sent
    CANCELLED = "cancelled"  # the client went away
    INTERRUPTED = "interrupted"  # our process died; cost is what was reserved


class LeverMove(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one lever saved and spent on one call."""

    lever: str
    saved: Money
    spent: Money


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One call with its attempts. Tokens are the record; money can be derived again from them.

    `baseline` is what the call would have cost with every lever off; None when it is unknown.
    `detail` tells what went wrong, in the words the caller got. `charges` names the accounts of
    budgets that the cost is charged to.
    """

    call_id: str
    endpoint: Endpoint
    model: str
    is_streamed: bool
    status: CallStatus
    started_us: int
    duration_us: int = 0
    overhead_us: int = 0
    attribution: Attribution = Attribution()
    conversation: Conversation = Conversation()
    attempts: tuple[Attempt, ...] = ()
    baseline: Money | None = None
    moves: tuple[LeverMove, ...] = ()
    corrects: str = ""
    detail: str = ""
    charges: tuple[str, ...] = ()

    @property
    def cost(self) -> Money:
        """The booked sum over all priced attempts; unpriced ones are counted by `unpriced`."""
        return total(tuple(a.cost for a in self.attempts if a.cost is not None))

    @property
    def unpriced(self) -> int:
        """How many attempts have no price."""
        return sum(a.cost is None for a in self.attempts)
