"""What does Farthing add to a call, beside a plain proxy, its own bare floor and LiteLLM?

    python bench/overhead.py                    all steps, five rounds, about 20 minutes
    QUICK=1 python bench/overhead.py            a few short steps, two rounds, about a minute
    python bench/overhead.py --install-peers    fetch nginx, wrk and LiteLLM into .bench/
    python bench/overhead.py --write-docs       and put the result into docs/benchmarks.md

Everything runs on loopback and is started and stopped here: the provider (upstream.c) and the
closed-loop load generator (load.c) on one processor, the targets, each alone under load, on the
other. Every target's answers are checked before it is measured; one failed request, or one that
did not reach the provider, puts the target out, drops its figures and makes the exit status 1.
Targets take turns within each round, in rotating order. The last line printed is one JSON document
with all figures.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import figures
import page
from awake import Awake
from checks import WrongAnswerError
from crosscheck import wrk_rate
from loopback import Pins, Site
from machine import Clock, machine_facts, resident_bytes
from peers import install_peers
from rounds import Run, say
from steps import Step, full_steps, quick_steps
from targets import TARGETS

_REPOSITORY = Path(__file__).parent.parent
_RESULTS = _REPOSITORY / "bench" / "results" / "overhead.json"
_DOCS = _REPOSITORY / "docs" / "benchmarks.md"
_NOISE_MOST = 0.05  # share of the machine that others may take before figures are provisional
_MINUTES_MOST = 40.0


def _arguments() -> argparse.Namespace:
    about, _, usage = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--install-peers", action="store_true", help="fetch what is compared with, and end")
    add("--targets", default="", help="only these, separated by commas; direct is always there")
    add("--steps", default="", help="only these, separated by commas")
    add("--rounds", type=int, default=0, help="rounds [default: 5; 2 with QUICK=1]")
    add("--realtime", action="store_true", help="run all under SCHED_RR (chrt), where permitted")
    add("--let-sleep", action="store_true", help="do not keep idle processors awake (awake.py)")
    add("--peers-sleep", action="store_true", help="let provider and load sleep in full steps too")
    add("--provisional", action="store_true", help="mark the figures as provisional")
    add("--write-docs", action="store_true", help=f"write {_RESULTS.name} and benchmarks.md")
    add("--from", dest="source", type=Path, help="no run: figures from this file")
    arguments = parser.parse_args()
    _check_names(parser, "target", arguments.targets, {target.name for target in TARGETS})
    _check_names(parser, "step", arguments.steps, {s.name for s in full_steps() + quick_steps()})
    return arguments


def _check_names(parser: argparse.ArgumentParser, kind: str, given: str, known: set[str]) -> None:
    unknown = set(given.split(",")) - known if given else set()
    if unknown:
        parser.error(f"no {kind} {min(unknown)!r}; there are {', '.join(sorted(known))}")


def _pins(*, is_realtime: bool) -> Pins:
    """Targets on the last processor, provider and load on the first."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) == 1:
        say("only one processor: targets and load share it, and figures say little")
    return Pins(cpus[-1], cpus[0], is_realtime)


def _measure(arguments: argparse.Namespace, *, is_quick: bool) -> dict[str, Any]:
    """One whole run, as a JSON document.

    Raises:
        WrongAnswerError: the provider itself, or the load on it, fails.
    """
    steps = quick_steps() if is_quick else full_steps()
    if arguments.steps:
        chosen = arguments.steps.split(",")
        steps = [step for step in steps if step.name in chosen]
    wanted = [*arguments.targets.split(","), "direct"] if arguments.targets else []
    rounds = arguments.rounds or (2 if is_quick else 5)
    with tempfile.TemporaryDirectory(prefix="farthing-bench-") as folder:
        pins = _pins(is_realtime=arguments.realtime)
        began, clock, own_s = time.monotonic(), Clock.read(), sum(os.times()[:4])
        awake = Awake(set() if arguments.let_sleep else {pins.target_cpu, pins.load_cpu})
        would_starve = arguments.realtime or pins.target_cpu == pins.load_cpu
        is_polling = not (arguments.peers_sleep or would_starve)
        site = Site(folder=Path(folder), pins=pins, is_polling=is_polling)
        run = Run(site=site, awake=awake, steps=steps)
        try:
            run.start(wanted)
            done = _rounds(run, rounds, began + 60 * _MINUTES_MOST)
            document = _document(run, done)
            document["kept_awake"] = not arguments.let_sleep
            document["peers_poll"] = site.is_polling and site.is_native
            document["ledger_check"] = run.check_ledgers()
            if not is_quick:
                document["wrk_requests_per_s"] = {
                    target.name: wrk_rate(run.site, target) for target in run.running
                }
        finally:
            run.close()
    others, stolen = Clock.read().others_since(clock, sum(os.times()[:4]) - own_s)
    document["noise"] = {"other_programs": round(others, 3), "other_machines": round(stolen, 3)}
    reasons = {
        "a quick run": is_quick,
        "marked so by hand": arguments.provisional,
        f"other programs took {others:.0%} of the processors": others > _NOISE_MOST,
        f"other machines took {stolen:.0%} of the processors": stolen > _NOISE_MOST,
        "no C compiler: stand-ins in Python": not run.site.is_native,
    }
    document["provisional"] = [reason for reason, holds in reasons.items() if holds]
    return document


