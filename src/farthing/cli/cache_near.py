"""`farthing cache near`: look-ups for which something like was stored, and what became of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from farthing.cli.cache_store import opened, owners
from farthing.cli.output import console, print_json
from farthing.config import Config, load_config
from farthing.gateway.semantic_log import Words, read_words
from farthing.levers.cache import SqliteAnswers, Vault
from farthing.levers.cache.seal import BadSeal, Sealer
from farthing.levers.cache.semantic.calibration import is_drawn
from farthing.levers.cache.semantic_tables import AskedRow, SemanticTables

__all__ = ["logged", "near"]

_WAITING = "verdict IN ('', 'nobody could tell') AND entry IS NOT NULL AND guard = ''"

_JUDGED = "judge NOT IN ('', 'person') AND call_id IN (SELECT call_id FROM labels)"
_LOG_MAX = 200_000


@click.command()
@click.option("--feature", help="Look-ups of this feature.")
@click.option("--waiting", is_flag=True, help="Those that nobody has judged and no guard doubts.")
@click.option("--drawn", is_flag=True,
              help="Those drawn to learn how often the judge errs, oldest first; label them all.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def near(
    config_path: str | None,
    *,
    feature: str | None,
    waiting: bool,
    drawn: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Questions that were like a stored one, latest first; approve or reject with `cache label`."""
    config = load_config(config_path, os.environ)
    where, values = "cosine IS NOT NULL", []
    if feature is not None:
        where, values = f"{where} AND feature = ?", [feature]
    if waiting:
        where = f"{where} AND {_WAITING}"
    if drawn:
        where = f"{where} AND {_JUDGED}"
    with opened(config) as (answers, vault):
        if drawn:
            rows = SemanticTables(answers).asked(where, values, _LOG_MAX)
            ids = [row.id for row in rows if is_drawn(row.call_id)][-limit:]
            where, values = f"id IN ({', '.join('?' * len(ids))})", ids
        found = logged(config, answers, vault, (where, *values), limit)
        if drawn:
            found.reverse()
    if as_json:
        print_json(found)
        return
    out = console()
    for row in found:
        told = f"{row['result']}{', ' + row['verdict'] if row['verdict'] else ''}"
        out.print(f"{row['id']:>6}  {row['at']}  {row['feature']}  {told}", markup=False)
        out.print(f"        asked   {row['question']}", markup=False)
        cosine = f"{row['cosine']:.3f}"
        out.print(f"        stored  {row['near']}   cosine {cosine}", markup=False)
        if row["reason"]:
            out.print(f"        {row['reason']}", markup=False)
    if not found:
        told = "No such pair waits." if drawn else "No look-up has found anything near yet."
        out.print(told, markup=False)


def logged(
    config: Config,
    answers: SqliteAnswers,
    vault: Vault,
    where: tuple[str, *tuple[object, ...]],
    limit: int,
) -> list[dict[str, Any]]:
    """Logged look-ups that meet a condition, with their words where the tenant's key is there."""
    del config
    known, sealer = owners(vault), Sealer()
    found: list[dict[str, Any]] = []
    for row in SemanticTables(answers).asked(where[0], where[1:], limit):
        keys = known.get(row.tenant)
        try:
            words = None if keys is None else read_words(row.sealed, keys.payload_key, sealer)
        except BadSeal:
            words = None
        found.append(_told(row, words or Words(question="(its key is destroyed)")))
    return found


def _told(row: AskedRow, words: Words) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.at_us / 1e6, UTC)
    return {
        "id": row.id,
        "at": at.isoformat(timespec="seconds"),
        "call": row.call_id,
        "feature": row.feature or "unattributed",
        "result": row.result,
        "verdict": row.verdict,
        "judge": row.judge,
        "guard": row.guard,
        "cosine": row.cosine,
        "question": words.question,
        "near": words.near,
        "reason": words.reason,
        "findings": [
            {"kind": kind, "guard": guard, "detail": detail}
            for kind, guard, detail in words.findings
        ],
        **msgspec.json.decode(row.told, type=dict[str, Any]),
    }
