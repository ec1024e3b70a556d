"""What does the ledger cost per call, and how long does a report over many rows take?

Writes N calls (intent and settlement) to a journal, drains them into a store, asks for a report,
seals everything to Parquet and asks again. Before a figure is given the sums are checked against
those of the entries that were written. Prints one JSON line; QUICK=1 takes 20,000 calls instead
of 1,000,000. The fifth part of the journal's calls warms up and does not count.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from farthing.call import Attempt, AttemptStatus, Attribution, Conversation, Endpoint, Pricing
from farthing.ledger import CallStatus, Drainer, Entry, Journal, Ledger, LedgerSettings, ReportQuery
from farthing.money import Money
from farthing.usage import Usage

QUICK = os.environ.get("QUICK") == "1"
CALLS = 20_000 if QUICK else 1_000_000
ROUND = 500
START_US = 1_788_264_000_000_000  # 2026-09-01T12:00:00Z
FEATURES = ("search", "chat", "triage", "summary", "draft")


def an_entry(number: int, status: CallStatus) -> Entry:
    """A call as a support product makes it; the same every time for the same number."""
    attempt = Attempt(
        number=1,
        provider="openai",
        model="gpt-4o",
        model_served="gpt-4o-2024-08-06",
        status=AttemptStatus.OK,
        http_status=200,
        request_id=f"req_{number:016x}",
        usage=Usage(input=900 + number % 100, cache_read=200, output=300),
        pricing=Pricing.CARD,
        cost=Money(5_000_000 + number % 1000),
        card_cost=Money(5_000_000 + number % 1000),
        card_id="catalogue@2026-09/openai/gpt-4o/2024-10-01",
        started_us=START_US + number * 1000,
        first_byte_us=200_000,
        duration_us=890_000,
        finish_reason="stop",
    )
    return Entry(
        call_id=f"{START_US + number * 1000:016x}{number:08x}",
        endpoint=Endpoint.OPENAI_CHAT,
        model="gpt-4o",
        is_streamed=False,
        status=status,
        started_us=START_US + number * 1000,
        duration_us=900_000 + number % 2000 * 1000,
        overhead_us=90,
        attribution=Attribution(
            feature=FEATURES[number % 5],
            user=f"user-{number % 500}",
            tenant="acme",
            session=f"session-{number // 5}",
            environment="prod",
        ),
        conversation=Conversation(turn=number % 5, last_turn=f"{number:016x}"),
        attempts=(attempt,),
        baseline=Money(5_000_000 + number % 1000),
    )


def write(journal: Journal) -> tuple[list[float], int]:
    """Processor microseconds per call of each round, and the nanodollars written."""
    taken: list[float] = []
    total = 0
    for first in range(0, CALLS, ROUND):
        intents = [an_entry(n, CallStatus.INTERRUPTED) for n in range(first, first + ROUND)]
        settled = [an_entry(n, CallStatus.OK) for n in range(first, first + ROUND)]
        began = time.process_time()
        for intent, entry in zip(intents, settled, strict=True):
            journal.intend(intent)
            journal.settle(entry)
        taken.append((time.process_time() - began) / ROUND * 1e6)
        total += sum(entry.cost.nanodollars for entry in settled)
        if first % (4 * ROUND) == 0:
            journal.sync()
    return taken[len(taken) // 5 :], total


def timed(ledger: Ledger, total: int) -> tuple[float, float]:
    """Seconds, and processor seconds, of a report whose sum is right."""
    began, began_cpu = time.perf_counter(), time.process_time()
    report = ledger.report(ReportQuery(by=("feature", "model")))
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    if report.total != Money(total) or report.calls != CALLS:
        raise SystemExit(f"wrong report: {report.total} in {report.calls} calls")
    return seconds, cpu


def main() -> None:
    """Measure, check and print."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as name:
        folder = Path(name)
        journal = Journal.open(folder, "bench")
        per_call, total = write(journal)
        journal.close()
        journal_bytes = sum(path.stat().st_size for path in (folder / "journal").iterdir())
        began, began_cpu = time.perf_counter(), time.process_time()
        with Drainer(folder) as drainer:
            drained = drainer.drain()
        drain_cpu_us = (time.process_time() - began_cpu) / drained.rows * 1e6
        drain_us = (time.perf_counter() - began) / drained.rows * 1e6
        store_bytes = (folder / "ledger.sqlite").stat().st_size
        with Ledger.open(folder, settings=LedgerSettings(seal_after_days=1)) as ledger:
            from_store = [timed(ledger, total) for _ in range(3)]
            began = time.perf_counter()
            ledger.seal(START_US + 40 * 86_400_000_000)
            seal_s = time.perf_counter() - began
            from_archive = [timed(ledger, total) for _ in range(3)]
        archive_bytes = sum(p.stat().st_size for p in (folder / "archive").rglob("*.parquet"))
    print(
        json.dumps(
            {
                "bench": "ledger",
                "machine": platform.machine(),
                "cpus": os.cpu_count(),
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "duckdb": duckdb.__version__,
                "calls": CALLS,
                "journal_bytes_per_call": round(journal_bytes / CALLS),
                "journal_cpu_us_per_call_median": round(statistics.median(per_call), 2),
                "journal_cpu_us_per_call_min": round(min(per_call), 2),
                "journal_cpu_us_per_call_max": round(max(per_call), 2),
                "drain_us_per_row": round(drain_us, 2),
                "drain_cpu_us_per_row": round(drain_cpu_us, 2),
                "report_store_s": round(min(from_store)[0], 2),
                "report_store_cpu_s": round(min(cpu for _, cpu in from_store), 2),
                "seal_s": round(seal_s, 2),
                "report_archive_s": round(min(from_archive)[0], 2),
                "report_archive_cpu_s": round(min(cpu for _, cpu in from_archive), 2),
                "store_bytes_per_row": round(store_bytes / CALLS),
                "archive_bytes_per_row": round(archive_bytes / CALLS),
            }
        )
    )


if __name__ == "__main__":
    main()