def _rounds(run: Run, rounds: int, end_s: float) -> int:
    """Do the rounds, or as many as fit the time; gives how many were done."""
    for number in range(rounds):
        if time.monotonic() > end_s:
            say(f"out of time after {number} rounds")
            return number
        run.round(number)
        say(f"round {number + 1} of {rounds} done")
    return rounds


def _document(run: Run, rounds: int) -> dict[str, Any]:
    about = {target.name: target.about for target in TARGETS}
    found: dict[str, Any] = {
        target.name: {
            "about": about[target.name],
            "version": target.version,
            "start_s": round(target.start_s, 2),
            "rss_idle_mb": round(target.rss_idle_bytes / 1e6, 1),
            "rss_after_mb": round(resident_bytes(target.pid) / 1e6, 1) if target.pid else 0.0,
            "requests": run.sent[target.name],
        }
        for target in run.running
    }
    found |= {name: {"about": about[name], "absent": why} for name, why in run.absent.items()}
    found |= {name: {"about": about[name], "failed": why} for name, why in run.failed.items()}
    return {
        "bench": "overhead",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "scheduling": "SCHED_RR" if run.site.pins.is_realtime else "ordinary",
        "rounds": rounds,
        "targets": {name: found[name] for name in about if name in found},
        "steps": {step.name: _step_figures(run, step) for step in run.steps},
        "goals": figures.goals(run.rounds),
    }


def _step_figures(run: Run, step: Step) -> dict[str, Any]:
    by_target = run.rounds[step.name]
    document: dict[str, Any] = {"about": step.about, "load": asdict(step), "targets": {}}
    for name, mine in by_target.items():
        values = {f: figures.summary(r[f] for r in mine) for f in mine[0]}
        entry: dict[str, Any] = {"figures": values}
        if name != "direct":
            entry["added"] = figures.added(mine, by_target["direct"])
            entry["over"] = {
                other: found
                for other, theirs in by_target.items()
                if other != name and (found := figures.ratios(mine, theirs))
            }
        document["targets"][name] = entry
    return document


def main() -> int:
    """Run what the command line asks for; 1 if a target was wrong, failed or lost a call."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    if arguments.install_peers:
        install_peers()
        return 0
    if arguments.source:
        document = json.loads(arguments.source.read_text())
    else:
        try:
            document = _measure(arguments, is_quick=os.environ.get("QUICK", "0") not in {"", "0"})
        except (WrongAnswerError, subprocess.SubprocessError) as error:
            print(f"overhead: {error}", file=sys.stderr)
            return 1
    text = page.render(document)
    if arguments.write_docs:
        _RESULTS.parent.mkdir(exist_ok=True)
        _RESULTS.write_text(json.dumps(document, indent=1) + "\n")
        page.rewrite(_DOCS, text)
    print(text)
    print(json.dumps(document))
    return 0 if _is_sound(document) else 1


def _is_sound(document: dict[str, Any]) -> bool:
    """Whether no target was put out, and no ledger lacks a call."""
    ledgers = document["ledger_check"].values()
    has_failed = any("failed" in target for target in document["targets"].values())
    return not has_failed and all(ledger["is_equal"] for ledger in ledgers)


if __name__ == "__main__":
    sys.exit(main())
