"""A simulated provider with recorded answers, and policies over its models."""

from __future__ import annotations

import json

from farthing.levers.routing.policy import (
    Certificate,
    Expected,
    Policy,
    policy_mark,
    write_policy,
)
from farthing.levers.routing.step import Agree, Single
from farthing.money import Money
from farthing.sim import INSTANT, Recorded, SimSettings, Simulator

STRONG, CHEAP, OTHER = "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo-0125"
RATES = {STRONG: ("2.5", "10"), CHEAP: ("0.15", "0.6"), OTHER: ("0.5", "1.5")}
PRICE = [
    {"model": name, "provider": "openai", "input": rate[0], "output": rate[1]}
    for name, rate in RATES.items()
]
SINGLE = {"easy": Single(CHEAP)}
VOTE = {"easy": Agree((CHEAP, OTHER), Single(STRONG))}


def line(number, answers, task="easy"):
    """`answers` by model: (score, final answer)."""
    return {
        "id": f"q{number}",
        "task": task,
        "prompt": f"question {number}",
        "outcomes": {
            model: {"score": score, "answer": answer, "input_tokens": 1000, "output_tokens": 100}
            for model, (score, answer) in answers.items()
        },
    }


AGREED = line(1, {STRONG: (1, "42"), CHEAP: (1, "42"), OTHER: (1, "42")})
SPLIT = line(2, {STRONG: (1, "7"), CHEAP: (0, "8"), OTHER: (0, "9")})


class RecordedProvider:
    """A simulator in place of the fake provider: `port`, and the log of what it served."""

    def __init__(self, directory, rows=(AGREED, SPLIT), rules=()):
        path = directory / "outcomes.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        recorded = Recorded()
        recorded.add_outcomes(path)
        self.simulator = Simulator(SimSettings(pace=INSTANT, rules=rules), recorded=recorded)

    async def __aenter__(self):
        await self.simulator.start()
        self.port = int(self.simulator.base_url.rpartition(":")[2])
        return self

    async def __aexit__(self, *exc):
        await self.simulator.stop(0)

    @property
    def asked(self):
        """The models that were asked, oldest first."""
        return [served.model for served in self.simulator.log]


def policy(
    steps, *, floor=0.98, expected=None, prices=None, snapshots=None, incumbent=STRONG, **more
):
    names = {incumbent, STRONG, CHEAP, OTHER}
    certificate = Certificate(
        floor=floor,
        confidence=0.95,
        horizon=1000,
        class_floors={},
        labels=1000,
        certified_on=600,
        quality_ratio=1.0,
        cost_ratio=0.1,
        cost=Money(1000),
        incumbent_cost=Money(10_000),
        made="2026-11-25T00:00:00+00:00",
        snapshots=snapshots or {name: name for name in names},
        prices=prices or dict.fromkeys(names, "outcomes"),
        data_hash="0" * 64,
    )
    return Policy(
        incumbent=incumbent,
        steps=steps,
        templates=(),
        default_class="unknown",
        certificate=certificate,
        reason="it passed",
        expected={name: Expected(*counts) for name, counts in (expected or {}).items()},
        **more,
    )


def file_policy(directory, made, pool="auto", name="policy.json"):
    """Put a policy where the gateway looks for it; its mark."""
    folder = directory / "routing" / pool
    folder.mkdir(parents=True, exist_ok=True)
    write_policy(folder / name, made)
    return policy_mark(made)


def pool(**more):
    return {"incumbent": STRONG, "models": [CHEAP, OTHER], "mode": "on", **more}


def ask(prompt, model="farthing/auto:easy", **more):
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
