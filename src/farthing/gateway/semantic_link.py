"""The worker's end of the process in which its semantic layer works: starts it, tends it, ends it.

A process that dies is told in the log and started again, after a second at first and after twice as
long each time that it dies early; until then every look-up is a miss. One that does not answer for
long is killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from farthing.clock import Clock
from farthing.gateway.semantic_acts import (
    Act,
    Begin,
    Close,
    Follow,
    Followed,
    News,
    Parcels,
)
from farthing.gateway.semantic_desk import Owner

__all__ = ["ProcessCarrier"]

_LOG = logging.getLogger("farthing")
_RECEIVED_BYTES: Final = 65_536
_UNSENT_BYTES_MAX: Final = 16_000_000  # what is more is dropped: look-ups, questions, notes
_AGAIN_S: Final = 1.0
_AGAIN_S_MAX: Final = 60.0
_EARLY_US: Final = 60_000_000
_SILENT_US_MAX: Final = 20_000_000
_CLOSE_S_MAX: Final = 10.0
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ProcessCarrier:
    """Belongs to one event loop."""

    def __init__(self, begin: Begin, clock: Clock) -> None:
        """`begin` is what a process is told first."""
        self._begin = begin
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._parcels = Parcels(News)
        self._unsent = bytearray()
        self._started_us = 0
        self._asked_us: int | None = None  # when it was asked to follow, and has not told yet
        self._early = 0
        self._starting: asyncio.TimerHandle | None = None
        self._owner: Owner
        self._loop: asyncio.AbstractEventLoop

    @property
    def pid(self) -> int | None:
        """The process that is there now."""
        return None if self._process is None else self._process.pid

    def start(self, owner: Owner) -> None:
        """Start the process."""
        self._owner, self._loop = owner, asyncio.get_running_loop()
        self._start()

    def send(self, acts: Sequence[Act]) -> bool:
        """Send acts to the process; False: there is none, or it takes in nothing."""
        link = self._link
        if link is None or len(self._unsent) > _UNSENT_BYTES_MAX:
            return False
        if isinstance(acts[0], Follow) and not self._is_heard():
            return False
        data = b"".join(map(self._packed, acts))
        if not data:
            return False
        if self._unsent:
            self._unsent += data
            return True
        try:
            sent = link.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost()
            return False
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(link, self._send_on)
        return True

    def close(self) -> None:
        """Have the process finish; it is killed where it takes too long."""
        if self._starting is not None:
            self._starting.cancel()
        link, process = self._link, self._process
        if link is None or process is None:
            return
        self._unwatch(link)
        try:
            link.settimeout(_CLOSE_S_MAX)
            link.sendall(bytes(self._unsent) + self._parcels.packed(Close()))
            link.shutdown(socket.SHUT_RD)  # what it tells from now on, nobody wants to know
            process.wait(_CLOSE_S_MAX)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        link.close()
        self._link = self._process = None

    def _start(self) -> None:
        self._starting = None
        self._started_us, self._asked_us = self._clock.monotonic_us(), None
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", "farthing.gateway.semantic_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=os.environ | dict.fromkeys(_ONE_THREAD, "1"),
            )
        except OSError as error:
            ours.close()
            self._start_again(f"could not be started: {error}")
            return
        finally:
            theirs.close()
        ours.setblocking(False)  # noqa: FBT003 - the standard library's
        self._link, self._parcels = ours, Parcels(News)
        self._unsent.clear()
        self._loop.add_reader(ours, self._receive)
        self.send((self._begin,))

    def _receive(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            data = link.recv(_RECEIVED_BYTES)
            for news in self._parcels.unpacked(data):
                self._take(news)
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError):
            data = b""
        if not data:
            self._lost()

    def _take(self, news: News) -> None:
        if isinstance(news, Followed):
            self._asked_us = None
        self._owner.take(news)

    def _is_heard(self) -> bool:
        """Whether the process does what it is told, or may yet; else it is ended."""
        now_us = self._clock.monotonic_us()
        if self._asked_us is None:
            self._asked_us = now_us
        elif now_us - self._asked_us > _SILENT_US_MAX and self._process is not None:
            self._process.kill()
            return False
        return True

    def _packed(self, act: Act) -> bytes:
        try:
            return self._parcels.packed(act)
        except UnicodeEncodeError:  # half of a surrogate pair, in a name that a caller gave
            return b""

    def _send_on(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            del self._unsent[: link.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._lost()
            return
        if not self._unsent:
            self._loop.remove_writer(link)

    def _lost(self) -> None:
        link, process = self._link, self._process
        if link is None or process is None:
            return
        self._unwatch(link)
        link.close()
        self._link = self._process = None
        self._unsent.clear()
        process.kill()  # it may only have closed its end
        code = process.wait()
        self._owner.lost()
        self._start_again(f"ended with code {code}")

    def _start_again(self, what: str) -> None:
        lived_us = self._clock.monotonic_us() - self._started_us
        self._early = self._early + 1 if lived_us < _EARLY_US else 0
        wait_s = min(_AGAIN_S * 2 ** max(0, self._early - 1), _AGAIN_S_MAX)
        _LOG.error(
            "the process of the semantic cache %s; calls go on without it, and what was to be "
            "noted of the latest is lost. It is started again in %g s",
            what,
            wait_s,
        )
        self._starting = self._loop.call_later(wait_s, self._start)

    def _unwatch(self, link: socket.socket) -> None:
        self._loop.remove_reader(link)
        self._loop.remove_writer(link)
