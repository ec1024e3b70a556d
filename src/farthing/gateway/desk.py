"""Where accounts are opened, and written once they are settled."""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from farthing.call import Call
from farthing.clock import Clock
from farthing.gateway.settlement import Settlement
from farthing.ledger import Entry, JournalError
from farthing.pricing import RateCard

__all__ = ["Desk", "JournalLike"]

_LOG = logging.getLogger("farthing")
_RECENT_MAX = 64  # more would not stay in the processor's cache, at 3 us a call
_UNWRITTEN_MAX = 10_000


class JournalLike(Protocol):
    """What the desk writes to; `farthing.ledger.Journal` is one."""

    @property
    def run(self) -> str:
        """The run under which leases are held; empty: none can be."""
        ...

    def intend(self, entry: Entry) -> None:
        """Note what shall stand if this process dies now."""
        ...

    def settle(self, entry: Entry) -> None:
        """Note how the call ended."""
        ...

    def note_card(self, card: RateCard) -> None:
        """Note the content of a rate card that an entry names."""
        ...


class Desk:
    """Where settlements are written; keeps the latest entries at hand for questions by id."""

    def __init__(self, journal: JournalLike, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self._recent: deque[Entry] = deque(maxlen=_RECENT_MAX)
        self.unwritten: deque[Entry] = deque(maxlen=_UNWRITTEN_MAX)
        self.running = 0
        self.opened = 0

    def open(self, call: Call, arrived_us: int) -> Settlement:
        """Begin the account of `call`, which arrived at `arrived_us` (monotonic)."""
        self.running += 1
        self.opened += 1
        return Settlement(self, call, arrived_us)

    def post(self, entry: Entry) -> None:
        """Write a settled entry and keep it at hand.

        When the disk refuses it, the entry waits for `write_again`; its intent stands meanwhile.
        """
        self.running -= 1
        try:
            self.journal.settle(entry)
        except JournalError:
            if not self.unwritten:
                _LOG.exception("call %s could not be settled; it is tried again", entry.call_id)
            self.unwritten.append(entry)
        self._recent.append(entry)

    def recent(self, call_id: str) -> Entry | None:
        """The entry of a call that ended not long ago at this worker."""
        return next((entry for entry in self._recent if entry.call_id == call_id), None)

    def write_again(self) -> None:
        """Write what the disk refused before; stops at the first refusal."""
        while self.unwritten:
            try:
                self.journal.settle(self.unwritten[0])
            except JournalError:
                return
            self.unwritten.popleft()
