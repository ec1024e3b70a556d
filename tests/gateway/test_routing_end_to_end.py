"""From outcomes to the bill: compiled, served over HTTP, and equal to the offline replay."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from fakes import Gateway
from served_policies import CHEAP, OTHER, PRICE, RATES, STRONG, RecordedProvider

from farthing.gateway.targets import Targets, card_of
from farthing.levers.routing import Accept, Answered, Single, decide, read_outcomes, write_policy
from farthing.levers.routing.certify import Terms, certify
from farthing.levers.routing.facts import price_mark
from farthing.levers.routing.table import make_table
from farthing.money import Money

CHAT = "/v1/chat/completions"
SHARED = Path(__file__).parents[3] / "shared/data/outcomes/mix15.dev.jsonl.gz"


def made_rows(count):
    """Two classes: in `easy` the cheap models do as well, in `hard` only two that agree do."""
    dice = random.Random(3)
    rows = []
    for number in range(count):
        task = "easy" if number % 2 else "hard"
        outcomes = {}
        for model, skill in ((STRONG, 0.9), (CHEAP, 0.9), (OTHER, 0.85)):
            right = dice.random() < (skill if task == "easy" else skill - 0.2 * (model != STRONG))
            answer = "right" if right else f"{model} is wrong"
            tokens = {"input_tokens": dice.randint(500, 1500), "output_tokens": 100}
            cost = sum(
                count * float(rate)
                for count, rate in zip(tokens.values(), RATES[model], strict=True)
            )
            outcomes[model] = {
                "score": float(right),
                "answer": answer,
                "cost_usd": cost / 1e6,
                **tokens,
            }
        prompt = f"question {number}"
        rows.append({"id": str(number), "task": task, "prompt": prompt, "outcomes": outcomes})
    return rows


def shared_rows():
    rows = [json.loads(line) for line in gzip.decompress(SHARED.read_bytes()).splitlines()]
    random.Random(5).shuffle(rows)
    for number, row in enumerate(rows):
        row["prompt"] = f"{number}: {row['prompt']}"
        for model, told in row["outcomes"].items():
            told["answer"] = told.get("answer") or f"no final answer of {model}"
    return rows


def prices_of(rows):
    """`[[price]]` rows as the recorded costs imply them."""
    found = []
    for model in rows[0]["outcomes"]:
        told = [row["outcomes"][model] for row in rows]
        counts = np.array([[one["input_tokens"], one["output_tokens"]] for one in told])
        costs = np.array([one["cost_usd"] for one in told])
        rates, *_ = np.linalg.lstsq(counts, costs * 1e6, rcond=None)
        each = {n: f"{rate:.4f}" for n, rate in zip(("input", "output"), rates, strict=True)}
        found.append({"model": model, "provider": "openai", **each})
    return found


def compiled(gateway, directory, rows, incumbent):
    path = directory / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcomes = read_outcomes(path)
    card = card_of(
        Targets(gateway.config),
        gateway.config.providers,
        gateway.wired.book,
        gateway.clock.now_us(),
    )
    terms = Terms(
        floor=0.95,
        confidence=0.95,
        horizon=1000,
        class_floors={},
        labels=len(rows),
        seed=1,
        made="2026-11-25T00:00:00+00:00",
        data_hash=outcomes.content_hash,
        prices={model: price_mark(card(model)) for model in outcomes.models},
    )
    policy, _ = certify(make_table(outcomes, incumbent), terms)
    folder = directory / "routing" / "auto"
    folder.mkdir(parents=True)
    write_policy(folder / "policy.json", policy)
    return policy, card


def replayed(policy, row, card):
    """Score and cost by the record alone."""
    step, answers, cost = policy.steps.get(row["task"], Single(policy.incumbent)), {}, Money(0)
    while not isinstance(move := decide(step, answers), Accept):
        for model in move.models:
            told = row["outcomes"][model]
            rates = card(model).sets[0].rates
            counts = (told["input_tokens"], told["output_tokens"])
            by_unit = (rates[0], rates[4])
            cost += sum(
                (rate.of(count) for rate, count in zip(by_unit, counts, strict=True)), Money(0)
            )
            answers[model] = Answered(told["answer"])
    return row["outcomes"][move.model]["score"], cost


async def served_as_replayed(directory, rows, labels, incumbent, prices, count):
    async with RecordedProvider(directory, rows=rows) as provider:
        models = [row["model"] for row in prices]
        pools = {"auto": {"incumbent": incumbent, "models": models, "mode": "on"}}
        async with Gateway(directory, provider, routing={"pools": pools}, price=prices) as gateway:
            policy, card = compiled(gateway, directory, rows[:labels], incumbent)
            assert policy.certificate is not None
            await gateway.wired.routes.look()
            asked = rows[labels : labels + count]
            scores = []
            for row in asked:
                document = {
                    "model": f"farthing/auto:{row['task']}",
                    "messages": [{"role": "user", "content": row["prompt"]}],
                }
                status, headers, _ = await gateway.post(CHAT, document)
                assert status == 200
                scores.append(float(headers["x-sim-score"]))
            entries = gateway.journal.entries[-len(asked) :]
    expected = [replayed(policy, row, card) for row in asked]
    assert scores == [score for score, _ in expected]
    assert [entry.cost for entry in entries] == [cost for _, cost in expected]
    for entry in entries:
        moved = sum((move.saved - move.spent for move in entry.moves), Money(0))
        assert entry.baseline - moved == entry.cost
    return policy, entries


def test_what_is_served_over_http_is_what_was_replayed_to_the_nanodollar(tmp_path):
    rows = made_rows(1500)
    policy, entries = asyncio.run(
        served_as_replayed(tmp_path, rows, 1350, STRONG, PRICE, count=150)
    )
    assert policy.steps["easy"] != Single(STRONG)
    spent = sum((entry.cost for entry in entries), Money(0))
    assert spent.nanodollars < 0.7 * sum(entry.baseline.nanodollars for entry in entries)


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the real outcomes are not there")
def test_real_outcomes_are_served_as_they_were_replayed(tmp_path):
    rows = shared_rows()
    asyncio.run(
        served_as_replayed(tmp_path, rows, 1800, "gpt-4o-2024-05-13", prices_of(rows), count=200)
    )
