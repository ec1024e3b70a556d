"""`farthing calls`: single calls, down to the lines of the rate card that priced them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
from rich.console import Console

from farthing.call import UNATTRIBUTED, Attempt, Pricing
from farthing.cli.ledger_folder import open_ledger, query_options, read_query, stored_bills
from farthing.cli.output import console, cut, print_json, table, usd
from farthing.errors import CallerError
from farthing.ledger import Entry, Ledger, Order
from farthing.pricing.cost import Priced

__all__ = ["calls"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@click.group(invoke_without_command=True)
@click.option("--top", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option(
    "--by",
    type=click.Choice([order.value for order in Order]),
    default=Order.COST.value,
    show_default=True,
    help="What the foremost calls are found by; time: the latest first.",
)
@query_options
@click.pass_context
def calls(
    ctx: click.Context,
    *,
    top: int,
    by: str,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """List the foremost calls, or `show` one."""
    if ctx.invoked_subcommand is not None:
        return
    query = read_query("", since, until, where)
    with open_ledger(ctx.obj, data_dir) as ledger:
        found = ledger.calls(top, Order(by), query)
    if as_json:
        print_json({"by": by, "calls": [_summary(entry) for entry in found]})
        return
    made = table(
        f"Calls by {by}",
        *("call", "time (UTC)", "feature", "model", "status", "cost", "tokens", "ms"),
        numeric=5,
    )
    for entry in found:
        made.add_row(
            entry.call_id,
            f"{_when(entry.started_us):%Y-%m-%d %H:%M:%S}",
            cut(entry.attribution.feature or UNATTRIBUTED),
            cut(entry.model),
            entry.status.value,
            _cost(entry),
            f"{_tokens(entry):,}",
            f"{entry.duration_us // 1000:,}",
        )
    console().print(made)


@calls.command()
@click.argument("call_id")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Folder of the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def show(ctx: click.Context, call_id: str, data_dir: str | None, *, as_json: bool) -> None:
    """Show one call with its attempts and the rate card lines behind its cost."""
    above = ctx.parent.params if ctx.parent else {}
    with open_ledger(ctx.obj, data_dir or above.get("data_dir")) as ledger:
        entry = ledger.call(call_id)
        if entry is None:
            raise CallerError(
                f"There is no call {call_id!r} in this ledger.\n"
                "Nothing was changed.\nList calls: farthing calls --by time"
            )
        document = _document(entry, ledger)
    if as_json or above.get("as_json"):
        print_json(document)
    else:
        _show(entry, document)


def _summary(entry: Entry) -> dict[str, Any]:
    whom = entry.attribution
    last = entry.attempts[-1] if entry.attempts else None
    return {
        "id": entry.call_id,
        "at": _when(entry.started_us).isoformat(),
        "endpoint": entry.endpoint.value,
        "model": entry.model,
        "model_served": last.model_served if last else "",
        "provider": last.provider if last else "",
        "status": entry.status.value,
        "feature": whom.feature or UNATTRIBUTED,
        "user": whom.user or UNATTRIBUTED,
        "tenant": whom.tenant or UNATTRIBUTED,
        "cost_usd": None if _is_unpriced(entry) else str(entry.cost),
        "unpriced_attempts": entry.unpriced,
        "estimated_attempts": sum(a.usage.is_estimated for a in entry.attempts),
        "input_tokens": sum(a.usage.prompt_tokens for a in entry.attempts),
        "output_tokens": sum(a.usage.completion_tokens for a in entry.attempts),
        "latency_ms": entry.duration_us // 1000,
        "attempts": len(entry.attempts),
    }


def _document(entry: Entry, ledger: Ledger) -> dict[str, Any]:
    whom = msgspec.to_builtins(entry.attribution)
    bills = stored_bills(ledger) if any(a.card_id for a in entry.attempts) else None
    return {
        **_summary(entry),
        "attribution": whom,
        "conversation": msgspec.to_builtins(entry.conversation),
        "is_streamed": entry.is_streamed,
        "overhead_us": entry.overhead_us,
        "baseline_usd": None if entry.baseline is None else str(entry.baseline),
        "levers": [
            {"lever": m.lever, "saved_usd": str(m.saved), "spent_usd": str(m.spent)}
            for m in entry.moves
        ],
        "corrects": entry.corrects,
        "detail": entry.detail,
        "tries": [
            _try(a, bills.bill(a) if bills else None) | {"card": _card(ledger, a.card_id)}
            for a in entry.attempts
        ],
    }


def _card(ledger: Ledger, card_id: str) -> dict[str, Any] | None:
    """Who says what the card says, and since when; None: no card, or one that was not kept."""
    content = ledger.card(card_id) if card_id else None
    if content is None:
        return None
    kept = msgspec.json.decode(content)
    return {
        "layer": kept.get("layer", ""),
        "source": kept.get("source", ""),
        "valid_from": kept.get("since", "")[:10] or None,
    }


def _try(attempt: Attempt, bill: Priced | None) -> dict[str, Any]:
    lines = () if bill is None else bill.lines
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "model": attempt.model,
        "model_served": attempt.model_served,
        "status": attempt.status.value,
        "http_status": attempt.http_status,
        "detail": attempt.detail,
        "request_id": attempt.request_id,
        "latency_ms": attempt.duration_us // 1000,
        "usage": msgspec.to_builtins(attempt.usage),
        "terms": msgspec.to_builtins(attempt.terms),
        "pricing": attempt.pricing.value,
        "cost_usd": None if attempt.cost is None else str(attempt.cost),
        "card_cost_usd": None if attempt.card_cost is None else str(attempt.card_cost),
        "provider_cost_usd": None if attempt.provider_cost is None else str(attempt.provider_cost),
        "card_id": attempt.card_id,
        "lines": [
            {
                "bucket": line.unit.value,
                "quantity": line.count,
                "nanodollars": line.nanodollars,
                "per": line.per,
                "cost_usd": str(line.cost),
            }
            for line in lines
        ],
        "lines_match": _match(attempt, bill),
    }


def _match(attempt: Attempt, bill: Priced | None) -> bool | None:
    """Whether the lines add up to what the card came to when it was booked; None: no lines."""
    if bill is None:
        return None
    booked = attempt.cost if attempt.pricing is Pricing.CARD else attempt.card_cost or attempt.cost
    return sum(line.cost.nanodollars for line in bill.lines) == (
        None if booked is None else booked.nanodollars
    )


def _show(entry: Entry, document: dict[str, Any]) -> None:
    out = console()
    whom = ", ".join(f"{k} {v}" for k, v in document["attribution"].items() if v)
    for name, told in (
        ("call", entry.call_id),
        ("time", document["at"]),
        ("asked for", f"{entry.model} ({entry.endpoint.value})"),
        ("for", whom or UNATTRIBUTED),
        ("status", f"{entry.status.value} {entry.detail}".strip()),
        ("cost", _cost(entry)),
        ("latency", f"{entry.duration_us // 1000:,} ms, of it ours {entry.overhead_us:,} us"),
    ):
        out.print(f"{name:<12}{told}", markup=False)
    for found in document["tries"]:
        out.print()
        _show_try(out, found)


def _show_try(out: Console, found: dict[str, Any]) -> None:
    served = found["model_served"] or found["model"]
    booked = "unpriced" if found["cost_usd"] is None else f"${found['cost_usd']}"
    made = table(
        f"Attempt {found['number']}: {found['provider']}/{served}, {found['status']}, {booked}"
        f" ({found['pricing']})",
        *("bucket", "count", "nanodollars per", "units", "cost"),
    )
    for line in found["lines"]:
        made.add_row(
            line["bucket"],
            f"{line['quantity']:,}",
            f"{line['nanodollars']:,}",
            f"{line['per']:,}",
            f"${line['cost_usd']}",
        )
    if not found["lines"]:
        for bucket, count in found["usage"].items():
            if bucket != "is_estimated":
                made.add_row(bucket, f"{count:,}", "", "", "")
    out.print(made)
    if found["usage"].get("is_estimated"):
        out.print("estimated   the provider told no usage that could be read", markup=False)
    if found["card_id"]:
        out.print(f"card        {found['card_id']}", markup=False)
    if found["card"] and found["card"]["source"]:
        since = found["card"]["valid_from"] or "the first record"
        out.print(f"            {found['card']['layer']}: {found['card']['source']}", markup=False)
        out.print(f"            valid from {since}", markup=False)
    if found["lines_match"] is False:
        out.print("The lines do not add up to the booked sum; please report it.", markup=False)
    if found["detail"]:
        out.print(f"detail      {found['detail']}", markup=False)


def _cost(entry: Entry) -> str:
    """The booked sum; `*` where some attempts have no price."""
    if _is_unpriced(entry):
        return usd(None)
    return usd(entry.cost) + ("*" if entry.unpriced else "")


def _is_unpriced(entry: Entry) -> bool:
    """Whether no attempt has a price; a cost of zero then says nothing."""
    return bool(entry.unpriced) and entry.unpriced == len(entry.attempts)


def _tokens(entry: Entry) -> int:
    return sum(a.usage.prompt_tokens + a.usage.completion_tokens for a in entry.attempts)


def _when(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)
