"""One run: the targets that could be started, and the rounds of steps put on them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import figures
from awake import Awake
from checks import WrongAnswerError, check_target
from loopback import Meter, Site
from steps import PROVIDER_ANSWER, Step, request_bytes
from targets import TARGETS, AbsentError, Running

__all__ = ["Run", "say"]

_LEDGER_S_MOST = 30.0


_NO_METER = Meter(pid=None, settle_s=0.0)
_WARM_UP = Step(name="warm-up", about="", body_bytes=2_000, connections=16, seconds=1.0)


@dataclass(kw_only=True)
class Run:
    """One benchmark run: its targets and what was read from each of them so far."""

    site: Site
    awake: Awake
    steps: list[Step]
    running: list[Running] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    rounds: dict[str, dict[str, list[figures.Reading]]] = field(default_factory=dict)

    def start(self, wanted: Sequence[str]) -> None:
        """Start each target that can be had, check its answers and warm it up."""
        for target in TARGETS:
            if wanted and target.name not in wanted:
                continue
            try:
                running = target.start(self.site)
            except AbsentError as reason:
                self.absent[target.name] = str(reason)
                say(f"{target.name}: absent: {reason}")
                continue
            self.running.append(running)
            with self._judging(running):
                self.sent[running.name] = check_target(self.site, running, self.steps)
                say(f"{running.name}: started in {running.start_s:.1f} s, answers are right")
                self._put(_WARM_UP, running)

    def round(self, number: int) -> None:
        """Each step on each target in turn; who begins rotates with the round."""
        first = number % len(self.running)
        order = self.running[first:] + self.running[:first]
        for step in self.steps:
            for target in order:
                if target in self.running:
                    with self._judging(target):
                        self._measure(step, target)

    def check_ledgers(self) -> dict[str, Any]:
        """Whether each ledger holds as many calls as were sent; asked until it does, or 30 s."""
        found: dict[str, Any] = {}
        for target in self.running:
            if target.ledger_calls:
                sent = self.sent[target.name]
                held = _awaited(target.ledger_calls, sent)
                found[target.name] = {"sent": sent, "in_ledger": held, "is_equal": held == sent}
        return found

    def close(self) -> None:
        """Stop all that was started."""
        for target in self.running:
            target.close()
        self.awake.close()
        self.site.close()

    @contextmanager
    def _judging(self, target: Running) -> Iterator[None]:
        """Put a target out, and drop its figures, once it gives one wrong or failed answer.

        Raises:
            WrongAnswerError: it is the provider itself; without it nothing can be measured.
        """
        try:
            yield
        except (WrongAnswerError, OSError) as error:
            if target.name == "direct":
                raise WrongAnswerError(f"the provider itself fails: {error}") from error
            say(f"{target.name}: OUT: {error}")
            self.failed[target.name] = str(error)
            self.running.remove(target)
            for by_target in self.rounds.values():
                by_target.pop(target.name, None)
            target.close()

    def _measure(self, step: Step, target: Running) -> None:
        if not step.pace_us:  # its connections, and the target's to the provider, are new
            self._put(replace(step, requests=step.connections), target)
        report = self._put(step, target, Meter(target.pid, target.settle_s))
        by_target = self.rounds.setdefault(step.name, {})
        by_target.setdefault(target.name, []).append(figures.reading(step, report))

    def _put(self, step: Step, target: Running, meter: Meter = _NO_METER) -> dict[str, Any]:
        """Run a step; every request must succeed and reach the provider."""
        self.site.set_manner(step)
        is_exact = target.is_exact and not step.is_stream
        with self.awake.during(is_wanted=step.leaves_idle):
            report = self.site.load(
                step,
                target.port,
                request_bytes(step, target.port, target.headers),
                body_bytes=len(PROVIDER_ANSWER) if is_exact else 0,
                meter=meter,
            )
        self.sent[target.name] += report["completed"]
        arrived = self.site.provider_requests()
        if report["failures"] or arrived != report["completed"]:
            raise WrongAnswerError(
                f"{target.name}, {step.name}: {report['failures']} of {report['sent']} failed "
                f"({report['first_failure']}); {arrived} arrived at the provider"
            )
        return report


def _awaited(read: Callable[[], int], wanted: int) -> int | None:
    """What `read` gives once it gives `wanted`, else at last after 30 s; None if it fails."""
    end = time.monotonic() + _LEDGER_S_MOST
    try:
        while (held := read()) != wanted and time.monotonic() < end:
            time.sleep(0.5)
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        say(f"no count of calls from the ledger: {error}")
        return None
    return held


def say(text: str) -> None:
    """Tell the person who waits; stdout is for the figures."""
    print(text, file=sys.stderr, flush=True)
