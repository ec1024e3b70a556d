"""The figures as tables that read well in a terminal and in docs/benchmarks.md alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["render", "rewrite"]

_BEGIN, _END = "<!-- overhead:begin -->", "<!-- overhead:end -->"
_NOTHING = "-"

Entry = Mapping[str, Any]  # one target in one step


def render(document: Mapping[str, Any]) -> str:
    """All results in Markdown: machine, targets, each step, ratios, goals."""
    steps = document["steps"]
    parts = [_heading(document), _targets(document)]
    parts += [f"**{step['about']}**\n\n{_step(step['targets'])}" for step in steps.values()]
    parts += [_ratios(steps), _goals(document["goals"]), _counts(document)]
    return "\n\n".join(part for part in parts if part)


def rewrite(path: Path, text: str) -> None:
    """Put the results between their two marks in a page; the rest of it stays.

    Raises:
        ValueError: the page has no such marks.
    """
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path} has no {_BEGIN} ... {_END}; nothing was written")
    path.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")


def _heading(document: Mapping[str, Any]) -> str:
    machine, noise = document["machine"], document["noise"]
    shares = [f"{noise[who]:.1%}" for who in ("other_programs", "other_machines")]
    lines = [
        f"{document['at']}, {document['rounds']} round(s), {document['scheduling']} scheduling.",
        f"Idle processors were {'kept awake' if document['kept_awake'] else 'left to sleep'}.",
        f"Provider and load {'polled' if document['peers_poll'] else 'slept when idle'} in full steps.",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB.",
        f"{machine['system']}, Linux {machine['kernel']}, {machine['python']}.",
        f"Processor time taken by other programs: {shares[0]}; by other machines: {shares[1]}.",
        "Figures are medians over the rounds, with (lowest to highest).",
    ]
    if document["provisional"]:
        lines.insert(0, f"**Provisional figures**: {'; '.join(document['provisional'])}.")
    return "\n".join(lines)


def _targets(document: Mapping[str, Any]) -> str:
    rows = []
    for name, target in document["targets"].items():
        missing = next(
            (f"{why}: {target[why]}" for why in ("absent", "failed") if why in target), ""
        )
        if missing:
            rows.append([name, missing.replace("|", "/"), *[_NOTHING] * 3])
            continue
        rss = f"{target['rss_idle_mb']:.0f} to {target['rss_after_mb']:.0f}"
        is_process = name != "direct"
        rows.append(
            [
                f"{name} {target['version']}".strip(),
                target["about"],
                f"{target['start_s']:.1f}" if is_process else _NOTHING,
                rss if is_process else _NOTHING,
                str(target["requests"]),
            ]
        )
    return _table(["target", "what it is", "start s", "RSS MB idle to after", "requests"], rows)


_COLUMNS: Sequence[tuple[str, str, str]] = (  # heading, group in the entry, figure
    ("requests/s", "figures", "requests_per_s"),
    ("p50", "figures", "latency_p50_us"),
    ("p99", "figures", "latency_p99_us"),
    ("added p50", "added", "latency_p50_us"),
    ("added p99", "added", "latency_p99_us"),
    ("first event", "figures", "first_event_p50_us"),
    ("added first event", "added", "first_event_p50_us"),
    ("event delay p50", "figures", "event_delay_p50_us"),
    ("event delay p99", "figures", "event_delay_p99_us"),
    ("CPU us/request", "figures", "cpu_us_per_request"),
    ("CPU us/event", "figures", "cpu_us_per_event"),
)
_STREAM_COLUMNS = {"first event", "added first event", "event delay p50", "event delay p99"}
_LATENCY_COLUMNS = {"p50", "p99", "added p50", "added p99"}


def _step(targets: Mapping[str, Entry]) -> str:
    """One step: a target a line; of streams the events are told rather than the whole answer."""
    is_stream = "first_event_p50_us" in targets["direct"]["figures"]
    left_out = _LATENCY_COLUMNS if is_stream else {*_STREAM_COLUMNS, "CPU us/event"}
    columns = [column for column in _COLUMNS if column[0] not in left_out]
    rows = [
        [name, *(_cell(entry.get(group, {}).get(figure), figure) for _, group, figure in columns)]
        for name, entry in targets.items()
    ]
    return _table(["target", *(heading for heading, _, _ in columns)], rows)


def _cell(value: Mapping[str, float] | None, figure: str) -> str:
    if value is None or (value["median"] == 0 and figure.startswith("cpu")):
        return _NOTHING
    write = _duration if figure.endswith("_us") else _number
    low, high = write(value["low"]), write(value["high"])
    spread = f" ({low} to {high})" if low != high else ""
    return write(value["median"]) + spread


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _duration(value_us: float) -> str:
    return f"{value_us / 1000:.3g} ms" if abs(value_us) < 1e6 else f"{value_us / 1e6:.3g} s"


def _ratios(steps: Mapping[str, Any]) -> str:
    """Farthing's and the floor's figures over the others', step by step."""
    rows = []
    for step in steps.values():
        for mine in ("farthing", "floor"):
            over = step["targets"].get(mine, {}).get("over", {})
            for other, found in over.items():
                cells = (
                    _cell(found.get(figure), "ratio")
                    for figure in ("requests_per_s", "cpu_us_per_request")
                )
                rows.append([step["about"], f"{mine} over {other}", *cells])
    if not rows:
        return ""
    return "**Ratios**\n\n" + _table(["step", "of", "requests/s", "CPU per request"], rows)


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    verdicts = {True: "met", False: "NOT MET", None: "not measured"}
    rows = [
        [
            goal["goal"],
            goal["bound"],
            _NOTHING if goal["got"] is None else _number(goal["got"]),
            verdicts[goal["is_met"]],
        ]
        for goal in goals
    ]
    return "**What Farthing is held to**\n\n" + _table(["figure", "bound", "got", "verdict"], rows)


def _counts(document: Mapping[str, Any]) -> str:
    """The checks that were passed, and wrk's second opinion."""
    lines = ["Of the targets with figures no request failed, and each one reached the provider."]
    for name, check in document["ledger_check"].items():
        verdict = "" if check["is_equal"] else " **These should be equal.**"
        held = f"{check['in_ledger']} in its ledger"
        lines.append(f"{name}: {check['sent']} calls sent, {held}.{verdict}")
    rates = {k: v for k, v in document.get("wrk_requests_per_s", {}).items() if v}
    if rates:
        told = ", ".join(f"{name} {_number(rate)}" for name, rate in rates.items())
        lines.append(f"wrk at 16 connections, 2 kB, requests/s: {told}.")
    return "\n".join(lines)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
