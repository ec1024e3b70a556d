"""`farthing report`: what was spent, on what, and which multipliers stand behind it."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console

from farthing.cli.ledger_folder import open_ledger, query_options, read_query
from farthing.cli.output import console, cut, print_json, table, usd
from farthing.ledger import Report, ReportRow
from farthing.ledger.measure import Distinct
from farthing.money import Money, round_half_even, total
from farthing.usage import TOKEN_UNITS

__all__ = ["print_report", "report"]


@click.command()
@click.option(
    "--by", default="feature", show_default=True, help="Dimensions, for example feature,model."
)
@click.option(
    "--rows", type=click.IntRange(1), default=30, show_default=True, help="Most rows in the table."
)
@query_options
@click.pass_obj
def report(
    config_path: str | None,
    *,
    by: str,
    rows: int,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Report spend, calls, tokens and latency by any dimensions.

    Dimensions: feature, user, tenant, session, trace, step, environment, model, model_sent,
    model_served, provider, endpoint, status, day, hour, pricing, service_tier, tag:KEY.
    """
    query = read_query(by, since, until, where)
    with open_ledger(config_path, data_dir) as ledger:
        found = ledger.report(query)
    if as_json:
        print_json(found.document())
    else:
        print_report(found, rows)


def print_report(found: Report, most: int = 30) -> None:
    """Print a report as a table and its notes, for people."""
    out = console()
    shown = found.rows[:most]
    names = found.query.by
    made = table(
        f"Spend {usd(found.total)} in {found.calls:,} calls",
        *(names or ("",)),
        *("cost", "calls", "per call", "input", "output", "p50 ms", "p95 ms"),
        numeric=max(1, len(names)),
    )
    for row in shown:
        made.add_row(*(map(cut, row.dimensions.values()) if names else ("all",)), *_cells(row))
    rest = found.rows[most:]
    if rest:
        made.add_row(*_rest(rest, len(names)))
    if not shown:
        out.print("No call counts: the ledger has none in this span that meets the filters.")
        return
    out.print(made)
    _notes(out, found)


def _cells(row: ReportRow) -> list[str]:
    return [
        usd(row.cost if row.is_priced else None) + ("*" if row.unpriced_attempts else ""),
        f"{row.calls:,}",
        _per(row.cost, row.calls) if row.is_priced else "",
        _short(row.usage.prompt_tokens),
        _short(row.usage.completion_tokens),
        "" if row.p50_ms is None else f"{row.p50_ms:,}",
        "" if row.p95_ms is None else f"{row.p95_ms:,}",
    ]


def _rest(rows: Sequence[ReportRow], width: int) -> list[str]:
    sum_ = total([row.cost for row in rows])
    calls = sum(row.calls for row in rows)
    return [
        f"{len(rows)} more",
        *("" for _ in range(width - 1)),
        usd(sum_),
        f"{calls:,}",
        _per(sum_, calls),
        _short(sum(row.usage.prompt_tokens for row in rows)),
        _short(sum(row.usage.completion_tokens for row in rows)),
        "",
        "",
    ]


def _notes(out: Console, found: Report) -> None:
    out.print()
    buckets = ((unit.value, found.usage.count(unit)) for unit in TOKEN_UNITS)
    lines = [
        ("tokens", ", ".join(f"{_short(count)} {name}" for name, count in buckets if count)),
        ("unattributed", f"{usd(found.unattributed)} ({_share(found.unattributed, found.total)})"),
        ("statuses", ", ".join(f"{count:,} {name}" for name, count in found.statuses.items())),
        ("regenerations", _ratio(found.multipliers.regenerations, "calls per question")),
        ("steps", _ratio(found.multipliers.steps, "calls per trace")),
        ("turns", _ratio(found.multipliers.turns, "turns per session")),
        (
            "environments",
            ", ".join(
                f"{name} {usd(sum_)}" for name, sum_ in found.multipliers.by_environment.items()
            ),
        ),
    ]
    if found.unpriced.attempts:
        told = f"{_attempts(found.unpriced.attempts)}, {found.unpriced.input_tokens:,} tokens in"
        lines.insert(1, ("unpriced (*)", f"{told}, {found.unpriced.output_tokens:,} out"))
    if found.estimated_attempts:
        told = f"{_attempts(found.estimated_attempts)} whose usage, and so cost, is estimated"
        lines.insert(1, ("estimated", told))
    if found.levers:
        lines.append(("without levers", f"{usd(found.baseline)}, saved {usd(found.saved)}"))
    lines += [
        (f"  {move.lever}", f"saved {usd(move.saved)}, spent {usd(move.spent)}")
        for move in found.levers
    ]
    for name, told in lines:
        out.print(f"{name:<17}{told or 'none'}", markup=False)


def _attempts(count: int) -> str:
    return f"{count:,} attempt{'' if count == 1 else 's'}"


def _ratio(found: Distinct, unit: str) -> str:
    return "" if found.ratio is None else f"{found.ratio:.2f} {unit}"


def _per(sum_: Money, count: int) -> str:
    """A mean for people: to the microdollar, or to the nanodollar where it is below ten of those."""
    if not count:
        return ""
    step = 1000 if abs(sum_.nanodollars) >= 10_000 * count else 1
    return usd(Money(step * round_half_even(sum_.nanodollars, step * count)))


def _short(count: int) -> str:
    """A count for people, rounded to a tenth below 100 of its unit; `--json` has them all."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 100 * size:
            return f"{round_half_even(count, size):,}{letter}"
        if count >= size:
            tenths = round_half_even(count * 10, size)
            return f"{tenths // 10}.{tenths % 10}{letter}"
    return str(count)


def _share(part: Money, whole: Money) -> str:
    if not whole:
        return "0.0 %"
    tenths = round_half_even(part.nanodollars * 1000, whole.nanodollars)
    return f"{tenths // 10}.{tenths % 10} %"
