"""The vital signs that processes leave for each other: small JSON files in the folder `run`.

Each worker writes `worker-N.json`, the drainer `drainer.json`; whoever is asked for `/healthz` or
`/metrics` reads them all. A file that has not been renewed for a while marks a process as silent.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from farthing.ledger import DrainReport

__all__ = ["WorkerVitals", "read_drainer", "read_workers", "write_vitals"]


class WorkerVitals(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself; instants in microseconds since the epoch.

    `routes` counts, by pool, calls by who served them, and alarms; `stopped` are policies that do
    not count now.
    """

    slot: int
    pid: int
    at_us: int
    calls_running: int = 0
    connections: int = 0
    calls_total: int = 0
    calls_unwritten: int = 0
    breakers: dict[str, str] = {}
    asides: dict[str, int] = {}
    routes: dict[str, dict[str, int]] = {}


def write_vitals(directory: Path, vitals: WorkerVitals) -> None:
    """Renew this worker's file in one step."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"worker-{vitals.slot}.json"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(msgspec.json.encode(vitals))
    temporary.replace(path)


def read_drainer(directory: Path) -> DrainReport | None:
    """The drainer's latest report; None where there is none yet."""
    try:
        return msgspec.json.decode((directory / "drainer.json").read_bytes(), type=DrainReport)
    except (OSError, msgspec.DecodeError):
        return None


def read_workers(directory: Path) -> list[WorkerVitals]:
    """The workers' files, by slot; one that is being replaced right now is left out."""
    found: list[WorkerVitals] = []
    for path in sorted(directory.glob("worker-*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=WorkerVitals))
        except (OSError, msgspec.DecodeError):
            continue
    return sorted(found, key=lambda vitals: vitals.slot)
