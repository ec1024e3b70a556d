"""The trail: what happened to the policies that are served, one JSON object a line.

Every worker appends to the one file and reads what others wrote, so that a policy that one of them
stops is stopped at all within a second. Nothing in it is ever changed; `resumed` lifts a stop.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

__all__ = ["Event", "Kept", "Kind", "Trail"]

_FILE: Final = "trail.jsonl"

Kind = Literal["begun", "seen", "stopped", "resumed", "told"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened; `at` is RFC 3339, UTC, `policy` the policy's mark.

    `begun`: a policy was served first, at these prices (`facts`). `seen`: a model's snapshot was
    seen first. `stopped`: its certificate does not count any more, and `told` says why. `resumed`:
    somebody lifted that. `told`: an alarm that stopped nothing.
    """

    at: str
    kind: Kind
    pool: str
    policy: str
    told: str = ""
    facts: dict[str, str] = {}


class Kept(msgspec.Struct, kw_only=True):
    """What the trail says of one policy: why it is stopped, its prices and snapshots at first."""

    stopped: str = ""
    prices: dict[str, str] = {}
    snapshots: dict[str, str] = {}


class Trail:
    """The trail of one data folder."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the folder `routing` of the data folder."""
        self._path = directory / _FILE
        self._offset = 0
        self._kept: dict[tuple[str, str], Kept] = {}
        self._decoder = msgspec.json.Decoder(Event)

    def of(self, pool: str, policy: str) -> Kept:
        """What is known of a policy in a pool."""
        return self._kept.setdefault((pool, policy), Kept())

    def append(self, event: Event) -> None:
        """Write an event; what it says holds at once.

        Raises:
            OSError: the disk refused it; it holds in this process all the same.
        """
        self._take((event,))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(event) + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def refresh(self) -> list[Event]:
        """Read what was written since; the new events. A line that can't be read is passed over."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                written = file.read()
        except FileNotFoundError:
            return []
        whole = written[: written.rfind(b"\n") + 1]
        self._offset += len(whole)
        found: list[Event] = []
        for line in whole.splitlines():
            try:
                found.append(self._decoder.decode(line))
            except msgspec.DecodeError:
                continue
        self._take(found)
        return found

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            kept = self.of(event.pool, event.policy)
            match event.kind:
                case "begun":
                    kept.prices = event.facts | kept.prices
                case "seen":
                    kept.snapshots = event.facts | kept.snapshots
                case "stopped":
                    kept.stopped = event.told
                case "resumed":
                    kept.stopped, kept.prices, kept.snapshots = "", event.facts, {}
                case "told":
                    pass
