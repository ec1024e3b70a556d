"""`farthing route why`, `status` and `resume`: what serves, why, and what was stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import click
import msgspec

from farthing.cli.ledger_folder import open_ledger
from farthing.cli.output import console, print_json, table, usd
from farthing.cli.route_files import JSON, route_secret
from farthing.clock import SystemClock
from farthing.config import Config, load_config
from farthing.errors import CallerError
from farthing.evidence import EvidenceStore, Mode, State, is_lost
from farthing.evidence.store import FILE_NAME
from farthing.gateway.route_board import RouteBoard, routing_folder
from farthing.gateway.targets import NoTarget, Targets
from farthing.ledger import Entry
from farthing.levers.routing.serving import Choice, read_choice, watched_as
from farthing.levers.routing.trail import Event, Trail
from farthing.pricing import PriceBook, RateCard

__all__ = ["resume", "status", "why"]

_LEVER = "routing"
_FOLDER = click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger.")


@click.command()
@click.argument("call_id")
@_FOLDER
@JSON
@click.pass_obj
def why(config_path: str | None, call_id: str, data_dir: str | None, *, as_json: bool) -> None:
    """Say why a call was served as it was: class, step, policy, what decided, what it saved."""
    with open_ledger(config_path, data_dir) as ledger:
        entry = ledger.call(call_id)
    if entry is None:
        raise CallerError(
            f"There is no call {call_id!r} in this ledger.\n"
            "Nothing was changed.\nList calls: farthing calls --by time"
        )
    choice = read_choice(entry.detail)
    if choice is None:
        raise CallerError(
            f"The call {call_id} was not routed: it asked for {entry.model!r}.\nNothing was "
            "changed.\nAsk for farthing/auto, or set overrides_incumbent for the pool."
        )
    if as_json:
        print_json(_told(entry, choice))
    else:
        _show(entry, choice)


def _told(entry: Entry, choice: Choice) -> dict[str, Any]:
    move = next((move for move in entry.moves if move.lever == _LEVER), None)
    return {
        "id": entry.call_id,
        "asked_for": entry.model,
        **msgspec.to_builtins(choice),
        "propensity": choice.propensity,
        "would": choice.would,
        "policy": choice.policy,
        "escalated": choice.escalated,
        "scores": choice.scores,
        "attempts": [
            {"model": a.model, "status": a.status.value, "cost_usd": a.cost} for a in entry.attempts
        ],
        "cost_usd": entry.cost,
        "baseline_usd": entry.baseline,
        "saved_usd": None if move is None else move.saved,
        "spent_usd": None if move is None else move.spent,
    }


def _show(entry: Entry, choice: Choice) -> None:
    out = console()
    lines = [
        f"{entry.call_id} asked for {entry.model}; {choice.served or 'nobody'} answered.",
        f"pool {choice.pool}, class {choice.name}, step {choice.step}: {choice.reason}.",
    ]
    if choice.policy:
        lines.append(f"policy {choice.policy}, certified for a floor of {choice.floor:g}.")
    if choice.would:
        lines.append(f"the policy's own step would have been {choice.would}.")
    for name, value in choice.scores.items():
        lines.append(f"its score {name} is {value:.3f}.")
    if choice.propensity < 1:
        lines.append(f"calls like it go this way with a probability of {choice.propensity:g}.")
    if choice.escalated:
        lines.append("the cheap answers did not do, and it was escalated.")
    for attempt in entry.attempts:
        cost = "unpriced" if attempt.cost is None else usd(attempt.cost)
        lines.append(f"  {attempt.number}. {attempt.model}: {attempt.status.value}, {cost}")
    if entry.baseline is not None:
        lines.append(f"{usd(entry.cost)}; at the incumbent {usd(entry.baseline)}.")
    for line in lines:
        out.print(line, markup=False)


@click.command()
@_FOLDER
@JSON
@click.pass_obj
def status(config_path: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Show the pools: which policies count now, why others do not, what happened to them.

    Exit 1 where a policy does not count.
    """
    config = _config(config_path, data_dir)
    clock = SystemClock()
    book = PriceBook.load(config.pricing_settings())
    random = Random(0)  # noqa: S311 - nothing is drawn
    targets, secret = Targets(config), route_secret()
    board = RouteBoard(config, targets, {}, book, clock, secret, random=random, is_watching=True)
    events = Trail(routing_folder(config)).refresh()
    states, is_stopped = _shown(Path(config.ledger.data_dir))
    pools = [
        {
            "pool": name,
            "mode": pool.settings.mode,
            "incumbent": pool.settings.incumbent,
            "policies": [
                {
                    "policy": mark,
                    "floor": one.floor,
                    "stopped": one.stopped,
                    "down": _down(states, watched_as(name, one.floor), mark),
                }
                for mark, one in pool.standings.items()
            ]
            + [
                {"policy": one.path, "floor": 0.0, "stopped": one.fault, "down": {}}
                for one in pool.faults
            ],
            "unpriced": [
                model
                for model in (pool.settings.incumbent, *pool.settings.models)
                if not _is_priced(config, targets, book, clock.now_us(), model)
            ],
        }
        for name, pool in board.pools.items()
    ]
    stopped = [one for pool in pools for one in _policies(pool) if one["stopped"]]
    if as_json:
        told = [msgspec.to_builtins(event) for event in events]
        print_json({"pools": pools, "all_stopped": is_stopped, "events": told})
    else:
        if is_stopped:
            console().print(
                "Every lever is stopped, the incumbents serve: farthing evidence resume."
            )
        _show_status(pools, events)
    if stopped:
        sys.exit(1)


