"""`farthing route`: compile a routing policy with proof, evaluate, audit and explain it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec

from farthing.cli.output import console, print_json, table, usd
from farthing.cli.route_plot import plot
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.gateway.targets import Targets, card_of
from farthing.levers.routing import (
    Outcomes,
    Policy,
    describe,
    diff,
    read_outcomes,
    read_policy,
    write_policy,
)
from farthing.levers.routing.facts import price_mark
from farthing.money import Money
from farthing.pricing import PriceBook
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.levers.routing.evaluate import Evaluation, Row
    from farthing.levers.routing.table import Table

__all__ = ["route"]

_FILE = click.argument("outcomes", type=click.Path(dir_okay=False))
_SHARE = click.FloatRange(0, 1, min_open=True)
_CONFIDENCE = click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Probability with which the floor is to hold.",
)
_LABELS = click.option("--labels", type=click.IntRange(10), help="Compared prompts to use at most.")
_SEED = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_FLOORS = (0.95, 0.98, 1.0)


@click.group()
def route() -> None:
    """Routing: the cheapest models that are shown to keep the incumbent's quality.

    OUTCOMES holds one JSON object a line (gzip, zstd or Parquet too): id, prompt, task, and per
    model score, cost_usd (or tokens) and answer.
    """


@route.command("compile")
@_FILE
@click.option("--incumbent", required=True, help="The model that serves today.")
@click.option("--floor", type=_SHARE, default=0.98, show_default=True, help="Of its quality.")
@_CONFIDENCE
@_LABELS
@click.option(
    "--horizon",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Calls to come over which the floor should be seen to hold, besides in the long run.",
)
@click.option("--class-floor", "class_floors", multiple=True, help="Hard floor: CLASS=0.99.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the signed policy here.")
@_SEED
@_JSON
@click.pass_obj
def compile_(
    config_path: str | None,
    outcomes: str,
    *,
    incumbent: str,
    floor: float,
    confidence: float,
    labels: int | None,
    horizon: int,
    class_floors: tuple[str, ...],
    out: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compile a policy from OUTCOMES, certified on prompts that did not choose it.

    Exit 1 where no saving can be shown: the incumbent then stays. FARTHING_ROUTE_SECRET, where
    set, signs the policy.
    """
    found, made, prices = _read(config_path, outcomes, incumbent)
    from farthing.levers.routing.certify import Terms, certify  # noqa: PLC0415 - needs numpy

    terms = Terms(
        floor=floor,
        confidence=confidence,
        horizon=horizon,
        class_floors=dict(_class_floor(text) for text in class_floors),
        labels=min(labels or made.size, made.size),
        seed=seed,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        data_hash=found.content_hash,
        prices=prices,
    )
    policy, trial = certify(made, terms)
    if out is not None:
        write_policy(Path(out), policy, _secret())
    if as_json:
        told = _document(policy)
        needed = {"tested": trial.tested, "passed": trial.passed, "labels_needed": trial.needed}
        is_certified = policy.certificate is not None
        print_json({"certified": is_certified, **told, **needed, **_bad(found, made)})
    else:
        _print_policy(policy)
        if trial.needed:
            console().print(f"About {trial.needed:,} labels would show more (estimate).")
        _print_notes(found, made)
    if policy.certificate is None:
        sys.exit(1)


@route.command("eval")
@_FILE
@click.option("--reference", required=True, help="The model whose quality is the measure.")
@click.option("--floor", "floors", type=_SHARE, multiple=True, help="Besides 0.95, 0.98 and 1.")
@_CONFIDENCE
@_LABELS
@click.option("--splits", type=click.IntRange(1, 10_000), default=100, show_default=True)
@_SEED
@_JSON
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
    as_json: bool,
) -> None:
    """Measure the compiler on random partings of OUTCOMES, beside simpler routers.

    Labels are at most three quarters of the prompts; the rest is the test. Without --labels they
    are 60 %, at most 2,000.
    """
    found, made, _ = _read(config_path, outcomes, reference)
    from farthing.levers.routing.evaluate import evaluate, labels_used  # noqa: PLC0415 - numpy

    measured = evaluate(
        made,
        sorted({*_FLOORS, *floors}),
        labels=labels_used(made.size, labels),
        splits=splits,
        seed=seed,
        confidence=confidence,
    )
    if as_json:
        print_json({**msgspec.to_builtins(measured), **_bad(found, made)})
    else:
        _print_evaluation(measured)
        _print_notes(found, made)


@route.command()
@_FILE
@click.option("--incumbent", required=True, help="The model that serves today.")
@click.option("--floor", type=_SHARE, default=0.98, show_default=True, help="Of its quality.")
@_CONFIDENCE
@_SEED
@_JSON
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
    found, made, _ = _read(config_path, outcomes, incumbent)
    from farthing.levers.routing.audit import audit as look  # noqa: PLC0415 - needs numpy

    told = look(made, floor=floor, confidence=confidence, seed=seed)
    if as_json:
        print_json({**_document(told), **_bad(found, made)})
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
            *(one.model, usd(one.cost), f"{one.times_cheaper:.1f}x", f"{one.quality:.1%}"),
            *(f"{low:.1%} to {high:.1%}", "yes" if one.is_shown else "no"),
        )
    out.print(shown)
    out.print(
        "Each row looks at its model alone; the verdict's model was picked on one half of the "
        "prompts and measured on the other."
    )
    _print_notes(found, made)


