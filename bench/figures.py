"""From the load generator's reports to figures: per round, then median and spread over rounds.

What a target adds, and its ratio to another, is taken within a round, where both ran seconds
apart, and only then summed up over rounds: what drifts with the machine cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

from steps import CLOSING_EVENTS, Step

__all__ = ["RATIO_FIGURES", "added", "goals", "ratios", "reading", "summary"]

Reading = Mapping[str, float]  # figure -> value, of one step of one target in one round
Rounds = Mapping[str, Mapping[str, list[Reading]]]  # step -> target -> one reading a round
Summary = dict[str, float]  # median, low, high

_ADDED_FIGURES = (
    "latency_p50_us",
    "latency_p99_us",
    "first_event_p50_us",
    "event_delay_p50_us",
    "event_delay_p99_us",
)
RATIO_FIGURES = ("requests_per_s", "cpu_us_per_request")


def reading(step: Step, report: Mapping[str, Any]) -> Reading:
    """One load report in microseconds and requests per second."""
    requests = report["completed"]
    figures = {
        "requests": float(requests),
        "requests_per_s": requests / (report["elapsed_ns"] / 1e9),
        "latency_p50_us": report["latency_ns"]["p50"] / 1e3,
        "latency_p99_us": report["latency_ns"]["p99"] / 1e3,
        "cpu_us_per_request": report["cpu_ns"] / 1e3 / requests,
    }
    if step.is_stream:
        figures |= {
            "first_event_p50_us": report["first_event_ns"]["p50"] / 1e3,
            "event_delay_p50_us": report["event_delay_ns"]["p50"] / 1e3,
            "event_delay_p99_us": report["event_delay_ns"]["p99"] / 1e3,
            "cpu_us_per_event": figures["cpu_us_per_request"] / (step.events + CLOSING_EVENTS),
        }
    return figures


def summary(values: Iterable[float]) -> Summary:
    """Median, lowest and highest, to four significant digits."""
    ordered = sorted(values)
    chosen = {"median": median(ordered), "low": ordered[0], "high": ordered[-1]}
    return {name: float(f"{value:.4g}") for name, value in chosen.items()}


def added(mine: list[Reading], direct: list[Reading]) -> dict[str, Summary]:
    """What a target adds to the direct figures of the same rounds, in microseconds."""
    return {
        figure: summary(m[figure] - d[figure] for m, d in zip(mine, direct, strict=True))
        for figure in _ADDED_FIGURES
        if figure in mine[0]
    }


def ratios(mine: list[Reading], other: list[Reading]) -> dict[str, Summary]:
    """A target's figures over another's of the same rounds; none where the other's is 0."""
    return {
        figure: summary(m[figure] / o[figure] for m, o in zip(mine, other, strict=True))
        for figure in RATIO_FIGURES
        if all(o[figure] for o in other)
    }


def goals(rounds: Rounds) -> list[dict[str, Any]]:
    """The bounds Farthing is held to, and where it stands; `got` is None where it was not run."""

    def ratio(step: str, figure: str, other: str) -> Callable[[], float]:
        return lambda: ratios(rounds[step]["farthing"], rounds[step][other])[figure]["median"]

    def extra(step: str, figure: str) -> Callable[[], float]:
        return lambda: added(rounds[step]["farthing"], rounds[step]["direct"])[figure]["median"]

    rate, cpu = RATIO_FIGURES
    bounds: list[tuple[str, str, float, Callable[[], float]]] = [
        ("requests/s over LiteLLM's, c=64", "at least", 100, ratio("json-2k-c64", rate, "litellm")),
        ("requests/s over nginx's, c=64", "at least", 1 / 3, ratio("json-2k-c64", rate, "nginx")),
        ("CPU/request over the floor's, c=64", "at most", 1.6, ratio("json-2k-c64", cpu, "floor")),
        ("added p50, c=1 (us)", "at most", 350, extra("json-2k-c1", "latency_p50_us")),
        (
            "added time to first event, c=1 (us)",
            "at most",
            1000,
            extra("first-c1", "first_event_p50_us"),
        ),
    ]
    return [_judged(*bound) for bound in bounds]


def _judged(name: str, sense: str, bound: float, read: Callable[[], float]) -> dict[str, Any]:
    try:
        got = read()
    except KeyError:  # a target was absent, or the step was not run
        return {"goal": name, "bound": f"{sense} {bound:.4g}", "got": None, "is_met": None}
    is_met = got >= bound if sense == "at least" else got <= bound
    return {"goal": name, "bound": f"{sense} {bound:.4g}", "got": got, "is_met": is_met}
