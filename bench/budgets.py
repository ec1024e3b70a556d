"""What do ten budgets that each call must pass take of the throughput?

    python bench/budgets.py          nine rounds, about four minutes
    QUICK=1 python bench/budgets.py  three short rounds

Two gateways of one worker stand side by side, one without budgets and one with ten that all count
each call: by feature, user, tenant, session, environment, model and all, over calendar and rolling
windows. They take turns under the same load, within each round and in changing order; the ratio is
taken within the round. Beforehand the answers are checked, and afterwards that each of the ten
accounts holds exactly what the ledger says. The last line printed is one JSON document.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import figures
from checks import check_target
from farthing.budgets import SqliteBudgets
from farthing.ledger import Ledger
from loopback import Meter, Pins, Site
from machine import Clock, machine_facts
from rounds import say
from steps import Step, full_steps, request_bytes
from targets import Running, farthing

QUICK = os.environ.get("QUICK") == "1"
ROUNDS = 3 if QUICK else 9
SECONDS = 0.5 if QUICK else 3.0
GOAL = 0.8
CHOSEN = ("json-2k-c16", "json-2k-c64", "json-50k-c16", "burst-c16")
SCOPES = (
    ("all", "month"),
    ("all", "24h"),
    ("feature=*", "day"),
    ("feature=reply", "hour"),
    ("user=*", "month"),
    ("tenant=*", "month"),
    ("tenant=acme feature=*", "week"),
    ("session=*", "lifetime"),
    ("env=prod model=gpt-*", "year"),
    ("model=*", "7d"),
)


def _budget(number: int, scope: str, window: str) -> str:
    lines = [f'name = "b{number}"', f'scope = "{scope}"', f'window = "{window}"']
    return "\n".join(["", "[[budget]]", *lines, 'amount_usd = "100000"', ""])


def _put(site: Site, step: Step, target: Running) -> figures.Reading:
    """One step on one target; each request must succeed.

    Raises:
        RuntimeError: one did not.
    """
    site.set_manner(step)
    report = site.load(
        step,
        target.port,
        request_bytes(step, target.port, target.headers),
        body_bytes=0,
        meter=Meter(target.pid, target.settle_s),
    )
    if report["failures"]:
        raise RuntimeError(f"{target.name}, {step.name}: {report['first_failure']}")
    return figures.reading(step, report)


def _measure(site: Site) -> dict[str, Any]:
    ten = "".join(_budget(n, *scope) for n, scope in enumerate(SCOPES))
    targets = [farthing(site, "none"), farthing(site, "ten", ten)]
    steps = [replace(s, seconds=SECONDS) for s in full_steps() if s.name in CHOSEN]
    found: dict[str, dict[str, list[figures.Reading]]] = {}
    try:
        for target in targets:
            check_target(site, target, steps)
            _put(site, replace(steps[0], seconds=1.0), target)
        for number in range(ROUNDS):
            for step in steps:
                for target in targets if number % 2 else targets[::-1]:
                    read = _put(site, step, target)
                    found.setdefault(step.name, {}).setdefault(target.name, []).append(read)
            say(f"round {number + 1} of {ROUNDS} done")
    finally:
        for target in targets:
            target.close()
    _check_accounts(site.folder / "ten" / "ledger")
    return {step.name: _figures(step, found[step.name]) for step in steps}


def _check_accounts(folder: Path) -> None:
    """Raises AssertionError: an account does not hold what the ledger says."""
    with Ledger.open(folder) as ledger:
        total = sum(entry.cost.nanodollars for entry in ledger.entries())
    store = SqliteBudgets(folder)
    sums: dict[str, int] = {}
    for account in store.accounts(0):
        sums[account.budget] = sums.get(account.budget, 0) + account.committed.nanodollars
    store.close()
    if sums != {f"b{number}": total for number in range(len(SCOPES))}:
        raise AssertionError(f"the ledger has {total} n$, the accounts {sums}")


def _figures(step: Step, found: dict[str, list[figures.Reading]]) -> dict[str, Any]:
    return {
        "about": step.about,
        **{
            name: {f: figures.summary(r[f] for r in rounds) for f in figures.RATIO_FIGURES}
            for name, rounds in found.items()
        },
        "ratio": figures.ratios(found["ten"], found["none"]),
    }


def _table(steps: dict[str, Any]) -> str:
    lines = [
        "| load | requests/s without | with ten budgets | share kept | CPU a call |",
        "|---|---|---|---|---|",
    ]
    for step in steps.values():
        none, ten = (_range(step[name]["requests_per_s"]) for name in ("none", "ten"))
        kept, cpu = step["ratio"]["requests_per_s"], step["ratio"]["cpu_us_per_request"]
        share = f"{kept['median']:.1%} ({kept['low']:.1%} to {kept['high']:.1%})"
        lines.append(f"| {step['about']} | {none} | {ten} | {share} | x {cpu['median']:.2f} |")
    return "\n".join(lines)


def _range(summary: figures.Summary) -> str:
    return f"{summary['median']:,.0f} ({summary['low']:,.0f} to {summary['high']:,.0f})"


def main() -> int:
    """Run; exit 1 if ten budgets take more of the throughput than they may."""
    cpus = sorted(os.sched_getaffinity(0))
    began, own_s = Clock.read(), sum(os.times()[:4])
    with tempfile.TemporaryDirectory(prefix="farthing-budgets-") as folder:
        site = Site(folder=Path(folder), pins=Pins(cpus[-1], cpus[0]))
        try:
            steps = _measure(site)
        finally:
            site.close()
    others, stolen = Clock.read().others_since(began, sum(os.times()[:4]) - own_s)
    print(_table(steps))
    noise = {"other_programs": round(others, 3), "other_machines": round(stolen, 3)}
    print(json.dumps({"machine": machine_facts(), "noise": noise, "steps": steps}))
    return int(any(s["ratio"]["requests_per_s"]["median"] < GOAL for s in steps.values()))


if __name__ == "__main__":
    sys.exit(main())
