"""`farthing route explored`: what the steps cost that a policy may choose among."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import click

from farthing.cli.ledger_folder import open_ledger, query_options, read_query
from farthing.cli.output import console, print_json, table, usd
from farthing.ledger import CallStatus
from farthing.levers.routing.explorer import Drawn, Weighted, weighted
from farthing.levers.routing.serving import read_choice

__all__ = ["explored"]


@click.command()
@query_options
@click.pass_obj
def explored(
    config_path: str | None,
    *,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Show what each explored step costs a call, had it served all of its class (estimates).

    Calls weigh by the inverse of the probability with which their step was drawn.
    """
    found: dict[tuple[str, str, str], list[Drawn]] = defaultdict(list)
    with open_ledger(config_path, data_dir) as ledger:
        for entry in ledger.entries(read_query("", since, until, where)):
            choice = read_choice(entry.detail)
            is_known = entry.status is CallStatus.OK and not entry.unpriced
            if choice is None or not choice.explores or not is_known:
                continue
            drawn = Drawn(choice.step, choice.propensity, entry.cost)
            found[choice.pool, choice.policy, choice.name].append(drawn)
    rows = [(*scope, one) for scope, drawn in sorted(found.items()) for one in weighted(drawn)]
    if as_json:
        print_json({"explored": [_told(*row) for row in rows]})
        return
    if not rows:
        console().print(
            "No call was explored. A policy must certify further steps (route compile --explore), "
            "and the pool must have an explore_share."
        )
        return
    shown = table(
        "Cost a call, had the step served all calls of its class (estimates)",
        *("pool", "policy", "class", "step", "calls", "cost a call"),
        numeric=4,
    )
    for pool, policy, name, one in rows:
        shown.add_row(pool, policy, name, one.step, f"{one.calls:,}", usd(one.cost))
    console().print(shown)


def _told(pool: str, policy: str, name: str, one: Weighted) -> dict[str, Any]:
    return {
        "pool": pool,
        "policy": policy,
        "class": name,
        "step": one.step,
        "calls": one.calls,
        "cost_usd_per_call": one.cost,
    }
