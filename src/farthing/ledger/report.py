"""The report: what was spent, on what, and which hidden multipliers stand behind it.

L4: every row falls in exactly one bucket of every dimension, `unattributed` among them, so the
rows add up to the total, to the nanodollar. What has no price is a line of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from farthing.ledger.entry import LeverMove
from farthing.ledger.measure import (
    Distinct,
    Key,
    Latencies,
    Sums,
    groups,
    latencies,
    moved,
    repeats,
    talks,
)
from farthing.ledger.query import ReportQuery
from farthing.ledger.store import Source
from farthing.money import Money, round_half_even
from farthing.usage import TOKEN_UNITS, Usage

__all__ = ["Multipliers", "Report", "ReportRow", "Unpriced", "build_report"]

UNEXPLAINED: Final = "unexplained"


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket: its value of each dimension, and its sums. Latencies in milliseconds."""

    dimensions: Mapping[str, str]
    cost: Money
    calls: int
    attempts: int
    unpriced_attempts: int
    estimated_attempts: int
    usage: Usage
    p50_ms: int | None
    p95_ms: int | None

    @property
    def is_priced(self) -> bool:
        """Whether any of it has a price; a cost of zero says something only then."""
        return self.unpriced_attempts < self.attempts or not self.unpriced_attempts

    def document(self) -> dict[str, Any]:
        """The row as JSON: whole prompt and completion, and the buckets beside them."""
        return {
            **self.dimensions,
            "cost_usd": str(self.cost),
            "calls": self.calls,
            "input_tokens": self.usage.prompt_tokens,
            "output_tokens": self.usage.completion_tokens,
            "cost_per_call_usd": _per(self.cost, self.calls) if self.is_priced else None,
            "attempts": self.attempts,
            "unpriced_attempts": self.unpriced_attempts,
            "estimated_attempts": self.estimated_attempts,
            "tokens": _buckets(self.usage),
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
        }


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """The line of what has no price: its tokens stand in the rows, its cost in none."""

    attempts: int
    input_tokens: int
    output_tokens: int


