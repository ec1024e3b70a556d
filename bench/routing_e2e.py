"""Do bill and quality through the gateway agree with the offline evaluation of the same policy?

    python bench/routing_e2e.py [OUTCOMES]           5,000 prompts, about five minutes
    QUICK=1 python bench/routing_e2e.py [OUTCOMES]   600 prompts, about a minute

A simulator answers as the outcomes file has it (default: mix15 of ../shared/data). A policy is
compiled from two thirds of the prompts; prompts drawn from the rest then go through
`farthing/auto:TASK` over HTTP, and the same policy is replayed on the same draws offline.

1. The bill (ledger) must equal the replayed one to 0.5 %, and the mean score to 0.005; both must
   lie within the bootstrap interval (99 %) of what the certificate estimated. A tenth of the calls
   is compared with the incumbent's answer meanwhile: that share of equal answers must agree with the
   record's within its exact interval (99 %).
2. A voter breaks midway, and so does a model that serves alone: how many calls until the policy is
   stopped, and how many answers they cost, which must be at most 60.
3. A changed price and a changed snapshot must void the certificate.
4. The whole stage of routing, decision and account, on one core: median and 99th percentile.

The exit status is 0 if all of it holds. The last line printed is one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from farthing.evidence import binomial_interval
from farthing.evidence.store import EvidenceStore
from farthing.levers.routing.policy import Policy, read_policy
from farthing.levers.routing.step import Accept, Agree, Answered, Ask, Single, decide
from machine import machine_facts
from routing_latency import score_times, stage_times
from routing_site import Line, Site, ask_all, list_prices, read_lines, write_lines

QUICK = os.environ.get("QUICK") == "1"
CALLS = 600 if QUICK else 5000
BROKEN_CALLS, BROKEN_FROM = (600, 100) if QUICK else (2000, 400)
DEFAULT = Path(__file__).parents[2] / "shared/data/outcomes/mix15.dev.jsonl.gz"
INCUMBENT = "gpt-4o-2024-05-13"
FLOOR = "0.98"
SEED = 7
BILL_GAP_MOST = 0.005
SCORE_GAP_MOST = 0.005
# Answers are compared with the incumbent's, right or wrong, so that the floor is no quality's here.
EVIDENCE = """
[evidence]
mode = "on"
share = {share}
running_max = 16
queue_max = 1000
repeat_share = 0.0
judge = "normalised"
floor = 0.3
usd_per_day = "100"
"""
SHARE = 0.1  # of the calls that are compared; all of them where a model breaks
# Answers lost by a model that gives none that is right any more: by the charts over all classes, or
# by the comparisons of each class that it serves.
LOST_MOST = 60
AT_A_TIME, PAUSE_S = 2, 0.04  # comparisons come after the calls, and must keep up


def _costs(line: Line, prices: dict[str, Any]) -> dict[str, float]:
    return {
        model: float(
            told["input_tokens"] * prices[model][0] + told["output_tokens"] * prices[model][1]
        )
        / 1e6
        for model, told in line["outcomes"].items()
    }


def replay(policy: Policy, line: Line, prices: dict[str, Any]) -> tuple[float, float]:
    """Score and cost in USD of a prompt under the policy, from the record alone."""
    step = policy.steps.get(line["task"], Single(policy.incumbent))
    costs, answers, cost = _costs(line, prices), {}, 0.0
    while True:
        move = decide(step, answers)
        if isinstance(move, Accept):
            return float(line["outcomes"][move.model]["score"] >= 0.5), cost
        for model in move.models:
            cost += costs[model]
            answers[model] = Answered(str(line["outcomes"][model]["answer"]))


def agreement(policy: Policy, line: Line) -> bool:
    """Whether the policy's answer to a prompt is the incumbent's, by the record."""
    step = policy.steps.get(line["task"], Single(policy.incumbent))
    answers: dict[str, Answered] = {}
    while isinstance(move := decide(step, answers), Ask):
        for model in move.models:
            answers[model] = Answered(str(line["outcomes"][model]["answer"]))
    told = line["outcomes"]
    return bool(told[move.model]["answer"] == told[policy.incumbent]["answer"])


def _interval(values: list[float], base: list[float]) -> tuple[float, float]:
    """The bootstrap interval (99 %) of the ratio of two means."""
    dice = np.random.default_rng(SEED)
    above, below = np.array(values), np.array(base)
    picks = dice.integers(0, len(above), (1000, len(above)))
    ratios = above[picks].mean(axis=1) / below[picks].mean(axis=1)
    low, high = np.quantile(ratios, [0.005, 0.995])
    return float(low), float(high)


def _say(text: str) -> None:
    print(text, flush=True)


class Bench:
    """All parts, on one set of outcomes."""

    def __init__(self, outcomes: Path, folder: Path) -> None:
        lines = read_lines(outcomes)
        random.Random(SEED).shuffle(lines)
        cut = len(lines) * 2 // 3
        self.labels, self.held_out = lines[:cut], lines[cut:]
        self.prices = list_prices(lines)
        self.folder = folder
        self.record = write_lines(folder / "record.jsonl", lines)
        self.found: dict[str, Any] = {}
        self.is_good = True
        self.draws = random.Random(SEED + 1).choices(self.held_out, k=CALLS)

    def site(self, name: str) -> Site:
        """A folder of its own, configured."""
        folder = self.folder / name
        (folder / "ledger/routing/auto").mkdir(parents=True)
        site = Site(folder, self.record, INCUMBENT, self.prices)
        site.configure()
        return site

    def compile(self, site: Site) -> Policy:
        """Compile from the labels, to where the gateway looks for policies."""
        labels = write_lines(site.folder / "labels.jsonl", self.labels)
        out = site.folder / "ledger/routing/auto/policy.json"
        options = ("--incumbent", INCUMBENT, "--floor", FLOOR, "--out", str(out))
        _, told = site.run("route", "compile", str(labels), *options)
        if not told["certified"]:
            raise RuntimeError(f"nothing was certified: {told['reason']}")
        return read_policy(out)

    def check(self, name: str, *, holds: bool, told: str) -> None:
        """Note whether something holds, and say so."""
        self.is_good = self.is_good and holds
        _say(f"{'holds' if holds else 'FAILS'}  {name}: {told}")

    async def served(self) -> None:
        """Part 1."""
        site = self.site("served")
        policy = self.compile(site)
        async with site.up(more=EVIDENCE.format(share=SHARE)) as gateway:
            answers = await ask_all(gateway, self.draws)
        _, report = site.run("report", "--data-dir", str(site.folder / "ledger"))
        aside = self.compared(site, policy)
        expected = [replay(policy, line, self.prices) for line in self.draws]
        score = statistics.mean(a.score >= 0.5 for a in answers)
        offline = statistics.mean(e[0] for e in expected)
        whole, offline_bill = float(report["total_usd"]), sum(e[1] for e in expected)
        bill = whole - aside
        own = [_costs(line, self.prices)[INCUMBENT] for line in self.draws]
        base = [float(line["outcomes"][INCUMBENT]["score"]) for line in self.draws]
        (lever,) = [one for one in report["levers"] if one["lever"] == "routing"]
        sum_of_moves = float(lever["saved_usd"]) - float(lever["spent_usd"])
        baseline = float(report["baseline_usd"])
        sum_of_moves += aside
        self.check("score", holds=abs(score - offline) <= SCORE_GAP_MOST,
                   told=f"{score:.4f} served, {offline:.4f} replayed")  # fmt: skip
        gap = abs(bill - offline_bill) / offline_bill
        self.check("bill", holds=gap <= BILL_GAP_MOST,
                   told=f"{bill:.6f} USD served, {offline_bill:.6f} USD replayed")  # fmt: skip
        self.check("the bill adds up", holds=abs(baseline - sum_of_moves - bill) < 1e-6,
                   told=f"{baseline:.6f} - {sum_of_moves:.6f} = {bill:.6f} USD")  # fmt: skip
        certificate = policy.certificate
        assert certificate is not None
        low, high = _interval([a.score for a in answers], base)
        cost_low, cost_high = _interval([e[1] for e in expected], own)
        self.check("quality beside the certificate", holds=high >= float(FLOOR),
                   told=f"{low:.3f} to {high:.3f} of the incumbent's; certified "
                   f"{certificate.quality_ratio:.3f}, floor {FLOOR}")  # fmt: skip
        self.check("cost beside the certificate",
                   holds=cost_low <= certificate.cost_ratio * 1.25 and
                   cost_high >= certificate.cost_ratio / 1.25,
                   told=f"{cost_low:.4f} to {cost_high:.4f} of the incumbent's; certified "
                   f"{certificate.cost_ratio:.4f}")  # fmt: skip
        self.found["served"] = {
            "calls": len(answers),
            "score": round(score, 4),
            "score_offline": round(offline, 4),
            "score_incumbent": round(statistics.mean(base), 4),
            "bill_usd": report["total_usd"],
            "bill_offline_usd": f"{offline_bill:.6f}",
            "incumbent_usd": f"{sum(own):.6f}",
            "baseline_usd": report["baseline_usd"],
            "times_cheaper": round(sum(own) / bill, 2),
            "baseline_estimate_gap": round(baseline / sum(own) - 1, 4),
        }

    def compared(self, site: Site, policy: Policy) -> float:
        """What the evidence says beside the record, by the same judge; what it cost, in USD."""
        store = EvidenceStore(site.folder / "ledger")
        rows = [row for scope in store.scopes() for row in store.comparisons(*scope)]
        store.close()
        same = [agreement(policy, line) for line in self.draws]
        hits = sum(row.evidence.score > 0.5 for row in rows)
        near = binomial_interval(hits, len(rows), alpha=0.01)
        offline = statistics.mean(same)
        self.check("evidence beside the record", holds=near.low <= offline <= near.high,
                   told=f"{hits} of {len(rows)} answers as the incumbent's ({near.low:.3f} to "
                   f"{near.high:.3f}); {offline:.3f} by the record")  # fmt: skip
        cost = sum(row.evidence.cost.nanodollars for row in rows) / 1e9
        self.found["evidence"] = {
            "comparisons": len(rows), "as_the_incumbent": round(hits / len(rows), 4),
            "by_the_record": round(offline, 4), "cost_usd": f"{cost:.6f}",
        }  # fmt: skip
        return cost

    async def broken(self, which: str) -> None:
        """Part 2: a model breaks at a request of its own; `which` is voter or single."""
        site = self.site(f"broken-{which}")
        draws = self.draws[:BROKEN_CALLS]
        policy = self.compile(site)
        model = _victim(policy, draws, alone=which == "single")
        if model is None:
            _say(f"skipped  a broken {which}: the policy has none")
            return
        rule = f'model = "{model}", accuracy = 0.0, from_request = {BROKEN_FROM}'
        async with site.up(rule, more=EVIDENCE.format(share=1.0)) as gateway:
            answers = await ask_all(gateway, draws, at_a_time=AT_A_TIME, pause_s=PAUSE_S)
        store = EvidenceStore(site.folder / "ledger")
        fell = [state.scope for state in store.states() if state.reason.startswith("shown to be")]
        store.close()
        _, status = site.run("route", "status")
        stopped = [event for event in status["events"] if event["kind"] == "stopped"]
        by_policy = [number for number, one in enumerate(answers) if "arm=policy" in one.route]
        expected = [replay(policy, line, self.prices)[0] for line in draws]
        lost = [e - (a.score >= 0.5) for e, a in zip(expected, answers, strict=True)]
        first = _first_broken(policy, model, draws)
        until = max(0, by_policy[-1] - first + 1) if stopped else len(answers)
        damage = sum(lost[first : first + until])
        classes = {name for name, step in policy.steps.items() if model in _asked(step)}
        most = LOST_MOST if stopped else LOST_MOST * len(classes)
        why = stopped[0]["told"] if stopped else f"shown to be unsafe: {', '.join(sorted(fell))}"
        self.check(f"a {which} that breaks is noticed",
                   holds=bool(stopped or fell) and damage <= most,
                   told=f"{model}: {until} calls, {damage:.0f} answers lost of {most} at the most; "
                   f"{why if stopped or fell else 'not noticed'}")  # fmt: skip
        self.found[f"broken_{which}"] = {
            "model": model, "calls_until_stopped": until, "answers_lost": damage,
            "most": most, "why": why,
        }  # fmt: skip

    async def voided(self) -> None:
        """Part 3."""
        site = self.site("voided")
        policy = self.compile(site)
        asked = {m for step in policy.steps.values() for m in _asked(step)} - {INCUMBENT}
        model = _victim(policy, self.draws, alone=True) or min(asked)
        some = [line for line in self.draws if model in _asked(policy.steps[line["task"]])][:60]
        rule = f'model = "{model}", serves = "{model}-v2", from_request = 20'
        async with site.up(rule) as gateway:
            answers = await ask_all(gateway, some, at_a_time=1)
        held = [a for a in answers if "its certificate is void" in a.route]
        self.check("a snapshot that changes voids the certificate", holds=len(held) >= len(some) - 45,
                   told=f"{len(answers) - len(held)} calls before it")  # fmt: skip
        other = self.site("dearer")
        self.compile(other)
        paid_in, paid_out = other.prices[model]
        other.prices[model] = (paid_in * 2, paid_out * 2)
        async with other.up() as gateway:
            answers = await ask_all(gateway, some[:20])
        held = [a for a in answers if "the price of" in a.route and a.model == INCUMBENT]
        self.check("a price that changes voids the certificate", holds=len(held) == len(answers),
                   told=f"{len(held)} of {len(answers)} calls at the incumbent")  # fmt: skip


def _asked(step: object) -> tuple[str, ...]:
    if isinstance(step, Agree):
        return step.models
    return (step.model,) if isinstance(step, Single) else ()


def _victim(policy: Policy, draws: list[Line], *, alone: bool) -> str | None:
    """The cheap model that serves the most calls, alone or as a voter."""
    counts: dict[str, int] = {}
    for line in draws:
        step = policy.steps[line["task"]]
        if isinstance(step, Single) == alone:
            for model in _asked(step):
                counts[model] = counts.get(model, 0) + (model != policy.incumbent)
    counts = {model: count for model, count in counts.items() if count}
    return max(counts, key=lambda model: counts[model]) if counts else None


def _first_broken(policy: Policy, model: str, draws: list[Line]) -> int:
    asked = 0
    for number, line in enumerate(draws):
        step = policy.steps[line["task"]]
        asked += model in _asked(step)
        if asked >= BROKEN_FROM:
            return number
    return len(draws)


async def _all(bench: Bench) -> None:
    await bench.served()
    await bench.broken("voter")
    await bench.broken("single")
    await bench.voided()
    times = await stage_times(bench.folder, 2_000 if QUICK else 20_000)
    bench.found["stage_us"] = times
    bench.check("the stage takes under 1 ms", holds=times["p50_us"] < 1000,
                told=f"median {times['p50_us']} us, 99 % {times['p99_us']} us")  # fmt: skip
    scored = await score_times(bench.folder, [line["prompt"] for line in bench.draws])
    bench.found["scored_us"] = scored
    for name, took in scored.items():
        _say(
            f"by a score of {name}: median {took['prompts_p50_us']} us, long {took['long_p50_us']} us"
        )
    bench.check("by an embedding it takes under 3 ms", holds=scored["wordllama"]["prompts_p50_us"] < 3000,
                told=f"wordllama, median {scored['wordllama']['prompts_p50_us']} us")  # fmt: skip


def main() -> int:
    """Run all parts."""
    outcomes = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not outcomes.exists():
        _say(f"{outcomes} is not there. Nothing was run. Name a file of outcomes.")
        return 2
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(outcomes, Path(name))
        asyncio.run(_all(bench))
    told = {"bench": "routing_e2e", "holds": bench.is_good, "machine": machine_facts()}
    print(json.dumps({**told, "outcomes": outcomes.name, **bench.found}))
    return 0 if bench.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
