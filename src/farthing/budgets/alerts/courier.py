"""The courier: takes what is due from the outbox, tells it, and writes down how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from farthing.budgets.alert_settings import AlertSettings
from farthing.budgets.alerts.alert import Alert, link_to
from farthing.budgets.alerts.backoff import Backoff
from farthing.budgets.alerts.delivery import NotDelivered, Sent, Target
from farthing.budgets.alerts.drivers import HOUR_US, History
from farthing.budgets.alerts.event import AlertEvent, Delivery, Kind, message_id
from farthing.budgets.alerts.outbox import Outbox
from farthing.budgets.alerts.targets import make_targets
from farthing.budgets.forecast import HISTORY_HOURS
from farthing.budgets.pace import status_of
from farthing.budgets.standing import Standing, Standings
from farthing.errors import ConfigError, FarthingError
from farthing.money import ZERO

__all__ = ["Books", "Courier", "send_tests"]

_TOP: Final = 3
_BACKOFF: Final = Backoff()


class Books:
    """Makes alerts of events: asks the budgets and the ledger what there is to say.

    A store that is away costs the details, never the alert.
    """

    def __init__(self, standings: Standings, history: History, *, dashboard_url: str = "") -> None:
        self._standings = standings
        self._history = history
        self._dashboard_url = dashboard_url

    def alert(self, event: AlertEvent, now_us: int) -> Alert:
        """The alert of an event, with figures as they are at `now_us`."""
        link = link_to(self._dashboard_url, event)
        try:
            standing = self._standings.find(event.budget, event.key, event.window, event.at_us)
            if standing is None:
                return Alert(event=event, link=link)
            return self._full(event, standing, link, now_us)
        except FarthingError as error:
            said = str(error).splitlines()[0]
            return Alert(event=event, link=link, detail=f"Details are missing: {said}")

    def _full(self, event: AlertEvent, standing: Standing, link: str, now_us: int) -> Alert:
        since_us = now_us - HISTORY_HOURS * HOUR_US
        hours = self._history.hours(standing, since_us, now_us)
        until_us = min(now_us, standing.end_us) if standing.has_end else now_us
        return Alert(
            event=event,
            status=status_of(standing, hours, now_us),
            drivers=self._history.drivers(standing, standing.start_us, until_us, _TOP),
            link=link,
        )


class Courier:
    """Delivers; one target's trouble neither stops nor delays another's messages."""

    def __init__(
        self,
        outbox: Outbox,
        targets: Mapping[str, Target],
        alert: Callable[[AlertEvent, int], Alert],
        *,
        targets_of: Callable[[AlertEvent], Sequence[str]],
        backoff: Backoff = _BACKOFF,
        faults: Mapping[str, ConfigError] | None = None,
    ) -> None:
        self._outbox = outbox
        self._targets = targets
        self._alert = alert
        self._targets_of = targets_of
        self._backoff = backoff
        self._faults = faults or {}

    async def step(self, now_us: int) -> int:
        """Deliver what is due; how many deliveries were tried."""
        self._outbox.spread(self._targets_of)
        by_target: dict[str, list[Delivery]] = {}
        for delivery in self._outbox.claim(now_us):
            by_target.setdefault(delivery.target, []).append(delivery)
        return sum(
            await asyncio.gather(*(self._deliver(found, now_us) for found in by_target.values()))
        )

    def close(self) -> None:
        """Drop the targets' connections."""
        for target in self._targets.values():
            target.close()

    async def _deliver(self, found: Sequence[Delivery], now_us: int) -> int:
        """To one target, in order; when one fails the others wait as long, without a try lost."""
        for place, delivery in enumerate(found):
            next_try_us = await self._one(delivery, now_us)
            if next_try_us is not None:
                for later in found[place + 1 :]:
                    self._outbox.postpone(later, next_try_us)
                return place + 1
        return len(found)

    async def _one(self, delivery: Delivery, now_us: int) -> int | None:
        """Try one delivery; when to try again, None: it ended, one way or the other."""
        if delivery.tries > self._backoff.tries_most:
            self._outbox.mark_failed(delivery, f"{delivery.last_error} (the sender died)", None)
            return None
        target = self._targets.get(delivery.target)
        if target is None:
            return self._failed(delivery, self._missing(delivery.target), now_us)
        try:
            alert = self._alert(delivery.event, now_us)
            note = await target.send(alert, delivery.message_id, now_us)
        except NotDelivered as error:
            return self._failed(delivery, error, now_us)
        except Exception as error:  # edge: a fault in one target must not silence the others
            return self._failed(delivery, NotDelivered(f"a fault: {type(error).__name__}"), now_us)
        self._outbox.mark_sent(delivery, now_us, note)
        return None

    def _missing(self, name: str) -> NotDelivered:
        fault = self._faults.get(name)
        if fault is not None:
            return NotDelivered(str(fault))
        return NotDelivered(f"there is no [[alert]] named {name!r} any more", is_final=True)

    def _failed(self, delivery: Delivery, error: NotDelivered, now_us: int) -> int | None:
        next_try_us = None
        if not error.is_final:
            next_try_us = self._backoff.next_try_us(
                delivery.message_id, delivery.tries, now_us, retry_after_s=error.retry_after_s
            )
        self._outbox.mark_failed(delivery, str(error), next_try_us)
        return next_try_us


async def send_tests(
    settings: Sequence[AlertSettings], environ: Mapping[str, str], now_us: int
) -> list[Sent]:
    """Send a test message to each target, all at once; how each fared, in their order."""
    targets, faults = make_targets(settings, environ)

    async def one(name: str) -> Sent:
        if name in faults:
            return Sent(target=name, is_sent=False, detail=str(faults[name]))
        event = AlertEvent(
            budget=name,
            key="all",
            window="test",
            kind=Kind.TEST,
            threshold=0,
            at_us=now_us,
            spent=ZERO,
            limit=ZERO,
        )
        try:
            said = "This target works: alerts of budgets will look like this one, with figures."
            alert = Alert(event=event, detail=said)
            note = await targets[name].send(alert, message_id(event, name), now_us)
        except NotDelivered as error:
            return Sent(target=name, is_sent=False, detail=str(error))
        return Sent(target=name, is_sent=True, detail=note)

    try:
        return list(await asyncio.gather(*(one(target.name) for target in settings)))
    finally:
        for target in targets.values():
            target.close()
