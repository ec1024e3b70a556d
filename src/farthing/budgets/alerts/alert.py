"""An alert: the facts that every message tells, whatever its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from farthing.budgets.alerts.drivers import Driver, Drivers
from farthing.budgets.alerts.event import AlertEvent, Kind
from farthing.budgets.forecast import Forecast
from farthing.budgets.pace import (
    Status,
    forecast_document,
    instant_text,
    percent_text,
    share_tenths,
)
from farthing.money import Money

__all__ = ["Alert", "headline", "link_to", "payload", "text_lines"]

_NO_DRIVERS: Final = Drivers()


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Who, how much, what drives it, where it is heading, and where to look.

    `status` is None where the account is not known any more; `link` is empty where no dashboard
    is configured. `detail` says what there is to know of the alert itself.
    """

    event: AlertEvent
    status: Status | None = None
    drivers: Drivers = _NO_DRIVERS
    link: str = ""
    detail: str = ""


def link_to(dashboard_url: str, event: AlertEvent) -> str:
    """The dashboard's page for an event's account; empty where there is no dashboard."""
    if not dashboard_url:
        return ""
    page = f"{dashboard_url.rstrip('/')}/budgets/{quote(event.budget, safe='')}"
    return f"{page}?key={quote(event.key, safe='')}&window={quote(event.window, safe='')}"


def headline(alert: Alert) -> str:
    """The one sentence that stands in a subject line; a single line."""
    event = alert.event
    whom = f'Budget "{event.budget}"' + ("" if event.key == "all" else f" ({event.key})")
    share = percent_text(share_tenths(event.spent, event.limit))
    said = {
        Kind.THRESHOLD: f"{whom} reached {event.threshold} %: ${event.spent} of ${event.limit}",
        Kind.FORECAST: f"{whom} is heading for more than {event.threshold} % of ${event.limit}",
        Kind.OVERRUN: f"{whom} was overrun by a provider's bill: ${event.spent} of ${event.limit}",
        Kind.ANOMALY: f"Unusual spending: {event.key}, ${event.spent}",
        Kind.TEST: f'Test alert of target "{event.budget}"; no budget is affected',
    }
    known = [kind for kind in Kind if kind == event.kind]
    text = said[known[0]] if known else f"{whom}: {event.kind}, {share} of ${event.limit}"
    return " ".join(text.split())


def text_lines(alert: Alert) -> list[str]:
    """The alert as lines of plain text, without the headline."""
    event, lines = alert.event, list[str]()
    for detail in (event.detail, alert.detail):
        lines += detail.splitlines()
    if event.kind != Kind.TEST:
        lines += _money_lines(alert)
        lines += _driver_lines(alert.drivers)
    if alert.link:
        lines.append(f"Look closer: {alert.link}")
    elif event.kind in (Kind.THRESHOLD, Kind.FORECAST, Kind.OVERRUN):
        lines.append(f"Look closer: farthing budget status {event.budget}")
    return lines


def _money_lines(alert: Alert) -> list[str]:
    event, status = alert.event, alert.status
    lines: list[str] = []
    if event.limit:
        share = percent_text(share_tenths(event.spent, event.limit))
        lines.append(f"Spent ${event.spent} of ${event.limit} ({share}) in {event.window}.")
    if status is None:
        return lines
    standing = status.standing
    lines.append(
        f"Now: ${standing.spent} spent, ${standing.reserved} reserved, ${status.free} free."
    )
    lines.append(f"Pace: ${status.burn_hour} in the last hour, ${status.burn_day} in 24 hours.")
    if status.exhausted_us is not None and status.exhausted_us > status.at_us:
        lines.append(f"At that pace the limit is reached {instant_text(status.exhausted_us)}.")
    if standing.has_end:
        ends = instant_text(standing.end_us)
        lines.append(f"Forecast for {ends}: {forecast_text(status.forecast)}.")
    return lines


def forecast_text(forecast: Forecast) -> str:
    """A forecast in words, to the cent."""
    if forecast.expected is None or forecast.high is None:
        return "too early to say"
    if forecast.basis == "over":
        return "the window has ended"
    share = f"{round(forecast.coverage * 100)} % interval"
    low, high = cents(forecast.low), cents(forecast.high)
    rough = ", from less than a day" if forecast.basis == "pace" else ""
    return f"${cents(forecast.expected)} ({share} ${low} to ${high}{rough})"


def cents(sum_: Money) -> str:
    """An estimate for people: to the cent, because it is not known better."""
    unit = 10_000_000
    sign = "-" if sum_.nanodollars < 0 else ""
    whole, rest = divmod((abs(sum_.nanodollars) + unit // 2) // unit, 100)
    return f"{sign}{whole}.{rest:02d}"


def _driver_lines(drivers: Drivers) -> list[str]:
    if not drivers.calls:
        return []
    lines = [f"What drives it, of {drivers.calls:,} calls since the window began:"]
    for title, found in (("features", drivers.features), ("models", drivers.models)):
        told = ", ".join(f"{d.name} ${d.cost} ({d.calls:,} calls)" for d in found)
        lines.append(f"  {title}: {told}")
    told = ", ".join(f"{c.call_id} ${c.cost} ({c.model})" for c in drivers.top_calls)
    if told:
        lines.append(f"  dearest calls: {told}")
    return lines


def payload(alert: Alert) -> dict[str, Any]:
    """The body of a webhook; docs/alerts.md documents it. Money is decimal text in USD."""
    event, status = alert.event, alert.status
    kind = f"budget.{event.kind}" if event.kind != Kind.TEST else "farthing.test"
    return {
        "type": kind,
        "timestamp": instant_text(event.at_us),
        "data": {
            "budget": event.budget,
            "key": event.key,
            "window": event.window,
            "threshold_percent": event.threshold or None,
            "spent_usd": str(event.spent),
            "limit_usd": str(event.limit),
            "spent_share": share_tenths(event.spent, event.limit) / 1000 if event.limit else None,
            "headline": headline(alert),
            "detail": "\n".join(filter(None, (event.detail, alert.detail))),
            "now": None if status is None else _now(status),
            "forecast": None if status is None else forecast_document(status.forecast),
            "drivers": {
                "calls": alert.drivers.calls,
                "features": _drivers(alert.drivers.features),
                "models": _drivers(alert.drivers.models),
                "dearest_calls": [
                    {
                        "call": call.call_id,
                        "feature": call.feature,
                        "model": call.model,
                        "cost_usd": str(call.cost),
                    }
                    for call in alert.drivers.top_calls
                ],
            },
            "link": alert.link,
        },
    }


def _now(status: Status) -> dict[str, Any]:
    told = status.document()
    return {
        "at": instant_text(status.at_us),
        "window_ends": told["ends"],
        "spent_usd": told["spent_usd"],
        "reserved_usd": told["reserved_usd"],
        "free_usd": told["free_usd"],
        "burn": told["burn"],
        "exhausted_at": told["exhausted_at"],
    }


def _drivers(found: Sequence[Driver]) -> list[dict[str, Any]]:
    return [{"name": d.name, "cost_usd": str(d.cost), "calls": d.calls} for d in found]
