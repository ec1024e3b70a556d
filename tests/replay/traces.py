"""Real traffic traces as calls whose tokens are known; see the data folder's README."""

from __future__ import annotations

import csv
import itertools
import json
from datetime import datetime
from pathlib import Path

import msgspec

DATA = Path(__file__).parents[3] / "shared" / "data" / "traces"
BLOCK = 512  # tokens a hash id of the Mooncake trace stands for


class Traced(msgspec.Struct, frozen=True):
    """One request of a trace: when (seconds from the trace's start), and its tokens."""

    at_s: float
    prompt: int
    cached: int
    output: int


def azure(name, limit):
    """Azure's traces: TIMESTAMP, ContextTokens, GeneratedTokens."""
    with (DATA / name).open(newline="") as file:
        rows = list(itertools.islice(csv.DictReader(file), limit))
    start = _when(rows[0]["TIMESTAMP"])
    return [
        Traced(
            _when(row["TIMESTAMP"]) - start,
            int(row["ContextTokens"]),
            0,
            int(row["GeneratedTokens"]),
        )
        for row in rows
    ]


def mooncake(limit):
    """Mooncake's trace; a leading run of blocks that was seen before counts as cached."""
    seen = set()
    calls = []
    with (DATA / "mooncake_conversation_trace.jsonl").open() as file:
        for line in itertools.islice(file, limit):
            row = json.loads(line)
            known = sum(1 for _ in itertools.takewhile(seen.__contains__, row["hash_ids"]))
            seen.update(row["hash_ids"])
            cached = min(known * BLOCK, row["input_length"])
            calls.append(
                Traced(row["timestamp"] / 1000, row["input_length"], cached, row["output_length"])
            )
    return calls


def sharegpt(limit):
    with (DATA / "sharegpt300_lengths_llmservingsim.csv").open(newline="") as file:
        return [
            Traced(float(row["arrival_s"]), int(row["input_toks"]), 0, int(row["output_toks"]))
            for row in itertools.islice(csv.DictReader(file), limit)
        ]


def _when(text):
    return datetime.fromisoformat(text[:26]).timestamp()
