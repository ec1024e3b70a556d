"""`farthing cache`: what the cache holds and saves, and how answers are made to go."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from farthing.cli.cache_store import opened, print_semantic, semantic_accounts
from farthing.cli.output import console, print_json, table, usd
from farthing.clock import SystemClock
from farthing.config import Config, load_config
from farthing.ledger import Ledger, LedgerMissing, ReportQuery, instant_us
from farthing.levers.cache import NoSuchTenant, Purge, TenantKeys, Vault
from farthing.money import ZERO, Money

__all__ = ["cache"]

_LEVERS = ("exact-cache", "semantic-cache", "coalesce")
# Further commands -> "module:attribute"; imported on use.
_FURTHER: MappingProxyType[str, str] = MappingProxyType(
    {
        "economics": "farthing.cli.cache_economics:economics",
        "eval": "farthing.cli.cache_eval:evaluate",
        "explain": "farthing.cli.cache_explain:explain",
        "label": "farthing.cli.cache_label:label",
        "near": "farthing.cli.cache_near:near",
    }
)


class _Group(click.Group):
    """A group whose further commands are found when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_FURTHER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _FURTHER:
            return super().get_command(ctx, cmd_name)
        module, attribute = _FURTHER[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=_Group)
def cache() -> None:
    """Answers that are given again: what they save, and how they are made to go."""


