"""What there is to tell: one row of the ledger's table `budget_events`, and its deliveries."""

from __future__ import annotations

import enum
import hashlib

import msgspec

from farthing.budgets.runaway import Evidence
from farthing.money import ZERO, Money

__all__ = ["AlertEvent", "Delivery", "DeliveryState", "Kind", "anomaly_event", "message_id"]


class Kind(enum.StrEnum):
    """Why an alert is sent; `threshold` means in each case what the comment says."""

    THRESHOLD = "threshold"  # percent of the limit that is spent
    FORECAST = "forecast"  # percent of the limit that the window is heading for
    ANOMALY = "anomaly"  # 0; a runaway session or trace
    OVERRUN = "overrun"  # 0; a provider billed more than was reserved, beyond the limit
    TEST = "test"  # 0; `farthing budget test-alert`


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event; (budget, key, window, kind, threshold) is unique, so that it is told once.

    `spent` and `limit` are as they were at `at_us` (microseconds since the epoch). `detail` is what
    else there is to say, for example the evidence of an anomaly.
    """

    id: int = 0
    budget: str
    key: str
    window: str
    kind: str
    threshold: int
    at_us: int
    spent: Money
    limit: Money
    detail: str = ""


def anomaly_event(evidence: Evidence) -> AlertEvent:
    """The event of a runaway session; each of its rules is told once, and its stop once more."""
    return AlertEvent(
        budget="runaway",
        key=f"session={evidence.session}",
        window=f"{evidence.reason} {evidence.action}",
        kind=Kind.ANOMALY,
        threshold=0,
        at_us=evidence.at_us,
        spent=evidence.spent,
        limit=ZERO,
        detail=str(evidence) + (" It was stopped." if evidence.action == "stop" else ""),
    )


class DeliveryState(enum.StrEnum):
    """How an event fares at one target."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one target; `tries` counts those begun."""

    event: AlertEvent
    target: str
    state: DeliveryState
    tries: int
    next_try_us: int
    last_error: str = ""
    sent_us: int = 0

    @property
    def message_id(self) -> str:
        """The same for every try, so that a receiver can drop what it has seen."""
        return message_id(self.event, self.target)


def message_id(event: AlertEvent, target: str) -> str:
    """A name for one event at one target: letters and digits, stable across restarts."""
    parts = (event.budget, event.key, event.window, event.kind, str(event.threshold), target)
    text = "\0".join(parts) + (f"\0{event.at_us}" if event.kind == Kind.TEST else "")
    return "msg_" + hashlib.sha256(text.encode()).hexdigest()[:32]
