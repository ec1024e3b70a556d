"""`farthing evidence`: how levers stand beside the reference, how far they go, and why."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from farthing.cli.evidence_plan import plan
from farthing.cli.output import console, print_json, table, usd
from farthing.config import Config, load_config
from farthing.errors import CallerError
from farthing.evidence import (
    REPEATS,
    Calibration,
    Compared,
    EvidenceStore,
    Keeper,
    Looked,
    Mode,
    State,
    calibrate,
    is_lost,
)
from farthing.money import ZERO

__all__ = ["evidence"]

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_REPEATS_TOLD = 20  # with fewer nothing can be said of the judge
_REASON = click.option("--reason", default="", help="Why; it stands in the trail.")


def _opened(ctx: click.Context, data_dir: str | None) -> tuple[Config, EvidenceStore]:
    config = load_config(ctx.find_root().obj, os.environ)
    folder = Path(data_dir or config.ledger.data_dir)
    if not folder.is_dir():
        raise CallerError(
            f"There is no ledger in {folder}: no such folder.\nNothing was made.\n"
            "Name the folder with --data-dir or FARTHING_DATA_DIR."
        )
    return config, EvidenceStore(folder)


@click.group(invoke_without_command=True)
@_DATA_DIR
@_JSON
@click.pass_context
def evidence(ctx: click.Context, *, data_dir: str | None, as_json: bool) -> None:
    """Show what comparisons say of each lever and feature, and how far each lever goes.

    Intervals and verdicts hold however often one looks.
    """
    ctx.ensure_object(str)
    if ctx.invoked_subcommand is not None:
        return
    config, store = _opened(ctx, data_dir)
    keeper = Keeper(store, config.evidence)
    labels = store.labels()
    rows: list[dict[str, Any]] = []
    for lever, scope in store.scopes():
        if lever == REPEATS:
            continue
        looked = keeper.looked(lever, scope)
        compared, repeats = (store.comparisons(name, scope) for name in (lever, REPEATS))
        own = {"pool_mode": _pool_mode(config, looked.state)}
        rows.append(_row(looked, compared, repeats, labels) | own)
    now_us = _now_us()
    document = {
        "is_stopped": store.is_stopped,
        "spent_today_usd": store.spent(now_us),
        "usd_per_day": config.evidence.cap,
        "levers": rows,
    }
    store.close()
    if as_json:
        print_json(document)
        return
    _print(document)


def _pool_mode(config: Config, state: State) -> str | None:
    """The mode of a routing pool that says itself how far it goes; None: the evidence says."""
    lever, _, watched = state.lever.partition(":")
    pool = config.routing.pools.get(watched.partition("@")[0]) if lever == "routing" else None
    if pool is None or pool.mode == "evidence" or state.mode is Mode.OFF or is_lost(state):
        return None
    return pool.mode


def _row(
    looked: Looked, compared: list[Compared], repeats: list[Compared], labels: dict[int, bool]
) -> dict[str, Any]:
    state, found = looked.state, looked.finding
    told: dict[str, Any] = {
        "lever": state.lever,
        "scope": state.scope,
        "version": state.version,
        "mode": state.mode.value,
        "since": _time(state.since_us),
        "reason": state.reason,
        "is_lost": is_lost(state),
        "judge": looked.rules.judge,
        "floor": looked.rules.floor,
        "comparisons": 0 if found is None else found.comparisons,
        "comparisons_in_mode": looked.in_mode,
        "verdict": "undecided" if found is None else found.verdict.value,
        "needed": looked.needed,
        "regret": None,
        "regret_interval": None,
        "confidence": None if found is None else found.confidence,
        "repeats": looked.repeats,
        "is_judge_blind": looked.is_judge_blind and looked.repeats >= _REPEATS_TOLD,
        "reference_regret": None if looked.agreement is None else 1 - looked.agreement,
        "cost_usd": sum((one.evidence.cost for one in compared), ZERO),
        "repeats_cost_usd": sum((one.evidence.cost for one in repeats), ZERO),
        "calibration": _calibrated(compared, labels, looked.rules.judge),
    }
    if found is not None:
        told["regret"] = found.regret
        told["regret_interval"] = [found.regret_interval.low, found.regret_interval.high]
    return told


def _calibrated(
    compared: list[Compared], labels: dict[int, bool], judge: str
) -> dict[str, Any] | None:
    """How the judge does beside people, and the share of good answers corrected by that."""
    scores = [one.evidence.score for one in compared if one.evidence.judge == judge]
    told = [one for one in compared if one.id in labels and one.evidence.judge == judge]
    if not told:
        return None
    made: Calibration = calibrate(
        [one.evidence.score for one in told], [labels[one.id] for one in told]
    )
    share = sum(score > 0.5 for score in scores) / len(scores)
    return {**msgspec.to_builtins(made), "good_share": share, "corrected": made.corrected(share)}


def _print(document: dict[str, Any]) -> None:
    out = console()
    if not document["levers"]:
        out.print(
            "No comparisons yet. Switch them on with [evidence] mode, candidate and share in "
            "farthing.toml; `farthing evidence plan` says what they would cost.",
            markup=False,
        )
    else:
        out.print(_table(document["levers"]))
        for row in document["levers"]:
            if row["mode"] == Mode.OFF.value or row["is_lost"]:
                told = f"{row['lever']} for {row['scope']} is {row['mode']}: {row['reason']}."
                out.print(told, markup=False)
            if row["is_judge_blind"]:
                out.print(_blind_line(row), markup=False)
            if row["calibration"] is not None:
                out.print(_calibration_line(row), markup=False)
    spent, cap = document["spent_today_usd"], document["usd_per_day"]
    stopped = " Every lever is stopped: farthing evidence resume." if document["is_stopped"] else ""
    out.print(f"Spent today (UTC): {usd(spent)} of {usd(cap)}.{stopped}", markup=False)


def _table(rows: list[dict[str, Any]]) -> Any:
    made = table(
        "Quality lost beside the reference, per call (0 to 1)",
        *("lever", "scope", "candidate", "mode", "verdict"),
        *("comparisons", "needed", "lost", "interval", "A/A", "cost", "A/A cost"),
        numeric=5,
    )
    for row in rows:
        interval = row["regret_interval"]
        made.add_row(
            row["lever"],
            row["scope"],
            row["version"],
            row["mode"] if row["pool_mode"] is None else f"{row['pool_mode']} (its pool's)",
            row["verdict"],
            str(row["comparisons"]),
            "-" if row["needed"] is None else f"~{row['needed']}" if row["needed"] else "0",
            "-" if row["regret"] is None else f"{row['regret']:.3f}",
            "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
            "-" if row["reference_regret"] is None else f"{row['reference_regret']:.3f}",
            usd(row["cost_usd"]),
            usd(row["repeats_cost_usd"]),
        )
    return made


def _blind_line(row: dict[str, Any]) -> str:
    agreed = 1 - row["reference_regret"]
    return (
        f"{row['scope']}: by the judge {row['judge']} the reference agrees with itself in "
        f"{agreed:.0%} of {row['repeats']} repeats. It can't show that anything is safe; name "
        "another judge ([evidence] judge)."
    )


def _calibration_line(row: dict[str, Any]) -> str:
    found = row["calibration"]
    more = "" if found["is_enough"] else " (fewer than 50 labels: do not rely on it)"
    corrected = found["corrected"]
    told = "it tells nothing" if corrected is None else f"about {corrected:.1%} by people's measure"
    return (
        f"{row['scope']}: {row['judge']} agrees with {found['agreed']} of {found['labels']} labels"
        f"{more}; {found['good_share']:.1%} good, {told} (estimate)."
    )


@evidence.command("stop")
@_REASON
@_DATA_DIR
@click.pass_context
def stop(ctx: click.Context, *, reason: str, data_dir: str | None) -> None:
    """Stop every lever at once: the models asked for serve, and nothing is compared."""
    _switch(ctx, data_dir, reason, is_stopped=True)


@evidence.command("resume")
@_REASON
@_DATA_DIR
@click.pass_context
def resume(ctx: click.Context, *, reason: str, data_dir: str | None) -> None:
    """Let the levers go on from where each was."""
    _switch(ctx, data_dir, reason, is_stopped=False)


def _switch(ctx: click.Context, data_dir: str | None, reason: str, *, is_stopped: bool) -> None:
    _, store = _opened(ctx, data_dir)
    told = reason or "by hand"
    changed = store.stop(is_stopped=is_stopped, now_us=_now_us(), actor=_actor(), reason=told)
    store.close()
    was = "stopped" if is_stopped else "running"
    if changed:
        click.echo(f"Every lever is {was}; the gateway follows within about a second.")
    else:
        click.echo(f"Every lever was {was} already; nothing was changed.")


@evidence.command("set")
@click.argument("lever")
@click.argument("scope")
@click.argument("mode", type=click.Choice([mode.value for mode in Mode]))
@_REASON
@_DATA_DIR
@click.pass_context
def set_(
    ctx: click.Context, *, lever: str, scope: str, mode: str, reason: str, data_dir: str | None
) -> None:
    """Set by hand how far LEVER goes for SCOPE; the evidence moves it on from there."""
    config, store = _opened(ctx, data_dir)
    if (lever, scope) not in store.scopes():
        known = ", ".join(" ".join(one) for one in store.scopes() if one[0] != REPEATS) or "none"
        store.close()
        raise CallerError(
            f"Nothing is known of {lever} for {scope}. Nothing was changed. Known are: {known}."
        )
    latest, now_us = store.latest(), _now_us()

    def how(before: State) -> State:
        return msgspec.structs.replace(
            before,
            mode=Mode(mode),
            mode_from=latest,
            since_us=now_us,
            reason=reason or "by hand",
        )

    state = store.change(lever, scope, how, _actor())
    store.close()
    click.echo(f"{lever} for {scope} is {mode}; the gateway follows within about a second.")
    if (own := _pool_mode(config, state)) is not None:
        click.echo(f"Its pool's own mode, {own}, says how far it goes; here only off counts.")


@evidence.command("audit")
@click.option("--lever", default="", help="Only this lever.")
@click.option("--scope", default="", help="Only this scope.")
@click.option("--latest", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@_DATA_DIR
@_JSON
@click.pass_context
def audit(
    ctx: click.Context, *, lever: str, scope: str, latest: int, data_dir: str | None, as_json: bool
) -> None:
    """Show what changed, when, by whom and why: the newest first."""
    _, store = _opened(ctx, data_dir)
    changes = store.trail(lever=lever, scope=scope, latest=latest)
    store.close()
    if as_json:
        print_json([{**msgspec.to_builtins(one), "at": _time(one.at_us)} for one in changes])
        return
    made = table("Changes", "at (UTC)", "lever", "scope", "from", "to", "by", "why", numeric=9)
    for one in changes:
        made.add_row(
            _time(one.at_us), one.lever, one.scope, one.before or "-", one.after, one.actor,
            one.reason,
        )  # fmt: skip
    console().print(made)


@evidence.command("label")
@click.argument("comparison", type=int, required=False)
@click.argument("word", type=click.Choice(["good", "bad"]), required=False)
@_DATA_DIR
@click.pass_context
def label(
    ctx: click.Context, *, comparison: int | None, word: str | None, data_dir: str | None
) -> None:
    """Say whether the candidate's answer of COMPARISON is as good; without it, list some to label."""
    _, store = _opened(ctx, data_dir)
    found = {
        one.id: one
        for lever, scope in store.scopes()
        if lever != REPEATS
        for one in store.comparisons(lever, scope)
    }
    if comparison is None or word is None:
        made = table(
            "To label", "comparison", "scope", "score", "candidate", "reference", numeric=9
        )
        known = store.labels()
        for one in [one for one in found.values() if one.id not in known][-20:]:
            made.add_row(
                str(one.id), one.evidence.feature, f"{one.evidence.score:g}",
                one.candidate_call, one.reference_call,
            )  # fmt: skip
        console().print(made)
    elif comparison not in found:
        store.close()
        raise CallerError(f"There is no comparison {comparison}. Nothing was kept.")
    else:
        store.label(comparison, is_good=word == "good", now_us=_now_us())
        click.echo(f"Comparison {comparison} is labelled {word}.")
    store.close()


def _now_us() -> int:
    return time.time_ns() // 1000


def _actor() -> str:
    return os.environ.get("USER", "") or "person"


def _time(at_us: int) -> str:
    if not at_us:
        return ""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


evidence.add_command(plan)
