"""`farthing budget set` and `remove`: budgets beside farthing.toml, heard by running gateways."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from farthing.budgets import BudgetSettings, BudgetShelf
from farthing.budgets.alert_settings import check_targets
from farthing.cli.output import print_json
from farthing.config import Config, fault_in_words, load_config
from farthing.errors import CallerError

__all__ = ["open_shelf", "remove", "set_"]

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_USUAL: Final = {"scope": "all", "window": "month"}


def open_shelf(config: Config, data_dir: str | None = None) -> BudgetShelf:
    """The budgets of farthing.toml and those set beside it."""
    return BudgetShelf(Path(data_dir or config.ledger.data_dir), config.budget)


@click.command("set")
@click.argument("name")
@click.argument("amount_usd", metavar="AMOUNT")
@click.option("--scope", help="What it counts, for example 'feature=support tenant=*'.")
@click.option("--window", help="hour ... year, lifetime, or a rolling length like 24h.")
@click.option("--timezone", help="IANA time zone of a calendar window.")
@click.option("--threshold", "thresholds", type=int, multiple=True, help="Percent; repeatable.")
@click.option(
    "--at-limit",
    type=click.Choice(["block", "downgrade", "throttle", "notify"]),
    help="What happens to a call that would exceed it.",
)
@click.option("--downgrade-to", metavar="MODEL", help="With --at-limit downgrade.")
@click.option("--mode", type=click.Choice(["on", "shadow", "off"]), help="shadow only counts.")
@click.option("--notify", multiple=True, help="Alert target; repeatable; none: all of them.")
@_DATA_DIR
@_JSON
@click.pass_obj
def set_(
    config_path: str | None, *, name: str, data_dir: str | None, as_json: bool, **given: Any
) -> None:
    """Set budget NAME to AMOUNT USD a window; running gateways go by it within two seconds.

    A new budget counts all calls of a month unless you say otherwise; of one that is there,
    what you don't name stays as it is. A budget of farthing.toml is changed in that file.
    """
    config = load_config(config_path, os.environ)
    shelf = open_shelf(config, data_dir)
    named = {key: value for key, value in given.items() if value not in (None, ())}
    if "at_limit" in named and named["at_limit"] != "downgrade":
        named.setdefault("downgrade_to", "")
    before = next((one for one in shelf.budgets if one.name == name), None)
    kept: dict[str, Any] = _USUAL if before is None else msgspec.to_builtins(before)
    try:
        budget = msgspec.convert(kept | named | {"name": name}, BudgetSettings)
    except msgspec.ValidationError as error:
        raise CallerError(f"{fault_in_words(error)}. Nothing was changed.") from error
    check_targets(config.alert, [(name, budget.notify)])
    is_new = shelf.put(budget)
    if "downgrade_to" in named:
        _tell_unpriced(budget.downgrade_to, config)
    if as_json:
        print_json({"budget": msgspec.structs.asdict(budget), "is_new": is_new})
        return
    window = budget.window if budget.timezone == "UTC" else f"{budget.window} ({budget.timezone})"
    limit = budget.at_limit + (f" to {budget.downgrade_to}" if budget.downgrade_to else "")
    mode = "" if budget.mode == "on" else f" Mode: {budget.mode}."
    click.echo(
        f"Budget {name} is {'new' if is_new else 'changed'}: ${budget.limit} a {window} for "
        f"{budget.scope}; at the limit: {limit}.{mode}"
    )


def _tell_unpriced(model: str, config: Config) -> None:
    """Say where calls that are downgraded will be refused, since nobody knows what they cost."""
    from farthing.pricing import PriceBook, RateCard  # noqa: PLC0415 - the catalogue loads when needed

    if not model or model in config.models or config.pricing.unknown == "estimate":
        return
    prefix, slash, rest = model.partition("/")
    given = config.providers.get(prefix) if slash else None
    provider, name = (given.price_as or prefix, rest) if given else ("", model)
    book = PriceBook.load(config.pricing_settings())
    if not isinstance(book.card(provider, name, time.time_ns() // 1000), RateCard):
        near = ", ".join(book.near(provider, name)) or "none"
        click.echo(
            f"farthing: no price is known for {model!r}, so that no budget can count it: calls "
            f"that go there at the limit are refused. Close names: {near}. Name another with "
            "--downgrade-to, or add a [[price]] row.",
            err=True,
        )


@click.command()
@click.argument("name")
@_DATA_DIR
@_JSON
@click.pass_obj
def remove(config_path: str | None, name: str, *, data_dir: str | None, as_json: bool) -> None:
    """Remove budget NAME, which was set; running gateways stop asking it within two seconds.

    What it had counted stays in the ledger.
    """
    gone = open_shelf(load_config(config_path, os.environ), data_dir).remove(name)
    if as_json:
        print_json({"removed": msgspec.structs.asdict(gone)})
    else:
        click.echo(f"Budget {gone.name} of ${gone.limit} a {gone.window} is removed.")
