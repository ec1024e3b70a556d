"""The drainer process of a running gateway."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence

from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.gateway.drain import DrainLoop
from farthing.gateway.supervisor import stop_on_signals

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """`python -m farthing.gateway.drainer [CONFIG]`: drain until SIGTERM."""
    logging.basicConfig(format="farthing drainer %(levelname)s %(message)s")
    config = load_config(arguments[0] if arguments else None, os.environ)
    stop = threading.Event()
    stop_on_signals(stop)
    DrainLoop(config, SystemClock(), has_metrics=True).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
