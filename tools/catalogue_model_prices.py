"""Dated rows from model-prices (MIT), at its pinned version: what it corrected, and what it read.

The package keeps, beside each corrected price, the price that models.dev had at the time
(`recorded`). Both become rows: the correction, known from the day of the snapshot on, and the
wrong row, superseded on that day.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib import metadata, resources
from typing import Any, NamedTuple

from catalogue_genai import text

from farthing.pricing.rows import Layer, Quote, Row

VERSION = metadata.version("model-prices")
SNAPSHOT: dict[str, Any] = json.loads(
    resources.files("model_prices").joinpath("snapshot.json").read_text()
)
CHECKED = SNAPSHOT["updated_at"][:10]
PROVIDERS = {"xai": "x-ai", "amazon-bedrock": "aws"}
UNITS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
}
_COMMIT = "https://github.com/sst/models.dev/commit/"


class Step(NamedTuple):
    """A price in a chain of prices: from when, what, what was recorded instead, when seen."""

    start: str
    rates: dict[str, Any] | None
    recorded: dict[str, Any] | None
    seen: str


def labs() -> dict[str, dict[str, Any]]:
    """Models by our provider's name."""
    return {PROVIDERS.get(lab, lab): models for lab, models in SNAPSHOT["prices"].items()}


def rows(
    modes: dict[str, Any], provider: str, listed_since: str, left_out: Counter[str]
) -> list[Row]:
    """The dated rows of one model.

    `listed_since` is the day of the first change that another catalogue dates: the first price
    seen here does not reach back beyond it.
    """
    terms: dict[str, dict[str, Any]] = {
        "standard": {},
        "batch": {"is_batch": True},
        "flex": {"service_tier": "flex"},
        "fast": {"speed": "fast"} if provider == "anthropic" else {"service_tier": "priority"},
    }
    made: list[Row] = []
    for mode, entries in modes.items():
        if mode not in terms:
            left_out[f"mode {mode}"] += 1
            continue
        steps = [
            Step(
                _instant(entry["start"]),
                entry["rates"],
                entry.get("recorded"),
                _instant(entry["rates"]["valid_from"]) if entry["rates"] else "",
            )
            for entry in entries
        ]
        made += _chain(steps, terms[mode], listed_since if mode == "standard" else "", left_out)
    return made


def _chain(
    steps: list[Step], terms: dict[str, Any], listed_since: str, left_out: Counter[str]
) -> list[Row]:
    recorded = _as_recorded(steps)
    steps = _without_baseless(steps)
    if steps and not steps[0].start and listed_since and listed_since <= steps[0].seen:
        steps[0] = steps[0]._replace(start=steps[0].seen)
    made: list[Row] = []
    standing: tuple[Quote, ...] = ()
    for step in steps:
        quotes = _quotes(step.rates, terms, left_out)
        is_withdrawn = step.rates is None and standing
        if quotes == standing or not (quotes or is_withdrawn):
            continue
        is_first, standing = not any(row.quotes[0].rates for row in made), quotes
        is_correction = step.recorded is not None and not _same(step.rates, step.recorded)
        kind = "correction" if is_correction else "price" if is_first else "change"
        made.append(
            _row(
                quotes or (Quote(rates={}, **terms),),
                kind,
                step.start,
                recorded=CHECKED if is_correction else step.seen or step.start,
                source=(step.rates or {}).get("source", ""),
            )
        )
    return made + _superseded(made, recorded, terms, left_out)


def _without_baseless(steps: list[Step]) -> list[Step]:
    """Leave out prices first seen no sooner than their successor begins: it begins in their place.

    The snapshot lets its first price reach back to the beginning of time; where it was corrected
    on the day it was first seen, the correction is what reaches back.
    """
    kept: list[Step] = []
    for step in steps:
        last = kept[-1] if kept else None
        if last and last.rates and step.rates and last.seen >= step.start:
            kept.pop()
            step = step._replace(start=last.start)  # noqa: PLW2901
        kept.append(step)
    return kept


def _as_recorded(steps: list[Step]) -> list[Step]:
    """The prices as models.dev had them, each from the day on which it first did."""
    believed: list[Step] = []
    for step in steps:
        rates = step.recorded or step.rates
        if rates is not None and not (believed and _same(believed[-1].rates, rates)):
            seen = _instant(rates["valid_from"])
            believed.append(Step(seen, rates, None, seen))
    return believed


def _superseded(
    made: list[Row], recorded: list[Step], terms: dict[str, Any], left_out: Counter[str]
) -> list[Row]:
    """What was believed until the snapshot's corrections, where they changed anything."""
    found: list[Row] = []
    for index, step in enumerate(recorded):
        quotes = _quotes(step.rates, terms, left_out)
        start = step.start if index else made[0].valid_from if made else ""
        stands = [
            row.quotes == quotes and row.recorded == step.seen and row.valid_from == start
            for row in made
        ]
        if quotes and not any(stands):
            found.append(
                _row(
                    quotes,
                    "change" if index else "price",
                    start,
                    recorded=step.seen,
                    superseded=CHECKED,
                    source=(step.rates or {}).get("source", ""),
                )
            )
    return found


def _row(
    quotes: tuple[Quote, ...],
    kind: str,
    since: str,
    *,
    recorded: str,
    source: str,
    superseded: str = "",
) -> Row:
    page = source.replace(_COMMIT, "models.dev ")
    return Row(
        layer=Layer.HISTORY,
        source=f"model-prices {VERSION}: {page}" if page else f"model-prices {VERSION}",
        kind=kind,
        valid_from=since,
        recorded=recorded,
        superseded=superseded,
        checked="" if superseded else CHECKED,
        quotes=quotes,
    )


def _quotes(
    rates: dict[str, Any] | None, terms: dict[str, Any], left_out: Counter[str]
) -> tuple[Quote, ...]:
    if rates is None:
        return ()
    base = _rates(rates, left_out)
    if not base:
        return ()
    tiers = [
        Quote(rates=made, context_over=tier["above"], **terms)
        for tier in rates.get("tiers", ())
        if (made := _rates(tier, left_out))
    ]
    return (Quote(rates=base, **terms), *tiers)


def _rates(rates: dict[str, Any], left_out: Counter[str]) -> dict[str, str]:
    """Rates by unit. A price of zero stands for one that nobody entered, and is left out."""
    found: dict[str, str] = {}
    for name, unit in UNITS.items():
        if rates.get(name) == 0:
            left_out[f"price of zero for {unit}"] += 1
        elif rates.get(name) is not None:
            found[unit] = text(rates[name])
    return found


def _same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    names = (*UNITS, "tiers")
    return one is not None and other is not None and all(one.get(n) == other.get(n) for n in names)


def _instant(when: str | None) -> str:
    """A day where it is midnight, else the time; UTC."""
    if not when:
        return ""
    return when[:10] if when.endswith("T00:00:00Z") else when.replace("Z", "+00:00")
