"""What a target does: take one message, or say why not and whether to try again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from farthing.budgets.alerts.alert import Alert
from farthing.errors import ProviderError
from farthing.secret import Secret

__all__ = ["NotDelivered", "Sent", "Target", "masked"]

_TEXT_MOST = 300


class NotDelivered(ProviderError):
    """A target did not take a message.

    `is_final`: it never will, so trying again is of no use. `retry_after_s`: what it asked for.
    """

    code = "alert_not_delivered"

    def __init__(self, message: str, *, is_final: bool = False, retry_after_s: float = 0) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Target(Protocol):
    """Somewhere alerts go."""

    @property
    def name(self) -> str:
        """The name that budgets call it by."""
        ...

    async def send(self, alert: Alert, message_id: str, now_us: int) -> str:
        """Deliver it; gives what to know all the same, mostly nothing.

        Raises:
            NotDelivered: it was not taken, or nobody can know.
        """
        ...

    def close(self) -> None:
        """Drop its connections."""
        ...


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """How one target fared with one message."""

    target: str
    is_sent: bool
    detail: str = ""


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """A text from outside, fit to be shown: on one line, shortened, secrets blotted out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), "***")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_TEXT_MOST]
