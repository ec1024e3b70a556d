"""Made-up outcomes for routing: models with known quality, cost and agreement."""

from __future__ import annotations

import gzip
import json
import random


def outcome(score, cost, answer=None, **more):
    told = {"score": score, "cost_usd": cost, **more}
    return told if answer is None else {**told, "answer": answer}


def lines(count, models, *, seed=1, tasks=("search", "refund"), answers=False):
    """`models` maps a name to (probability of a right answer, USD a call)."""
    dice = random.Random(seed)
    found = []
    for index in range(count):
        hard = dice.random()  # shared, so that models fail on the same prompts
        results = {}
        for name, (skill, cost) in models.items():
            right = 0.5 * hard + 0.5 * dice.random() < skill
            answer = ("right" if right else f"wrong {dice.random()}") if answers else None
            results[name] = outcome(float(right), cost, answer)
        task = tasks[index % len(tasks)] if tasks else None
        row = {"id": f"p{index}", "prompt": f"Question {index}: what of {hard}?"}
        found.append({**row, **({"task": task} if task else {}), "outcomes": results})
    return found


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


DOMINATED = {"old": (0.7, 0.01), "new": (0.8, 0.001), "tiny": (0.4, 0.0001)}
JUST_RIGHT = {"old": (0.8, 0.001), "dear": (0.8, 0.01), "tiny": (0.4, 0.0009)}
