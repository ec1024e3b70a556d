"""Any service of the Apprise library: chat, paging, SMS, and more than a hundred others.

Webhooks, Slack and mail do not go this way: Apprise says whether a message was taken, and not
why not, so that neither "gone" nor "try again in an hour" could be heeded, and it writes no
message id of ours that a receiver could tell a repetition by.
Source: https://github.com/caronc/apprise (version 2.2.0, read 2026-11-24).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any, Protocol, cast

from farthing.budgets.alerts.alert import Alert, headline, text_lines
from farthing.budgets.alerts.delivery import NotDelivered
from farthing.errors import ConfigError
from farthing.secret import Secret

__all__ = ["AppriseTarget"]


class _Apprise(Protocol):
    def add(self, servers: str) -> bool: ...

    def notify(self, body: str, title: str) -> bool | None: ...


class AppriseTarget:
    """One address in Apprise's form, for example `pagerduty://...`; needs `farthing[alerts]`."""

    def __init__(self, name: str, url: Secret) -> None:
        self.name = name
        self._apprise = _apprise(name)
        if not self._apprise.add(url.reveal()):
            raise ConfigError(
                f"Apprise does not understand the address of alert target {name!r}. Nothing was"
                " sent. See https://github.com/caronc/apprise/wiki for its form."
            )

    async def send(self, alert: Alert, message_id: str, now_us: int) -> str:
        """See `Target`."""
        del now_us
        body = "\n".join([*text_lines(alert), f"Message {message_id}"])
        is_taken = await asyncio.to_thread(self._apprise.notify, body, headline(alert))
        if not is_taken:
            raise NotDelivered("Apprise could not deliver it; the library does not say why")
        return ""

    def close(self) -> None:
        """See `Target`; none stays open."""


def _apprise(name: str) -> _Apprise:
    try:
        library: Any = importlib.import_module("apprise")
    except ImportError as error:
        raise ConfigError(
            f"Alert target {name!r} needs the Apprise library, which is not installed. Nothing was"
            " sent. Install it with: pip install 'farthing[alerts]'"
        ) from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its texts may hold addresses
    return cast("_Apprise", library.Apprise())
