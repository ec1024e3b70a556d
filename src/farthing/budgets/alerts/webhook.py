"""Webhooks: JSON by HTTPS POST, signed; and Slack's, which take no signature.

A receiver has taken a message when it answers 2xx. 410 ends it: the receiver wants no more. Every
other answer is tried again, redirects too, which are not followed: a moved receiver is to be told
by its new address. A `Retry-After` is heeded.
Source: Standard Webhooks 1.0.0, "Delivery success and failure" (see `signing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from farthing.budgets.alerts.alert import Alert
from farthing.budgets.alerts.delivery import NotDelivered, masked
from farthing.budgets.alerts.signing import webhook_headers
from farthing.errors import ConfigError
from farthing.secret import Secret
from farthing.wire import Client, Header, Origin, Timeouts, WireError

__all__ = ["WebhookTarget", "endpoint"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANSWER_MOST: Final = 16_384


def endpoint(url: Secret, name: str) -> tuple[Origin, str]:
    """Where to connect and what to ask for there.

    Raises:
        ConfigError: it is no address; the address itself is not shown, for it may be a secret.
    """
    text = url.reveal()
    fault = ConfigError(
        f"The address of alert target {name!r} is no http:// or https:// address. Nothing was"
        " sent. Mend `url`, or the variable that `url_env` names."
    )
    try:
        parts = urlsplit(text)
        origin = Origin.parse(f"{parts.scheme}://{parts.netloc}")
    except (ConfigError, ValueError):
        raise fault from None
    if origin.scheme not in ("http", "https"):
        raise fault
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise fault
    return origin, target


class WebhookTarget:
    """One receiver. `form` writes the body; `keys` sign it, none: it is not signed."""

    def __init__(
        self,
        name: str,
        url: Secret,
        client: Client,
        form: Callable[[Alert], bytes],
        *,
        keys: Sequence[bytes] = (),
        timeout_s: float = 20.0,
    ) -> None:
        self.name = name
        self._url = url
        self._origin, self._target = endpoint(url, name)
        self._client = client
        self._form = form
        self._keys = tuple(keys)
        self._timeouts = Timeouts(
            connect_s=timeout_s, first_byte_s=timeout_s, idle_s=timeout_s, total_s=timeout_s
        )

    async def send(self, alert: Alert, message_id: str, now_us: int) -> str:
        """See `Target`."""
        body = self._form(alert)
        headers: list[Header] = [
            (b"content-type", b"application/json"),
            (b"user-agent", b"farthing"),
            *(webhook_headers(self._keys, message_id, now_us, body) if self._keys else ()),
        ]
        if not self._keys:
            headers.append((b"webhook-id", message_id.encode()))
        try:
            response = await self._client.send(
                self._origin, "POST", self._target, headers, body, self._timeouts
            )
            answer = await response.read(_ANSWER_MOST) if response.status >= 300 else b""
            response.close()
        except WireError as error:
            told = masked(str(error), self._secrets())
            raise NotDelivered(f"{self._origin.key}: {told}") from None
        if not 200 <= response.status < 300:
            said = masked(answer.decode(errors="replace"), self._secrets())
            raise NotDelivered(
                f"{self._origin.key} answered {response.status}" + (f": {said}" if said else ""),
                is_final=response.status == 410,
                retry_after_s=_retry_after_s(response.header(b"retry-after"), now_us),
            )
        return ""

    def close(self) -> None:
        """Drop its connections."""
        self._client.close()

    def _secrets(self) -> list[Secret]:
        return [self._url, Secret(self._target if len(self._target) > 1 else "")]


def _retry_after_s(value: bytes | None, now_us: int) -> float:
    """Seconds from a `Retry-After`: a number, or a date (RFC 9110, 10.2.3); 0 for none."""
    text = (value or b"").decode(errors="replace").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - _EPOCH - timedelta(microseconds=now_us)).total_seconds())