@route.command()
@click.argument("policy", type=click.Path(dir_okay=False))
@click.option(
    "--against", type=click.Path(dir_okay=False), help="Show what changed since this one."
)
@_JSON
def explain(policy: str, *, against: str | None, as_json: bool) -> None:
    """Explain a POLICY file: what serves each class, and what its certificate promises."""
    read = read_policy(Path(policy), _secret())
    changes = [] if against is None else diff(read_policy(Path(against), _secret()), read)
    if as_json:
        told = _document(read)
        print_json({**told, "certified": read.certificate is not None, "changes": changes})
        return
    _print_policy(read)
    for line in changes:
        console().print(f"changed  {line}", markup=False)


def _read(
    config_path: str | None, outcomes: str, reference: str
) -> tuple[Outcomes, Table, dict[str, str]]:
    try:
        from farthing.levers.routing.table import make_table  # noqa: PLC0415 - needs numpy
    except ImportError as error:
        raise CallerError(
            "Compiling and evaluating policies needs numpy, which is not installed.\n"
            "Nothing was done.\nInstall it: pip install 'farthing[routing]'"
        ) from error
    found = read_outcomes(Path(outcomes))
    config = load_config(config_path, os.environ)
    book = PriceBook.load(config.pricing_settings())
    card_at = card_of(Targets(config), config.providers, book, SystemClock().now_us())

    def price(model: str, input_tokens: int, output_tokens: int) -> Money | None:
        card = card_at(model)
        if card is None:
            return None
        cost = card.total(Usage(input=input_tokens, output=output_tokens))
        return cost if isinstance(cost, Money) else None

    made = make_table(found, reference, price)
    cards = {model: card_at(model) for model in made.models}
    prices = {model: price_mark(card) for model, card in cards.items() if card is not None}
    return found, made, prices


def _secret() -> bytes:
    return os.environ.get("FARTHING_ROUTE_SECRET", "").encode()


def _class_floor(text: str) -> tuple[str, float]:
    name, _, floor = text.rpartition("=")
    try:
        value = float(floor)
    except ValueError:
        value = -1.0
    if not name or not 0 < value <= 1:
        raise CallerError(
            f"--class-floor {text!r} is not CLASS=FLOOR with a floor above 0, at most 1.\n"
            "Nothing was compiled.\nWrite for example: --class-floor refunds=0.99"
        )
    return name, value


def _document(value: Any) -> Any:
    """Plain dicts and lists, sums of money left for `print_json` to write."""
    if isinstance(value, Money):
        return value
    if isinstance(value, msgspec.Struct):
        fields = {name: _document(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, dict):
        return {name: _document(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_document(one) for one in cast("list[Any]", value)]
    return value


def _bad(found: Outcomes, made: Table) -> dict[str, Any]:
    return {"bad_lines": [msgspec.to_builtins(one) for one in found.bad_lines]} | {
        "notes": list(made.notes)
    }


def _print_policy(policy: Policy) -> None:
    out = console()
    proof = policy.certificate
    if proof is None:
        out.print(f"Keep {policy.incumbent}: {policy.reason}.", markup=False)
        return
    out.print(
        f"With {proof.confidence:.0%} confidence: at least {proof.floor:g} of the quality of "
        f"{policy.incumbent}, on traffic like these {proof.labels:,} prompts "
        f"({proof.certified_on:,} of them only certify).",
        markup=False,
    )
    out.print(
        f"Estimated {usd(proof.cost)} a call instead of {usd(proof.incumbent_cost)} "
        f"({1 / max(proof.cost_ratio, 1e-9):.1f}x cheaper) at {proof.quality_ratio:.1%} of its "
        f"quality. Made {proof.made}; it ended where {policy.reason}.",
        markup=False,
    )
    shown = table("What serves each class", "class", "served by", numeric=2)
    for name, step in sorted(policy.steps.items()):
        shown.add_row(name, describe(step))
    shown.add_row("any other", policy.incumbent)
    out.print(shown)


def _print_evaluation(measured: Evaluation) -> None:
    out = console()
    out.print(measured.verdict, markup=False)
    shown = table(
        f"Beside {measured.reference}: {measured.splits} splits of {measured.prompts:,} prompts, "
        f"{measured.labels:,} labels, {measured.test:,} test",
        *("router", "floor", "quality", "cost", "cheaper", "floor missed", "held"),
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
    out.print(plot(measured.frontier, measured.singles), markup=False)


def _cells(row: Row) -> list[str]:
    return [
        f"{row.floor:g}",
        f"{row.quality_ratio:.1%}",
        f"{row.cost_ratio:.1%}",
        f"{row.times_cheaper:.1f}x",
        f"{row.violation_rate:.0%} of splits",
        "yes" if row.held else "no",
    ]


def _print_notes(found: Outcomes, made: Table) -> None:
    out = console()
    for note in made.notes:
        out.print(f"note: {note}", markup=False)
    for one in found.bad_lines[:10]:
        out.print(f"line {one.line} was left out: {one.reason}", markup=False)
    if len(found.bad_lines) > 10:
        out.print(f"and {len(found.bad_lines) - 10} more lines")