class Multipliers(msgspec.Struct, frozen=True, kw_only=True):
    """What hides behind a bill: work done again, steps per task, turns per talk, non-production.

    `regenerations` is calls per distinct question (same session, turn, step and last user turn
    again after an answer), `steps` calls per trace, `turns` distinct turns per session.
    """

    regenerations: Distinct
    steps: Distinct
    turns: Distinct
    by_environment: Mapping[str, Money]

    def document(self) -> dict[str, Any]:
        """The multipliers as JSON."""
        return {
            "regenerations": {
                "calls": self.regenerations.calls,
                "distinct": self.regenerations.distinct,
                "ratio": self.regenerations.ratio,
            },
            "steps_per_trace": {
                "calls": self.steps.calls,
                "traces": self.steps.distinct,
                "ratio": self.steps.ratio,
            },
            "turns_per_session": {
                "turns": self.turns.calls,
                "sessions": self.turns.distinct,
                "ratio": self.turns.ratio,
            },
            "environments": {name: str(sum_) for name, sum_ in self.by_environment.items()},
        }


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a `ReportQuery`.

    `baseline` is what the same calls would have cost with every lever off; `baseline` less what
    `levers` saved plus what they spent is `total`. Where calls tell a baseline that their levers
    do not account for, the difference is the lever `unexplained`. The provider of an estimated
    attempt told no usage: its tokens, and its cost with them, are estimates.
    """

    query: ReportQuery
    total: Money
    baseline: Money
    calls: int
    corrections: int
    attempts: int
    unattributed: Money
    unpriced: Unpriced
    estimated_attempts: int
    usage: Usage
    statuses: Mapping[str, int]
    p50_ms: int | None
    p95_ms: int | None
    rows: tuple[ReportRow, ...]
    levers: tuple[LeverMove, ...]
    multipliers: Multipliers

    @property
    def saved(self) -> Money:
        """What all levers saved, less what they spent."""
        return self.baseline - self.total

    def document(self) -> dict[str, Any]:
        """The report as one JSON document; money as decimal strings in USD."""
        return {
            "total_usd": str(self.total),
            "baseline_usd": str(self.baseline),
            "saved_usd": str(self.saved),
            "calls": self.calls,
            "attempts": self.attempts,
            "corrections": self.corrections,
            "unattributed_usd": str(self.unattributed),
            "unattributed_share": _share(self.unattributed, self.total),
            "cost_per_call_usd": _per(self.total, self.calls),
            "input_tokens": self.usage.prompt_tokens,
            "output_tokens": self.usage.completion_tokens,
            "tokens": _buckets(self.usage),
            "unpriced": {
                "attempts": self.unpriced.attempts,
                "input_tokens": self.unpriced.input_tokens,
                "output_tokens": self.unpriced.output_tokens,
            },
            "estimated_attempts": self.estimated_attempts,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "statuses": dict(self.statuses),
            "multipliers": self.multipliers.document(),
            "levers": [
                {"lever": m.lever, "saved_usd": str(m.saved), "spent_usd": str(m.spent)}
                for m in self.levers
            ],
            "rows": [row.document() for row in self.rows],
        }


def build_report(sources: Sequence[Source], query: ReportQuery) -> Report:
    """Ask every source and merge the answers.

    Raises:
        QueryError: a dimension or filter does not exist.
        StoreError: a source can't be read.
    """
    by_key: defaultdict[Key, Sums] = defaultdict(Sums)
    whole = Sums()
    statuses: defaultdict[str, int] = defaultdict(int)
    environments: defaultdict[str, int] = defaultdict(int)
    unattributed = 0
    for group in groups(sources, query):
        by_key[group.key].add(group.sums)
        whole.add(group.sums)
        statuses[group.status] += group.sums.calls
        environments[group.environment] += group.sums.cost
        unattributed += group.sums.cost if group.is_unattributed else 0
    took = latencies(sources, query)
    rows = tuple(_row(query, key, sums, took.get(key)) for key, sums in by_key.items())
    total = Money(whole.cost)
    overall = took.get((), Latencies())
    baseline = Money(whole.baseline)
    return Report(
        query=query,
        total=total,
        baseline=baseline,
        calls=whole.calls,
        corrections=whole.corrections,
        attempts=whole.attempts,
        unattributed=Money(unattributed),
        unpriced=Unpriced(
            attempts=whole.unpriced,
            input_tokens=whole.unpriced_prompt,
            output_tokens=whole.unpriced_completion,
        ),
        estimated_attempts=whole.estimated,
        usage=whole.usage,
        statuses=MappingProxyType(dict(sorted(statuses.items()))),
        p50_ms=overall.percentile_ms(50),
        p95_ms=overall.percentile_ms(95),
        rows=tuple(sorted(rows, key=lambda r: (-r.cost.nanodollars, *r.dimensions.values()))),
        levers=_levers(moved(sources, query), baseline - total),
        multipliers=_multipliers(sources, query, environments),
    )


def _row(query: ReportQuery, key: Key, sums: Sums, took: Latencies | None) -> ReportRow:
    shown = {
        asked.name: asked.shown(cell) for asked, cell in zip(query.dimensions, key, strict=True)
    }
    took = took or Latencies()
    return ReportRow(
        dimensions=MappingProxyType(shown),
        cost=Money(sums.cost),
        calls=sums.calls,
        attempts=sums.attempts,
        unpriced_attempts=sums.unpriced,
        estimated_attempts=sums.estimated,
        usage=sums.usage,
        p50_ms=took.percentile_ms(50),
        p95_ms=took.percentile_ms(95),
    )


def _levers(found: Mapping[str, tuple[Money, Money]], net: Money) -> tuple[LeverMove, ...]:
    """The levers' lines; they add up to `net`, what all of them saved less what they spent."""
    moves = [LeverMove(lever=name, saved=s, spent=p) for name, (s, p) in found.items()]
    rest = net.nanodollars - sum(m.saved.nanodollars - m.spent.nanodollars for m in moves)
    if rest:
        saved, spent = (Money(rest), Money(0)) if rest > 0 else (Money(0), Money(-rest))
        moves.append(LeverMove(lever=UNEXPLAINED, saved=saved, spent=spent))
    return tuple(moves)


def _multipliers(
    sources: Sequence[Source], query: ReportQuery, environments: Mapping[str, int]
) -> Multipliers:
    # A second answer stands under its call's session and trace, and is no turn or step of them.
    own = query.callers_own()
    held = talks(sources, own)
    return Multipliers(
        regenerations=held.regenerations,
        steps=repeats(sources, own, ("trace",), "trace <> ''"),
        turns=held.turns,
        by_environment=MappingProxyType(
            {name: Money(sum_) for name, sum_ in sorted(environments.items())}
        ),
    )


def _buckets(usage: Usage) -> dict[str, int]:
    return {unit.value: usage.count(unit) for unit in TOKEN_UNITS}


def _per(sum_: Money, count: int) -> str | None:
    """Cost per call, rounded to the nanodollar; None where there was no call."""
    return str(Money(round_half_even(sum_.nanodollars, count))) if count else None


def _share(part: Money, whole: Money) -> float | None:
    return part.nanodollars / whole.nanodollars if whole else None
