"""Keeps processors from going to sleep in steps that do not fill them.

A virtual processor that has nothing to do halts, and takes 0.05 to 0.2 ms to come back: at one
connection that is most of what is then measured, on every target alike, and it swings with the
host. So a loop of the lowest scheduling class (SCHED_IDLE: it runs only when nothing else would,
and yields at once) turns on each processor while such a step runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Awake"]


class Awake:
    """One idle loop on each given processor, stopped except within `during`."""

    def __init__(self, cpus: set[int]) -> None:
        self._loops = [self._loop(cpu) for cpu in sorted(cpus)]

    @contextmanager
    def during(self, *, is_wanted: bool) -> Iterator[None]:
        """Let the loops run within the block, if wanted."""
        if not is_wanted:
            yield
            return
        self._tell(signal.SIGCONT)
        try:
            yield
        finally:
            self._tell(signal.SIGSTOP)

    def close(self) -> None:
        """End the loops."""
        for loop in self._loops:
            loop.kill()
            loop.wait()

    def _tell(self, sign: signal.Signals) -> None:
        for loop in self._loops:
            loop.send_signal(sign)

    @staticmethod
    def _loop(cpu: int) -> subprocess.Popen[bytes]:
        loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.sched_setaffinity(loop.pid, {cpu})
        os.sched_setscheduler(loop.pid, os.SCHED_IDLE, os.sched_param(0))
        loop.send_signal(signal.SIGSTOP)
        return loop
