"""Everything that alerting needs, put together over one ledger's folder, and the loop that runs it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from farthing.budgets.alert_settings import AlertSettings, targets_named
from farthing.budgets.alerts.backoff import Backoff
from farthing.budgets.alerts.courier import Books, Courier
from farthing.budgets.alerts.drivers import LedgerHistory
from farthing.budgets.alerts.event import AlertEvent
from farthing.budgets.alerts.outbox import Outbox
from farthing.budgets.alerts.targets import make_targets
from farthing.budgets.alerts.watch import ForecastWatch
from farthing.budgets.settings import BudgetSettings
from farthing.budgets.sqlite import SqliteBudgets
from farthing.budgets.standings import AccountStandings
from farthing.clock import Clock
from farthing.errors import FarthingError
from farthing.ledger import Ledger, LedgerSettings, SqliteStore
from farthing.ledger.layout import Layout

__all__ = ["AlertDesk", "run_desk"]

_LOG: Final = logging.getLogger("farthing")
_BACKOFF: Final = Backoff()


def _unchanged() -> None:
    pass


class AlertDesk:
    """Watches forecasts and delivers alerts; made and used within one running loop.

    Any number may run over one ledger: the outbox sees to it that each alert goes out once.
    """

    def __init__(  # noqa: PLR0913 - put together once, at start
        self,
        ledger: LedgerSettings,
        budgets: Sequence[BudgetSettings],
        targets: Sequence[AlertSettings],
        environ: Mapping[str, str],
        *,
        dashboard_url: str = "",
        changed: Callable[[], Sequence[BudgetSettings] | None] = _unchanged,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        """`changed` is asked in each step for other budgets to go by; None: they are the same."""
        self._changed = changed
        directory = Path(ledger.data_dir)
        timeout_ms = ledger.busy_timeout_ms
        self._store = SqliteStore(Layout(directory).store, busy_timeout_ms=timeout_ms)
        self._accounts = SqliteBudgets(directory, busy_timeout_ms=timeout_ms)
        self._standings = AccountStandings(self._accounts, budgets)
        history = LedgerHistory(Ledger(directory, ledger, self._store).sources)
        outbox = Outbox(self._store.transaction)
        self._watch = ForecastWatch(outbox, history)
        self._notified = {budget.name: budget.notify for budget in budgets}

        def targets_of(event: AlertEvent) -> Sequence[str]:
            return targets_named(targets, self._notified.get(event.budget, ()))

        made, faults = make_targets(targets, environ)
        for fault in faults.values():
            _LOG.warning("%s", fault)
        self._courier = Courier(
            outbox,
            made,
            Books(self._standings, history, dashboard_url=dashboard_url).alert,
            targets_of=targets_of,
            backoff=backoff,
            faults=faults,
        )

    async def step(self, now_us: int) -> int:
        """Look at forecasts, and deliver what is due; how many deliveries were tried.

        Raises:
            StoreError: the store is away; what is to be told stays in it.
            ConfigError: the budgets that were set can't be read; those known stay in force.
        """
        budgets = self._changed()
        if budgets is not None:
            self._standings.replace_budgets(budgets)
            self._notified = {budget.name: budget.notify for budget in budgets}
        self._watch.step(self._standings.open(now_us), now_us)
        return await self._courier.step(now_us)

    def close(self) -> None:
        """Drop connections, to targets and to the store."""
        self._courier.close()
        self._accounts.close()
        self._store.close()


def run_desk(
    make: Callable[[], AlertDesk], clock: Clock, stop: threading.Event, *, every_s: float = 2.0
) -> None:
    """Step again and again until `stop` is set; runs a loop of its own, so on its own thread.

    `make` is called within that loop. A store that is away is tried again.
    """
    with asyncio.Runner() as runner:

        async def made() -> AlertDesk:
            return make()

        desk: AlertDesk | None = None
        while not stop.is_set():
            try:
                if desk is None:
                    desk = runner.run(made())
                runner.run(desk.step(clock.now_us()))
            except FarthingError as error:
                _LOG.warning("alerts wait in the outbox: %s", error)
            stop.wait(every_s)
        if desk is not None:
            desk.close()
