"""The drainer process of a running gateway."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from farthing.budgets import BudgetShelf
from farthing.budgets.alerts import AlertDesk, run_desk
from farthing.clock import SystemClock
from farthing.config import Config, load_config
from farthing.gateway.drain import DrainLoop
from farthing.gateway.garbage import collect_rarely
from farthing.gateway.supervisor import stop_on_signals

__all__ = ["main"]

_ALERTS_END_S = 5.0


def main(arguments: Sequence[str]) -> int:
    """`python -m farthing.gateway.drainer PARENT [CONFIG]`: drain until SIGTERM.

    Or until the process PARENT is no longer the one above; 0: whoever that is.
    """
    logging.basicConfig(format="farthing drainer %(levelname)s %(message)s")
    parent = int(arguments[0])
    config = load_config(arguments[1] if len(arguments) > 1 else None, os.environ)
    stop = threading.Event()
    stop_on_signals(stop)
    alerts = _alerts(config, stop)
    alerts.start()
    collect_rarely()
    DrainLoop(config, SystemClock(), has_metrics=True, parent=parent).run(stop)
    alerts.join(_ALERTS_END_S)
    return 0


def _alerts(config: Config, stop: threading.Event) -> threading.Thread:
    """The thread that delivers alerts; what it is cut off in is sent again by the next drainer."""

    def make() -> AlertDesk:
        shelf = BudgetShelf(Path(config.ledger.data_dir), config.budget)
        return AlertDesk(
            config.ledger, shelf.budgets, config.alert, os.environ, changed=shelf.changed
        )

    def run() -> None:
        if config.alert:
            run_desk(make, SystemClock(), stop)

    return threading.Thread(target=run, name="alerts", daemon=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
