"""What does a semantic look-up cost, with the packaged embedder and with a vector that is supplied?

python bench/semantic.py          10,000 entries a partition, 500 questions
QUICK=1 python bench/semantic.py  100 questions

One core. A look-up is what stands between a question and a decision: vector, signature, scan,
guards, score. Wall time is what counts where the machine is quiet (see load_1m); processor time
holds where it is not. Before it measures, it checks that each question finds the entry it was made from.
The last line is one JSON document.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time

import numpy as np

from farthing.levers.cache.semantic import (
    Candidate,
    Lookup,
    Neighbour,
    Partition,
    Rules,
    View,
    load_embedder,
    propose,
    sign,
)
from machine import machine_facts

ENTRIES = 10_000
NEIGHBOURS = 8
VERBS = [
    "cancel",
    "renew",
    "export",
    "import",
    "merge",
    "archive",
    "rename",
    "share",
    "print",
    "encrypt",
    "compress",
    "schedule",
]
THINGS = [
    "invoice",
    "contract",
    "calendar",
    "folder",
    "account",
    "ticket",
    "report",
    "certificate",
    "backup",
    "dataset",
]
PLACES = [
    "billing",
    "dashboard",
    "mobile",
    "archive",
    "editor",
    "console",
    "portal",
    "library",
    "workspace",
    "inbox",
]


def question(draws: random.Random, number: int) -> str:
    """A question that no other is like: its number sets it apart."""
    verb, thing, place = draws.choice(VERBS), draws.choice(THINGS), draws.choice(PLACES)
    return f"How do I {verb} {thing} {number} in the {place}?"


def main() -> None:
    """Measure and print."""
    quick = os.environ.get("QUICK") == "1"
    count = 100 if quick else 500
    draws = random.Random(1)
    texts = [question(draws, number) for number in range(ENTRIES)]
    embedder = load_embedder("minilm")
    assert embedder is not None
    # Vectors of most entries are drawn: a scan's time does not depend on what they say.
    rows = np.random.default_rng(1).normal(size=(ENTRIES, embedder.dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked = draws.sample(range(ENTRIES), count)
    rows[asked] = embedder.embed([texts[at] for at in asked])
    partition: Partition[int] = Partition(embedder.dimensions)
    for at, row in enumerate(rows):
        partition.add(at, row)
    signatures = [sign(text) for text in texts]
    rules = Rules(mode="serve", is_uncertified_allowed=True)

    def lookup(text: str, vector: np.ndarray) -> str | None:
        found = [
            Candidate(neighbour=Neighbour(str(at), str(at), score), signature=signatures[at])
            for at, score in partition.search(vector, NEIGHBOURS)
        ]
        decision = propose(Lookup(signature=sign(text)), View(candidates=found, rules=rules))
        return decision.entry if decision.action == "serve" else None

    supplied = {at: embedder.embed([texts[at]])[0] for at in asked}
    asking = {at: texts[at].replace("How do I", "How can I") for at in asked}
    right = sum(lookup(asking[at], supplied[at]) == str(at) for at in asked)
    assert right >= 0.95 * count, f"only {right} of {count} questions found their entry"

    def measured(work: object) -> dict[str, float]:
        assert callable(work)
        took, spent = [], []
        for at in asked:
            start, cpu = time.perf_counter_ns(), time.process_time_ns()
            work(at)
            spent.append((time.process_time_ns() - cpu) / 1000)
            took.append((time.perf_counter_ns() - start) / 1000)
        took.sort()
        return {
            "p50_us": round(statistics.median(took), 1),
            "p95_us": round(took[int(0.95 * len(took))], 1),
            "least_us": round(took[0], 1),
            "cpu_p50_us": round(statistics.median(spent), 1),
        }

    results = {
        "minilm": measured(lambda at: lookup(asking[at], embedder.embed([asking[at]])[0])),
        "supplied": measured(lambda at: lookup(asking[at], supplied[at])),
        "scan_alone": measured(lambda at: partition.search(supplied[at], NEIGHBOURS)),
        "sign_alone": measured(lambda at: sign(asking[at])),
        "embed_alone": measured(lambda at: embedder.embed([asking[at]])),
    }
    for name, row in results.items():
        print(
            f"{name:<12} p50 {row['p50_us']:>8.1f} us   p95 {row['p95_us']:>8.1f} us   cpu p50 {row['cpu_p50_us']:>8.1f} us"
        )
    print(
        json.dumps(
            {
                "bench": "semantic",
                "entries": ENTRIES,
                "questions": count,
                "found": right,
                "bytes_per_entry": partition.held_bytes / ENTRIES,
                "load_1m": os.getloadavg()[0],
                "machine": machine_facts(),
                **results,
            }
        )
    )


if __name__ == "__main__":
    main()
