"""`farthing route eval`: the compiler measured beside simpler routers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from farthing.cli.output import console, print_json, table
from farthing.cli.route_files import (
    CONFIDENCE,
    FILE,
    JSON,
    LABELS,
    LEARN,
    SEED,
    SHARE,
    bad_lines,
    print_notes,
    read_table,
)
from farthing.cli.route_plot import plot
from farthing.levers.routing.saving import times

if TYPE_CHECKING:
    from farthing.levers.routing.evaluate import Evaluation, Row

__all__ = ["eval_"]

_FLOORS = (0.95, 0.98, 1.0)


@click.command("eval")
@FILE
@click.option("--reference", required=True, help="The model whose quality is the measure.")
@click.option("--floor", "floors", type=SHARE, multiple=True, help="Besides 0.95, 0.98 and 1.")
@CONFIDENCE
@LABELS
@click.option("--splits", type=click.IntRange(1, 10_000), default=100, show_default=True)
@SEED
@LEARN
@JSON
@click.pass_obj
def eval_(
    config_path: str | None,
    outcomes: str,
    *,
    reference: str,
    floors: tuple[float, ...],
    confidence: float,
    labels: int | None,
    splits: int,
    seed: int,
    learn: str | None,
    as_json: bool,
) -> None:
    """Measure the compiler on random partings of OUTCOMES, beside simpler routers.

    Labels are at most three quarters of the prompts; the rest is the test. Without --labels they
    are 60 %, at most 2,000.
    """
    found, made, _ = read_table(config_path, outcomes, reference)
    from farthing.levers.routing.encoder import encoder_named  # noqa: PLC0415
    from farthing.levers.routing.evaluate import evaluate, labels_used  # noqa: PLC0415 - numpy
    from farthing.levers.routing.learned import Reader  # noqa: PLC0415 - numpy

    measured = evaluate(
        made,
        sorted({*_FLOORS, *floors}),
        labels=labels_used(made.size, labels),
        splits=splits,
        seed=seed,
        confidence=confidence,
        reader=Reader(encoder_named(learn), made.texts) if learn else None,
    )
    if as_json:
        print_json({**msgspec.to_builtins(measured), **bad_lines(found, made)})
    else:
        _print_evaluation(measured)
        print_notes(found, made)


def _print_evaluation(measured: Evaluation) -> None:
    out = console()
    out.print(measured.verdict, markup=False)
    shown = table(
        f"Beside {measured.reference}: {measured.splits} splits of {measured.prompts:,} prompts, "
        f"{measured.labels:,} labels, {measured.test:,} test",
        *("router", "floor", "quality", "cost", "cheaper", "floor missed (95 % interval)", "held"),
    )
    for name, rows in (
        ("farthing", measured.floors),
        *measured.baselines.items(),
        ("oracle (a bound)", measured.oracle),
    ):
        for row in rows:
            shown.add_row(name, *_cells(row))
    out.print(shown)
    aiq, base = measured.aiq, measured.baseline_aiq
    out.print(f"AIQ {aiq:.4f}, mixing single models {base:.4f} (quality 1 is the reference's)")
    if measured.apgr is not None:
        out.print(
            f"APGR {measured.apgr:.3f} (the gap from the cheapest model to the reference that is "
            "recovered; a random mix 0.5, above 1 is better than the reference)"
        )
    out.print(plot(measured.frontier, measured.singles), markup=False)


def _cells(row: Row) -> list[str]:
    low, high = row.violation_interval.low, row.violation_interval.high
    return [
        f"{row.floor:g}",
        f"{row.quality_ratio:.1%}",
        f"{row.cost_ratio:.1%}",
        times(row.times_cheaper),
        f"{row.violation_rate:.0%} ({low:.0%} to {high:.0%})",
        "yes" if row.held else "no",
    ]
