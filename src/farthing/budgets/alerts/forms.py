"""An alert in the form that each kind of target takes: webhook JSON, Slack blocks, e-mail, text."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

import msgspec

from farthing.budgets.alerts.alert import Alert, headline, payload, text_lines

__all__ = ["as_mail", "as_slack", "as_text", "as_webhook"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Source: https://api.slack.com/reference/block-kit/blocks (limits known 2026-11-24).
_HEADER_MOST: Final = 150
_SECTION_MOST: Final = 3000


def as_text(alert: Alert) -> str:
    """Headline, empty line, the facts."""
    return "\n".join([headline(alert), "", *text_lines(alert)])


def as_webhook(alert: Alert) -> bytes:
    """The JSON body of a webhook, the same bytes for the same alert."""
    return msgspec.json.encode(payload(alert))


def as_slack(alert: Alert) -> bytes:
    """A message of Slack's incoming webhooks: blocks, and `text` where they are not shown."""
    title = headline(alert)
    body = _slack(_shortened("\n".join(text_lines(alert)), _SECTION_MOST // 2))
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _shortened(title, _HEADER_MOST)},
        }
    ]
    if body:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": body[:_SECTION_MOST]}})
    return msgspec.json.encode({"text": _slack(title), "blocks": blocks})


def as_mail(
    alert: Alert, *, sender: str, recipients: tuple[str, ...], message_id: str, now_us: int
) -> EmailMessage:
    """An e-mail in plain text and simple HTML; its Message-ID is the same for every try."""
    title = headline(alert)
    lines = text_lines(alert)
    mail = EmailMessage()
    mail["Subject"] = title
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(_EPOCH + timedelta(microseconds=now_us))
    mail["Message-ID"] = f"<{message_id}@{_domain(sender)}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from holiday notices
    mail.set_content("\n".join([title, "", *lines]) + "\n")
    rows = "".join(f"<p>{_marked_up(line)}</p>" for line in lines)
    mail.add_alternative(
        f"<!doctype html><html><body><h2>{html.escape(title)}</h2>{rows}</body></html>\n",
        subtype="html",
    )
    return mail


def _domain(address: str) -> str:
    found = address.rpartition("@")[2].strip("> ")
    return found or "farthing.invalid"


def _marked_up(line: str) -> str:
    """A line of text as HTML; only an address that stands at its end becomes a link."""
    before, _, last = line.rpartition(" ")
    if last.startswith(("https://", "http://")):
        safe = html.escape(last, quote=True)
        return f'{html.escape(before)} <a href="{safe}">{safe}</a>'
    indent = "&nbsp;&nbsp;" if line.startswith("  ") else ""
    return indent + html.escape(line.strip())


def _slack(text: str) -> str:
    """Text with Slack's three control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
