"""Prometheus metrics: money, tokens and calls counted from the ledger, gauges from the workers.

Counters are kept by the one process that drains the journals, so that they agree with the ledger
whatever worker served a call; they start from zero when that process starts, as counters may.
Users, sessions and traces are never labels.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import astuple
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from farthing.call import UNATTRIBUTED
from farthing.gateway.vitals import WorkerVitals
from farthing.ledger import DrainReport, Entry, StoreState
from farthing.money import NANODOLLARS_PER_USD
from farthing.usage import NO_USAGE, TOKEN_UNITS

__all__ = ["LedgerMetrics", "write_metrics"]

_FILE = "ledger.prom"
_TOKENS: Final = tuple(unit.value for unit in TOKEN_UNITS)  # the order of a Usage's first counts
_Where = tuple[str, str, str]  # feature, provider, model
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_VALUES_MAX = 500  # distinct features or models that become labels; the rest count as `other`


class LedgerMetrics:
    """Counts posted entries; `save` leaves the text for the workers to serve."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["feature", "provider", "model"]
        self._calls = Counter(
            "farthing_calls", "Calls ended.", ["feature", "status"], registry=self._registry
        )
        self._attempts = Counter(
            "farthing_attempts",
            "Tries at providers.",
            ["provider", "model", "status"],
            registry=self._registry,
        )
        self._cost = Counter(
            "farthing_cost_usd", "Booked cost in USD.", labels, registry=self._registry
        )
        self._unpriced = Counter(
            "farthing_unpriced_attempts", "Tries without a price.", labels, registry=self._registry
        )
        self._tokens = Counter(
            "farthing_tokens",
            "Tokens by bucket.",
            ["feature", "provider", "model", "unit"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "farthing_call_duration_seconds",
            "From request to the answer's end.",
            ["feature"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._seen: set[tuple[str, str]] = set()

    def count(self, entries: Sequence[Entry]) -> None:
        """Count entries that were just posted."""
        calls, attempts = Tally[tuple[str, str]](), Tally[tuple[str, str, str]]()
        unpriced, spent = Tally[_Where](), Tally[_Where]()
        tokens = Tally[tuple[str, str, str, str]]()
        for entry in entries:
            feature = self._bounded("feature", entry.attribution.feature or UNATTRIBUTED)
            calls[feature, entry.status.value] += 1
            self._seconds.labels(feature).observe(entry.duration_us / 1_000_000)
            for attempt in entry.attempts:
                model = self._bounded("model", attempt.model)
                where = (feature, attempt.provider, model)
                attempts[attempt.provider, model, attempt.status.value] += 1
                if attempt.cost is None:
                    unpriced[where] += 1
                else:
                    spent[where] += attempt.cost.nanodollars
                if attempt.usage is not NO_USAGE:
                    for name, count in zip(_TOKENS, astuple(attempt.usage), strict=False):
                        if count:
                            tokens[*where, name] += count
        _add(self._calls, calls)
        _add(self._attempts, attempts)
        _add(self._unpriced, unpriced)
        _add(self._tokens, tokens)
        for where, nanodollars in spent.items():
            usd = max(0.0, nanodollars / NANODOLLARS_PER_USD)
            self._cost.labels(*where).inc(usd)

    def save(self, directory: Path) -> None:
        """Renew the file that workers serve."""
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / (_FILE + ".tmp")
        temporary.write_bytes(generate_latest(self._registry))
        temporary.replace(directory / _FILE)

    def _bounded(self, kind: str, value: str) -> str:
        """`value`, or `other` once there are too many: names come from callers."""
        if (kind, value) in self._seen:
            return value
        if sum(seen[0] == kind for seen in self._seen) >= _VALUES_MAX:
            return "other"
        self._seen.add((kind, value))
        return value


def _add(counter: Counter, tally: Mapping[tuple[str, ...], int]) -> None:
    for labels, count in tally.items():
        counter.labels(*labels).inc(count)


def write_metrics(
    directory: Path, workers: Sequence[WorkerVitals], drainer: DrainReport | None
) -> bytes:
    """The whole exposition: the drainer's counters and the gauges of all workers."""
    registry = CollectorRegistry()
    running = Gauge("farthing_calls_running", "Calls in flight.", ["worker"], registry=registry)
    connections = Gauge(
        "farthing_connections", "Open client connections.", ["worker"], registry=registry
    )
    taken = Counter("farthing_calls_taken", "Calls taken.", ["worker"], registry=registry)
    breaker = Gauge(
        "farthing_breaker_open", "1 while a breaker is not closed.", ["worker", "provider"],
        registry=registry,
    )  # fmt: skip
    spooled = Gauge(
        "farthing_spooled_bytes", "Journal bytes not yet in the store.", registry=registry
    )
    store = Gauge("farthing_store_up", "1 while the store takes entries.", registry=registry)
    for worker in workers:
        slot = str(worker.slot)
        running.labels(slot).set(worker.calls_running)
        connections.labels(slot).set(worker.connections)
        taken.labels(slot).inc(worker.calls_total)
        for provider, state in worker.breakers.items():
            breaker.labels(slot, provider).set(state != "closed")
    if drainer is not None:
        spooled.set(drainer.lag_bytes)
        store.set(drainer.store is StoreState.OK)
    path = directory / _FILE
    counted = path.read_bytes() if path.exists() else b""
    return counted + generate_latest(registry)
