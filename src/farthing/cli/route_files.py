"""What the commands of `farthing route` share: the files they read, and how they are shown."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import msgspec
from msgspec import UNSET

from farthing.cli.output import console, table, usd
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.errors import CallerError
from farthing.gateway.targets import Targets, card_of
from farthing.levers.routing import Outcomes, Policy, describe, read_outcomes
from farthing.levers.routing.facts import price_mark
from farthing.levers.routing.policy import PASSED
from farthing.levers.routing.saving import times
from farthing.levers.routing.step import alone
from farthing.money import Money
from farthing.pricing import PriceBook
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.levers.routing.table import Table

__all__ = [
    "CONFIDENCE",
    "FILE",
    "JSON",
    "LABELS",
    "LEARN",
    "SEED",
    "SHARE",
    "Share",
    "bad_lines",
    "document",
    "print_notes",
    "print_policy",
    "read_table",
    "route_secret",
]


class Share(click.ParamType[float]):
    """A share above 0 (`least`, if given), at most 1: `0.98` or `98%`."""

    name = "share"

    def __init__(self, least: float = 0.0, *, is_whole_allowed: bool = True) -> None:
        self._least = least
        self._is_whole_allowed = is_whole_allowed

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share as a number."""
        said = str(value).strip()
        try:
            share = float(said[:-1]) / 100 if said.endswith("%") else float(said)
        except ValueError:
            share = math.nan
        is_inside = (share >= self._least and share > 0) and share <= 1
        if not is_inside or (share == 1 and not self._is_whole_allowed):
            below = "at most 1" if self._is_whole_allowed else "below 1"
            above = f"at least {self._least:g}" if self._least else "above 0"
            self.fail(f"{said!r} is no share {above} and {below}: write 0.98 or 98%.", param, ctx)
        return share


FILE = click.argument("outcomes", type=click.Path(dir_okay=False))
SHARE = Share()
CONFIDENCE = click.option(
    "--confidence",
    type=Share(0.5, is_whole_allowed=False),
    default=0.95,
    show_default=True,
    help="Probability with which the floor is to hold.",
)
LEARN = click.option(
    "--learn",
    metavar="ENCODER",
    help="Also try steps by a learned score of the prompt, from what this encoder makes of it: "
    "`hashed`, `wordllama`, `minilm`, or `module:name` of an embedder.",
)
LABELS = click.option("--labels", type=click.IntRange(10), help="Compared prompts to use at most.")
SEED = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def read_table(
    config_path: str | None,
    outcomes: str,
    reference: str,
    allowed: frozenset[str] = frozenset(),
) -> tuple[Outcomes, Table, dict[str, str]]:
    """The outcomes, their table for a reference model, and the marks of the models' cards.

    `allowed` models alone stay; empty: all.
    """
    try:
        from farthing.levers.routing.table import make_table  # noqa: PLC0415 - needs numpy
    except ImportError as error:
        raise CallerError(
            "Compiling and evaluating policies needs numpy, which is not installed.\n"
            "Nothing was done.\nInstall it: pip install 'farthing[routing]'"
        ) from error
    found = read_outcomes(Path(outcomes)).of_models(allowed)
    config = load_config(config_path, os.environ)
    book = PriceBook.load(config.pricing_settings())
    card_at = card_of(Targets(config), config.providers, book, SystemClock().now_us())

    def price(model: str, input_tokens: int, output_tokens: int) -> Money | None:
        card = card_at(alone(model).model)
        if card is None:
            return None
        cost = card.total(Usage(input=input_tokens, output=output_tokens))
        return cost if isinstance(cost, Money) else None

    made = make_table(found, reference, price)
    cards = {model: card_at(model) for model in {alone(arm).model for arm in made.models}}
    prices = {model: price_mark(card) for model, card in cards.items() if card is not None}
    return found, made, prices


def route_secret() -> bytes:
    """What signs policies; empty: their hash alone."""
    return os.environ.get("FARTHING_ROUTE_SECRET", "").encode()


def document(value: Any) -> Any:
    """Plain dicts and lists, sums of money left for `print_json` to write."""
    if isinstance(value, Money):
        return value
    if isinstance(value, msgspec.Struct):
        held = ((name, getattr(value, name)) for name in value.__struct_fields__)
        fields = {name: document(one) for name, one in held if one is not UNSET}
        tag = value.__struct_config__.tag
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, dict):
        return {name: document(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [document(one) for one in cast("list[Any]", value)]
    return value


def bad_lines(found: Outcomes, made: Table) -> dict[str, Any]:
    """What the file's reader has to say of it."""
    return {"bad_lines": [msgspec.to_builtins(one) for one in found.bad_lines]} | {
        "notes": list(made.notes)
    }


def _cheaper(cost_ratio: float) -> str:
    return f"{times(1 / cost_ratio)} cheaper" if cost_ratio else "free"


def print_policy(policy: Policy) -> None:
    """A policy for people."""
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
        f"({_cheaper(proof.cost_ratio)}) at {proof.quality_ratio:.1%} of its "
        f"quality. Made {proof.made}.",
        markup=False,
    )
    passed = policy.reason == PASSED
    out.print(
        "Nothing cheaper was tried." if passed else f"The next cheaper failed: {policy.reason}.",
        markup=False,
    )
    shown = table("What serves each class", "class", "served by", numeric=2)
    for name, step in sorted(policy.steps.items()):
        shown.add_row(name, describe(step))
    shown.add_row("any other", policy.incumbent)
    out.print(shown)
    if policy.further is UNSET:
        return
    for name, steps in sorted(policy.further.items()):
        told = "; ".join(describe(step) for step in steps)
        out.print(f"may be explored in {name}: {told}", markup=False)
    if not policy.further:
        out.print("no further step is shown to hold the floor in any mixture: nothing to explore")


def print_notes(found: Outcomes, made: Table) -> None:
    """What was left out, for people."""
    out = console()
    for note in made.notes:
        out.print(f"note: {note}", markup=False)
    for one in found.bad_lines[:10]:
        out.print(f"line {one.line} was left out: {one.reason}", markup=False)
    if len(found.bad_lines) > 10:
        out.print(f"and {len(found.bad_lines) - 10} more lines")
