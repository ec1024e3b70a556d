"""Prometheus metrics: money, tokens and calls counted from the ledger, gauges from the workers.

Counters are kept by the one process that drains the journals, so that they agree with the ledger
whatever worker served a call; they start from zero when that process starts, as counters may.
Users, sessions and traces are never labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from operator import add
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import astuple
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from farthing.call import UNATTRIBUTED, Attempt
from farthing.gateway.vitals import WorkerVitals
from farthing.ledger import DrainReport, Entry, StoreState
from farthing.money import NANODOLLARS_PER_USD
from farthing.usage import TOKEN_UNITS

__all__ = ["LedgerMetrics", "write_metrics"]

_FILE = "ledger.prom"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SECONDS_US: Final = tuple(int(bound * 1_000_000) for bound in _SECONDS)
_VALUES_MAX = 500  # distinct features or models that become labels; the rest count as `other`


_bucket: Final = partial(bisect_left, _SECONDS_US)


class _Where(msgspec.Struct):
    """What one feature used of one model: sums over its attempts."""

    spent_nanodollars: int = 0
    unpriced: int = 0
    tokens: list[int] = msgspec.field(default_factory=lambda: [0] * len(TOKEN_UNITS))

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Count attempts, at least one."""
        costs = [attempt.cost.nanodollars for attempt in attempts if attempt.cost is not None]
        self.spent_nanodollars += sum(costs)
        self.unpriced += len(attempts) - len(costs)
        by_unit = zip(*[astuple(attempt.usage) for attempt in attempts], strict=True)
        self.tokens = list(map(add, self.tokens, map(sum, by_unit)))


class _Durations(msgspec.Struct):
    """How long calls took: how many ended within each of `_SECONDS`, and in all."""

    within: list[int] = msgspec.field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    sum_us: int = 0

    def add(self, durations_us: Sequence[int]) -> None:
        """Count calls."""
        for bucket, count in Tally(map(_bucket, durations_us)).items():
            self.within[bucket] += count
        self.sum_us += sum(durations_us)

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative counts as Prometheus wants them."""
        bounds = [*map(str, map(float, _SECONDS)), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.within)), strict=True))


class LedgerMetrics(Collector):
    """Counts posted entries; `save` leaves the text for the workers to serve.

    Plain sums that become metrics only when they are written: counting is on the way of each call.
    """

    def __init__(self) -> None:
        self._calls = Tally[tuple[str, str]]()
        self._attempts = Tally[tuple[str, str, str]]()
        self._where: dict[tuple[str, str, str], _Where] = defaultdict(_Where)
        self._durations: dict[str, _Durations] = defaultdict(_Durations)
        self._known: dict[str, set[str]] = {"feature": set(), "model": set()}

    def count(self, entries: Sequence[Entry]) -> None:
        """Count entries that were just posted: sorted first, for many are alike."""
        durations: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        tries: defaultdict[tuple[str, str, str, str], list[Attempt]] = defaultdict(list)
        for entry in entries:
            name = entry.attribution.feature
            durations[name, entry.status].append(entry.duration_us)
            for attempt in entry.attempts:
                tries[name, attempt.provider, attempt.model, attempt.status].append(attempt)
        for (name, status), spans in durations.items():
            feature = self._bounded("feature", name or UNATTRIBUTED)
            self._calls[feature, status] += len(spans)
            self._durations[feature].add(spans)
        for (name, provider, sent, status), attempts in tries.items():
            feature = self._bounded("feature", name or UNATTRIBUTED)
            model = self._bounded("model", sent)
            self._attempts[provider, model, status] += len(attempts)
            self._where[feature, provider, model].add(attempts)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they stand."""
        labels = ["feature", "provider", "model"]
        calls = CounterMetricFamily("farthing_calls", "Calls ended.", labels=["feature", "status"])
        for key, count in self._calls.items():
            calls.add_metric(key, count)
        attempts = CounterMetricFamily(
            "farthing_attempts", "Tries at providers.", labels=["provider", "model", "status"]
        )
        for key, count in self._attempts.items():
            attempts.add_metric(key, count)
        cost = CounterMetricFamily("farthing_cost_usd", "Booked cost in USD.", labels=labels)
        unpriced = CounterMetricFamily(
            "farthing_unpriced_attempts", "Tries without a price.", labels=labels
        )
        tokens = CounterMetricFamily(
            "farthing_tokens", "Tokens by bucket.", labels=[*labels, "unit"]
        )
        for key, where in self._where.items():
            cost.add_metric(key, max(0, where.spent_nanodollars) / NANODOLLARS_PER_USD)
            unpriced.add_metric(key, where.unpriced)
            for unit, count in zip(TOKEN_UNITS, where.tokens, strict=True):
                tokens.add_metric([*key, unit.value], count)
        seconds = HistogramMetricFamily(
            "farthing_call_duration_seconds",
            "From request to the answer's end.",
            labels=["feature"],
        )
        for feature, durations in self._durations.items():
            seconds.add_metric([feature], durations.buckets(), durations.sum_us / 1_000_000)
        yield from (calls, attempts, cost, unpriced, tokens, seconds)

    def save(self, directory: Path) -> None:
        """Renew the file that workers serve."""
        registry = CollectorRegistry()
        registry.register(self)
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / (_FILE + ".tmp")
        temporary.write_bytes(generate_latest(registry))
        temporary.replace(directory / _FILE)

    def _bounded(self, kind: str, value: str) -> str:
        """`value`, or `other` once there are too many: names come from callers."""
        known = self._known[kind]
        if value not in known:
            if len(known) >= _VALUES_MAX:
                return "other"
            known.add(value)
        return value


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
    asides = Counter(
        "farthing_asides", "Jobs off the callers' path, by how they ended.", ["worker", "ended"],
        registry=registry,
    )  # fmt: skip
    spooled = Gauge(
        "farthing_spooled_bytes", "Journal bytes not yet in the store.", registry=registry
    )
    store = Gauge("farthing_store_up", "1 while the store takes entries.", registry=registry)
    _write_routes(registry, workers)
    for worker in workers:
        slot = str(worker.slot)
        running.labels(slot).set(worker.calls_running)
        connections.labels(slot).set(worker.connections)
        taken.labels(slot).inc(worker.calls_total)
        for ended, count in worker.asides.items():
            asides.labels(slot, ended).inc(count)
        for provider, state in worker.breakers.items():
            breaker.labels(slot, provider).set(state != "closed")
    if drainer is not None:
        spooled.set(drainer.lag_bytes)
        store.set(drainer.store is StoreState.OK)
    path = directory / _FILE
    counted = path.read_bytes() if path.exists() else b""
    return counted + generate_latest(registry)


_POLICIES = ("policies", "stopped")


def _write_routes(registry: CollectorRegistry, workers: Sequence[WorkerVitals]) -> None:
    """Routing: what happened to calls, and how many policies count."""
    if not any(worker.routes for worker in workers):
        return
    events = Counter(
        "farthing_routing", "Routed calls by who served them; alarms, faults, stops.",
        ["worker", "pool", "what"], registry=registry,
    )  # fmt: skip
    policies = Gauge(
        "farthing_routing_policies", "Policies that count now, and those that do not.",
        ["worker", "pool", "state"], registry=registry,
    )  # fmt: skip
    for worker in workers:
        slot = str(worker.slot)
        for pool, counts in worker.routes.items():
            for what, count in counts.items():
                if what not in _POLICIES:
                    events.labels(slot, pool, what).inc(count)
            policies.labels(slot, pool, "counts").set(counts.get("policies", 0))
            policies.labels(slot, pool, "stopped").set(counts.get("stopped", 0))
