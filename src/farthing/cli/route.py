"""`farthing route`: compile a routing policy with proof, evaluate, audit, explain, look after it."""

from __future__ import annotations

from pathlib import Path

import click

from farthing.cli.output import console, print_json, table, usd
from farthing.cli.route_compile import compile_
from farthing.cli.route_eval import eval_
from farthing.cli.route_explored import explored
from farthing.cli.route_files import (
    CONFIDENCE,
    FILE,
    JSON,
    SEED,
    SHARE,
    bad_lines,
    document,
    print_notes,
    print_policy,
    read_table,
    route_secret,
)
from farthing.cli.route_outcomes import outcomes
from farthing.cli.route_serving import resume, status, why
from farthing.levers.routing import diff, read_policy
from farthing.levers.routing.saving import times

__all__ = ["route"]


@click.group()
def route() -> None:
    """Routing: the cheapest models that are shown to keep the incumbent's quality.

    OUTCOMES holds one JSON object a line (gzip, zstd or Parquet too): id, prompt, task, and per
    model score, cost_usd (or tokens) and answer.
    """


for _command in (compile_, eval_, why, status, resume, explored, outcomes):
    route.add_command(_command)


@route.command()
@FILE
@click.option("--incumbent", required=True, help="The model that serves today.")
@click.option("--floor", type=SHARE, default=0.98, show_default=True, help="Of its quality.")
@CONFIDENCE
@SEED
@JSON
@click.pass_obj
def audit(
    config_path: str | None,
    outcomes: str,
    *,
    incumbent: str,
    floor: float,
    confidence: float,
    seed: int,
    as_json: bool,
) -> None:
    """Is the incumbent dominated? Find one replacement that keeps its quality, with an interval."""
    found, made, _ = read_table(config_path, outcomes, incumbent)
    from farthing.levers.routing.audit import audit as look  # noqa: PLC0415 - needs numpy

    told = look(made, floor=floor, confidence=confidence, seed=seed)
    if as_json:
        print_json({**document(told), **bad_lines(found, made)})
        return
    out = console()
    out.print(told.verdict, markup=False)
    shown = table(
        f"Others beside {told.incumbent} ({usd(told.incumbent_cost)} a call, score "
        f"{told.incumbent_quality:.3f}, {told.prompts:,} prompts)",
        *("model", "cost a call", "cheaper", "quality", f"{confidence:.0%} interval"),
        f"floor {floor:g} shown",
    )
    for one in told.models:
        low, high = one.quality_interval.low, one.quality_interval.high
        shown.add_row(
            *(one.model, usd(one.cost), times(one.times_cheaper), f"{one.quality:.1%}"),
            *(f"{low:.1%} to {high:.1%}", "yes" if one.is_shown else "no"),
        )
    if not told.models:
        out.print(f"The file has outcomes of {told.incumbent} alone.", markup=False)
        print_notes(found, made)
        return
    out.print(shown)
    out.print(
        "Each row looks at its model alone; the verdict's model was picked on one half of the "
        "prompts and measured on the other. Intervals hold at both ends and at any number of "
        "prompts, so a floor can be shown that they do not exclude."
    )
    print_notes(found, made)


@route.command()
@click.argument("policy", type=click.Path(dir_okay=False))
@click.option(
    "--against", type=click.Path(dir_okay=False), help="Show what changed since this one."
)
@JSON
def explain(policy: str, *, against: str | None, as_json: bool) -> None:
    """Explain a POLICY file: what serves each class, and what its certificate promises."""
    read = read_policy(Path(policy), route_secret())
    changes = [] if against is None else diff(read_policy(Path(against), route_secret()), read)
    if as_json:
        told = document(read)
        print_json({**told, "certified": read.certificate is not None, "changes": changes})
        return
    print_policy(read)
    for line in changes:
        console().print(f"changed  {line}", markup=False)
