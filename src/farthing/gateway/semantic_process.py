"""The semantic layer in a process of its own: one for each worker, which started it.

`python -m farthing.gateway.semantic_process FD`: serve the worker at the other end of a socket until
that closes, be it because the worker ended or was killed. The process gives way to all others. It
does look-ups first, then what came before them and is only to be noted. ADR-0020.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from farthing.clock import SystemClock
from farthing.errors import ConfigError
from farthing.gateway.semantic_acts import (
    Act,
    Begin,
    Cleared,
    Close,
    Closed,
    Counted,
    Follow,
    Logged,
    Look,
    News,
    Parcels,
    Settle,
    Settled,
)
from farthing.gateway.semantic_clerk import QUEUED_MAX, Clerk
from farthing.gateway.semantic_reader import SemanticReader
from farthing.levers.cache import CacheStoreError, SqliteAnswers, cache_file
from farthing.levers.cache.semantic_extra import embedder_of
from farthing.levers.cache.semantic_tables import SemanticTables
from farthing.levers.cache.writer import Write, Writer

__all__ = ["SemanticProcess", "main"]

_LOG = logging.getLogger("farthing")
_NICENESS: Final = 10
_RECEIVED_BYTES: Final = 262_144
_NOTES_MAX: Final = 2_000  # that wait for a moment without look-ups
_WAIT_US_MAX: Final = 5_000_000  # until then an answer has been written by the worker, or was lost
_GRACE_S: Final = 10.0  # to finish when the worker is gone

WriteWith = Callable[[SqliteAnswers], bool]


class SemanticProcess:
    """Serves one worker. All in one thread, but for the writing."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._parcels = Parcels(Act)
        self._looks: deque[Look] = deque()
        self._acts: deque[Act] = deque()
        self._later: deque[Callable[[], object]] = deque()
        self._again: deque[tuple[WriteWith, int]] = deque()
        self._clock = SystemClock()
        self._news: list[News] = []
        self._is_open = True
        self._clerk: Clerk

    def run(self) -> None:
        """Serve until the worker says that it is enough, or is gone."""
        begin = self._first()
        if begin is None:
            return
        sys.path[:] = begin.path
        directory = Path(begin.directory)
        self._writer = Writer(cache_file(directory))
        clock = self._clock
        _, make = embedder_of(begin.settings.embedder)
        reader = SemanticReader(begin.settings, directory, clock, make, self)
        self._clerk = Clerk(reader, begin.settings, clock, self)
        reader.begin()
        self._send()
        try:
            while self._is_open:
                self._step()
            self._settle()
            reader.close()
        finally:
            self._writer.close()

    # The layer's hands.

    def later(self, work: Callable[[], object]) -> None:
        """Do something once no look-up waits."""
        self._later.append(work)

    def write(self, write: Write) -> None:
        """Have rows written, soon."""
        self._writer.put(write)

    def write_with(self, entry: bytes, write: WriteWith) -> None:
        """The same, once the worker has written the entry that they belong to."""

        def written(answers: SqliteAnswers) -> bool:
            return SemanticTables(answers).has_entry(entry) and write(answers)

        self._write_until(written, self._clock.monotonic_us() + _WAIT_US_MAX)

    def tell(self, news: News) -> None:
        """Tell the worker, together with all that comes of the same act."""
        self._news.append(news)
        if isinstance(news, Cleared):
            self._parcels.forget()  # a tenant may have been forgotten

    def _write_until(self, write: WriteWith, until_us: int) -> None:
        def writing(answers: SqliteAnswers) -> None:
            if not write(answers) and self._clock.monotonic_us() < until_us:
                self._again.append((write, until_us))

        self._writer.put(writing)

    # Receiving and doing.

    def _first(self) -> Begin | None:
        while not self._acts:
            if not self._receive():
                return None
        begin = self._acts.popleft()
        return begin if isinstance(begin, Begin) else None

    def _step(self) -> None:
        """Receive what has come; do what is most urgent."""
        is_idle = not (self._looks or self._acts or self._later)
        if not self._receive(0 if is_idle else socket.MSG_DONTWAIT):
            self._is_open = False
            return
        if self._looks:
            self._clerk.do(self._looks.popleft())
            self._send()
        if self._acts:
            self._do(self._acts.popleft())
        elif self._later and (not self._looks or len(self._later) > _NOTES_MAX):
            self._work(self._later.popleft())
        self._send()

    def _do(self, act: Act) -> None:
        match act:
            case Close():
                self._is_open = False
            case Settle(number):
                self._settle()
                self.tell(Settled(number))
            case Follow():
                self._clerk.do(act)
                self._write_again()
            case _:
                self._clerk.do(act)

    def _settle(self) -> None:
        """Do and write all that was asked so far."""
        while self._looks or self._later:
            if self._looks:
                self._clerk.do(self._looks.popleft())
            else:
                self._work(self._later.popleft())
        self._writer.flush()
        self._write_again()
        self._writer.flush()

    def _write_again(self) -> None:
        for _ in range(len(self._again)):
            self._write_until(*self._again.popleft())

    @staticmethod
    def _work(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # edge: what is noted of one look-up must not end the others
            _LOG.exception("the semantic cache could not do its work")

    def _receive(self, flags: int = 0) -> bool:
        """Sort what has come; whether the worker is there. Waits, unless the flags say otherwise."""
        try:
            data = self._link.recv(_RECEIVED_BYTES, flags)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        for act in self._parcels.unpacked(data):
            self._sort(act)
        return bool(data)

    def _sort(self, act: Act) -> None:
        match act:
            case Look():
                if len(self._looks) < QUEUED_MAX:
                    self._looks.append(act)
                else:
                    self._clerk.no_room(act)
            case Closed() | Counted() | Logged():
                self._later.append(partial(self._do, act))
            case _:
                self._acts.append(act)

    def _send(self) -> None:
        news, self._news = self._news, []
        if news:
            data = b"".join(map(self._parcels.packed, news))
            try:
                self._link.sendall(data)
            except OSError:
                self._is_open = False


def _end_after(link: socket.socket) -> None:
    """End the process once the worker is gone, also where an embedder of the user's hangs."""
    poll = select.poll()
    poll.register(link, getattr(select, "POLLRDHUP", select.POLLHUP))  # the first on Linux only
    poll.poll()
    time.sleep(_GRACE_S)
    os._exit(1)


def main(arguments: Sequence[str]) -> int:
    """Serve the worker at the other end of the inherited socket."""
    logging.basicConfig(format="farthing semantic %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the worker ends first, and says when
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    link = socket.socket(fileno=int(arguments[0]))
    threading.Thread(target=_end_after, args=(link,), daemon=True).start()
    try:
        SemanticProcess(link).run()
    except (ConfigError, CacheStoreError, OSError) as error:
        _LOG.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
