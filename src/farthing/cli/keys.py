"""`farthing keys`: make, list and revoke the keys that callers present."""

from __future__ import annotations

import os
from pathlib import Path

import click

from farthing.cli.output import console, print_json, table
from farthing.clock import SystemClock
from farthing.config import load_config
from farthing.gateway import KeyRing, VirtualKey

__all__ = ["keys"]


def _ring(config_path: str | None) -> KeyRing:
    return KeyRing(Path(load_config(config_path, os.environ).ledger.data_dir))


@click.group()
def keys() -> None:
    """Virtual keys: who calls, for which tenant and feature, with which models."""


@keys.command()
@click.option("--tenant", required=True, help="Whom the calls are booked on.")
@click.option("--feature", default="", help="Feature of calls that name none.")
@click.option("--user", default="", help="User of calls that name none.")
@click.option("--env", "environment", default="", help="Environment of calls that name none.")
@click.option("--tag", "tags", multiple=True, help="NAME=VALUE, on every call; repeatable.")
@click.option("--model", "models", multiple=True, help="Allowed model or pattern; repeatable.")
@click.option("--name", default="", help="A note for people.")
@click.option("--admin", is_flag=True, help="It may also see and change budgets over HTTP.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def create(
    config_path: str | None,
    tenant: str,
    feature: str,
    user: str,
    environment: str,
    tags: tuple[str, ...],
    models: tuple[str, ...],
    name: str,
    *,
    admin: bool,
    as_json: bool,
) -> None:
    """Make a key. It is shown once; only its hash is kept."""
    if not tenant.strip():
        raise click.BadParameter("a tenant needs a name", param_hint="--tenant")
    wrong = [tag for tag in tags if "=" not in tag]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} must read NAME=VALUE", param_hint="--tag")
    wanted = VirtualKey(
        id="",
        digest="",
        name=name,
        tenant=tenant,
        feature=feature,
        user=user,
        environment=environment,
        tags=dict(tag.split("=", 1) for tag in tags),
        models=models,
        created_us=SystemClock().now_us(),
        may_administer=admin,
    )
    secret, made = _ring(config_path).create(wanted)
    if as_json:
        print_json({"key": secret} | _told(made))
        return
    click.echo(f"{secret}\n")
    click.echo(f"Key {made.id} for tenant {tenant}. This is the only time it is shown.")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def list_(config_path: str | None, *, as_json: bool) -> None:
    """List the keys; never their secrets."""
    found = _ring(config_path).keys()
    if as_json:
        print_json([_told(key) for key in found])
        return
    names = ("id", "tenant", "feature", "environment", "models", "may", "name")
    made = table("Keys", *names, numeric=9)
    for key in found:
        allowed = ", ".join(key.models) or "all"
        may = "call, administer" if key.may_administer else "call"
        made.add_row(key.id, key.tenant, key.feature, key.environment, allowed, may, key.name)
    console().print(made)


@keys.command()
@click.argument("key_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def revoke(config_path: str | None, key_id: str, *, as_json: bool) -> None:
    """Revoke a key by its id; running gateways refuse it within a second."""
    gone = _ring(config_path).revoke(key_id)
    if as_json:
        print_json(_told(gone))
        return
    click.echo(f"Key {gone.id} of tenant {gone.tenant} is revoked.")


def _told(key: VirtualKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "feature": key.feature,
        "user": key.user,
        "environment": key.environment,
        "tags": key.tags,
        "models": list(key.models),
        "created_us": key.created_us,
        "may_administer": key.may_administer,
    }