@cache.command()
@click.option(
    "--days", type=click.IntRange(1), default=7, show_default=True, help="Look-ups since."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def stats(config_path: str | None, *, days: int, as_json: bool) -> None:
    """What is stored, how often it was served, why it was not, and what that saved."""
    config = load_config(config_path, os.environ)
    now_us = SystemClock().now_us()
    since = datetime.fromtimestamp(now_us / 1_000_000, UTC).date() - timedelta(days=days - 1)
    with opened(config) as (answers, vault):
        names = {keys.tenant_mark: keys.tenant for keys in vault.tenants()}
        held = [
            {
                "tenant": names.get(tally.tenant, "forgotten"),
                "feature": tally.feature,
                "entries": tally.entries,
                "bytes": tally.bytes,
                "hits": tally.hits,
                "oldest_s": (now_us - tally.oldest_us) // 1_000_000,
            }
            for tally in answers.tallies(now_us)
        ]
        lookups = [
            {"feature": feature, "result": result, "reason": reason, "count": count}
            for feature, result, reason, count in answers.lookups(since.isoformat())
        ]
        semantic = semantic_accounts(config, answers, vault, now_us, days)
    told = {
        "since": since.isoformat(),
        "held": held,
        "lookups": lookups,
        "hit_rate": _hit_rate(lookups),
        "levers": _saved(config, days),
        "semantic": semantic,
    }
    if as_json:
        print_json(told)
    else:
        _print(told, days)


@cache.command()
@click.option("--feature", help="Answers to this feature.")
@click.option("--tenant", help="Answers to this tenant; `unattributed` for calls without one.")
@click.option("--user", help="Answers to this user.")
@click.option("--tag", metavar="NAME=VALUE", help="Answers to calls with this tag.")
@click.option(
    "--document",
    metavar="NAME[@REVISION]",
    help="Answers to calls that depend on it (x-farthing-depends-on).",
)
@click.option("--older-than", metavar="AGE", help="Answers stored before: 7d, 12h, 30m, a date.")
@click.option("--all", "is_all", is_flag=True, help="All answers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def clear(
    config_path: str | None,
    *,
    feature: str | None,
    tenant: str | None,
    user: str | None,
    tag: str | None,
    document: str | None,
    older_than: str | None,
    is_all: bool,
    as_json: bool,
) -> None:
    """Drop stored answers that meet all conditions given; running gateways follow in a second."""
    marks = [
        (kind, value)
        for kind, value in (("user", user), ("tag", tag), ("document", document))
        if value is not None
    ]
    if len(marks) > 1:
        raise click.UsageError("Give one of --user, --tag and --document at a time.")
    if not (is_all or marks or any(v is not None for v in (feature, tenant, older_than))):
        raise click.UsageError("Say which answers are to go, or --all.")
    config = load_config(config_path, os.environ)
    now_us = SystemClock().now_us()
    before_us = None if older_than is None else instant_us(older_than, now_us)
    with opened(config) as (answers, vault):
        owners: Sequence[TenantKeys | None] = [None]
        if tenant is not None or marks:
            owners = _owners(vault, tenant)
        with answers.transaction():
            gone = sum(
                answers.purge(
                    Purge(
                        at_us=now_us,
                        tenant=None if keys is None else keys.tenant_mark,
                        feature=feature,
                        mark=keys.mark(*marks[0]) if keys is not None and marks else None,
                        before_us=before_us,
                    )
                )
                for keys in owners
            )
    if as_json:
        print_json({"removed": gone})
    else:
        click.echo(f"{gone} answers are gone. Running gateways serve none of them after a second.")


@cache.command()
@click.option("--tenant", required=True, help="Whose; `unattributed` for calls without a tenant.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def forget(config_path: str | None, *, tenant: str, as_json: bool) -> None:
    """Destroy a tenant's key: none of its answers can be read again, nor in any backup of them."""
    config = load_config(config_path, os.environ)
    with opened(config) as (answers, vault):
        keys = vault.forget(_named(tenant))
        with answers.transaction():
            purge = Purge(at_us=SystemClock().now_us(), tenant=keys.tenant_mark)
            gone = answers.purge(purge)
    if as_json:
        print_json({"tenant": tenant, "removed": gone})
    else:
        click.echo(f"The key of tenant {tenant} is destroyed, and {gone} answers are gone.")
        click.echo("Copies of the cache's file hold nothing of them that can be read.")


def _owners(vault: Vault, tenant: str | None) -> list[TenantKeys]:
    found = vault.tenants()
    if tenant is None:
        return found
    named = [keys for keys in found if keys.tenant == _named(tenant)]
    if not named:
        known = ", ".join(keys.tenant or "unattributed" for keys in found) or "none"
        raise NoSuchTenant(
            f"No answers are kept for a tenant {tenant!r}. Nothing was changed. Known: {known}."
        )
    return named


def _named(tenant: str) -> str:
    return "" if tenant == "unattributed" else tenant


def _hit_rate(lookups: Sequence[dict[str, Any]]) -> float | None:
    """Hits over look-ups that could have been hits; bypasses could not.

    A semantic hit is a miss of the exact cache first, and counted there too.
    """
    counts: Counter[str] = Counter()
    for row in lookups:
        counts[row["result"]] += row["count"]
    whole = counts["hit-exact"] + counts["miss"] + counts["shadow"]
    hits = counts["hit-exact"] + counts["hit-alias"] + counts["hit-semantic"]
    return hits / whole if whole else None


def _saved(config: Config, days: int) -> list[dict[str, Any]]:
    """The levers' accounts in the ledger."""
    since_us = SystemClock().now_us() - days * 86_400_000_000
    try:
        with Ledger.open(Path(config.ledger.data_dir), settings=config.ledger) as ledger:
            report = ledger.report(ReportQuery(by=(), since_us=since_us))
    except LedgerMissing:
        return []
    return [
        {"lever": move.lever, "saved_usd": move.saved, "spent_usd": move.spent}
        for move in report.levers
        if move.lever in _LEVERS
    ]


def _print(told: dict[str, Any], days: int) -> None:
    out = console()
    held = table("Stored", "tenant", "feature", "entries", "kB", "hits", "oldest s", numeric=2)
    for row in told["held"]:
        held.add_row(
            row["tenant"] or "unattributed",
            row["feature"] or "unattributed",
            f"{row['entries']:,}",
            f"{row['bytes'] / 1000:,.1f}",
            f"{row['hits']:,}",
            f"{row['oldest_s']:,}",
        )
    out.print(held)
    out.print()
    asked = table(f"Look-ups of {days} days", "feature", "result", "reason", "count", numeric=3)
    for row in told["lookups"]:
        feature = row["feature"] or "unattributed"
        asked.add_row(feature, row["result"], row["reason"], f"{row['count']:,}")
    out.print(asked)
    out.print()
    if told["semantic"]:
        print_semantic(told["semantic"], days)
    rate = told["hit_rate"]
    out.print(f"hit rate        {'none yet' if rate is None else f'{rate:.1%}'}", markup=False)
    for move in told["levers"]:
        net: Money = (move["saved_usd"] or ZERO) - (move["spent_usd"] or ZERO)
        told_ = f"saved {usd(move['saved_usd'])}, spent {usd(move['spent_usd'])}, net {usd(net)}"
        out.print(f"{move['lever']:<16}{told_}", markup=False)