def _shown(folder: Path) -> tuple[list[State], bool]:
    """Where the evidence has taken levers, and whether all are stopped; no file is made."""
    if not (folder / FILE_NAME).exists():
        return [], False
    store = EvidenceStore(folder)
    found = list(store.states()), store.is_stopped
    store.close()
    return found


def _down(states: Sequence[State], lever: str, mark: str) -> dict[str, str]:
    """The classes in which a policy does not serve, by what was shown of it or by hand, and why."""
    return {
        one.scope: one.reason
        for one in states
        if (one.lever, one.version) == (lever, mark) and (one.mode is Mode.OFF or is_lost(one))
    }


def _is_priced(config: Config, targets: Targets, book: PriceBook, now_us: int, model: str) -> bool:
    """Whether there is a price where a model is asked first, in any protocol that serves it."""
    for protocol in ("openai", "anthropic"):
        try:
            target = targets.find(model, protocol)[0]
        except NoTarget:
            continue
        priced_as = config.providers[target.provider].price_as or target.provider
        if isinstance(book.card(priced_as, target.model, now_us), RateCard):
            return True
    return False


def _policies(pool: dict[str, Any]) -> list[dict[str, Any]]:
    return pool["policies"]


def _show_status(pools: list[dict[str, Any]], events: list[Event]) -> None:
    out = console()
    if not pools:
        out.print("There is no pool. Add [routing.pools.auto] to farthing.toml.", markup=False)
    for pool in pools:
        head = f"farthing/{pool['pool']}: mode {pool['mode']}, incumbent {pool['incumbent']}"
        out.print(head, markup=False)
        if not pool["policies"]:
            out.print("  no policy: the incumbent serves", markup=False)
        for one in _policies(pool):
            counts = one["stopped"] or f"counts, floor {one['floor']:g}"
            told = counts.removeprefix(one["policy"]).removeprefix(" ")
            out.print(f"  {one['policy']}: {told}", markup=False)
            for scope, why in sorted(one["down"].items()):
                out.print(f"    the incumbent serves {scope}: {why}", markup=False)
        for model in pool["unpriced"]:
            told = f"  {model} has no price where it is asked: its calls will be unpriced"
            out.print(f"{told} (providers.NAME.models, price_as)", markup=False)
    if events:
        shown = table("What happened", "at (UTC)", "pool", "policy", "what", "why", numeric=5)
        for event in events[-20:]:
            shown.add_row(event.at, event.pool, event.policy, event.kind, event.told)
        out.print(shown)


@click.command()
@click.argument("pool")
@click.argument("policy")
@_FOLDER
@click.pass_obj
def resume(config_path: str | None, pool: str, policy: str, data_dir: str | None) -> None:
    """Let a POLICY (its mark) of a POOL count again after a drift or a changed snapshot stopped it.

    Its snapshots are then those seen next. A price that changed can't be lifted: compile again.
    """
    config = _config(config_path, data_dir)
    trail = Trail(routing_folder(config))
    trail.refresh()
    was = trail.of(pool, policy).stopped
    if not was:
        raise CallerError(
            f"No policy {policy!r} of pool {pool!r} was stopped.\nNothing was changed.\n"
            "See: farthing route status"
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    trail.append(Event(at=at, kind="resumed", pool=pool, policy=policy, told=f"lifted: {was}"))
    console().print(f"{policy} counts again; it was stopped: {was}", markup=False)


def _config(config_path: str | None, data_dir: str | None) -> Config:
    environ = dict(os.environ)
    if data_dir is not None:
        environ["FARTHING_LEDGER_DATA_DIR"] = str(Path(data_dir))
    return load_config(config_path, environ)
