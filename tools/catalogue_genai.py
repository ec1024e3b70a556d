"""Rows, aliases and quarantine from genai-prices (MIT), at its pinned version."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import msgspec
from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from farthing.pricing.rows import Layer, Quote, Row
from farthing.pricing.schedules import SCHEDULES

# The day on which the pinned version was read; what it dates later is announced, not yet valid.
CHECKED = "2026-11-24"
SOURCE = f"genai-prices {metadata.version('genai-prices')}"
UNITS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "web_searches_kcount": "web_search",
}
# Answers in pictures have no bucket of their own: all output of such a model is billed at the
# dearest of its kinds, which is the most that it can cost.
PICTURES = ("output_image_mtok", "output_video_mtok")
TERMS: dict[tuple[str, str], dict[str, Any]] = {
    ("processing", "batch"): {"is_batch": True},
    ("service_tier", "flex"): {"service_tier": "flex"},
    ("service_tier", "priority"): {"service_tier": "priority"},
    ("speed", "fast"): {"speed": "fast"},
}
PROMOTION = re.compile(r"introductory|promotion|launch pricing", re.IGNORECASE)


def text(amount: Any) -> str:
    """A decimal text; float artefacts (0.18000000000000002) are cut off at twelve digits."""
    return f"{float(amount):.12f}".rstrip("0").rstrip(".") or "0"


def models() -> Iterator[tuple[str, str, Any]]:
    """Each provider's id, model's name and entry."""
    for provider in providers:
        for model in provider.models:
            yield provider.id, model.id.lower(), model


def rows(provider: str, model: Any, left_out: Counter[str]) -> list[Row]:
    """The dated list prices of one model, and its tiers as they were last verified."""
    listed = _listed(provider, model, left_out)
    return listed + _variants(model, listed, left_out)


def _listed(provider: str, model: Any, left_out: Counter[str]) -> list[Row]:
    if isinstance(model.prices, list):
        found = [(given.constraint, given.prices) for given in model.prices]
    else:
        found = [(None, model.prices)]
    made: list[Row] = []
    is_promoted = bool(PROMOTION.search(model.price_comments or ""))
    for constraint, prices in found:
        if isinstance(constraint, TimeOfDateConstraint):
            if provider not in SCHEDULES:
                raise SystemExit(f"{provider}/{model.id} has hours that no schedule knows")
            left_out["daily window, replaced by a schedule"] += 1
            continue
        since = str(constraint.start_date) if isinstance(constraint, StartDateConstraint) else ""
        quotes = _quotes(prices, {}, left_out)
        if not quotes:
            left_out["price list without a price we bill by"] += 1
            continue
        made.append(
            Row(
                layer=Layer.CATALOGUE,
                source=SOURCE,
                kind=("scheduled" if since > CHECKED else "change") if since else "price",
                valid_from=since,
                recorded=min(since, CHECKED),
                checked=CHECKED,
                quotes=quotes,
            )
        )
    return _promoted(made) if is_promoted else made


def _promoted(made: list[Row]) -> list[Row]:
    """A price that its own page calls introductory, and that has an announced successor."""
    kinds = [
        "promo" if index + 1 < len(made) and made[index + 1].kind == "scheduled" else row.kind
        for index, row in enumerate(made)
    ]
    return [msgspec.structs.replace(row, kind=kind) for row, kind in zip(made, kinds, strict=True)]


def _variants(model: Any, listed: list[Row], left_out: Counter[str]) -> list[Row]:
    """Batch, tiers and speed modes; a start that is only the day of verification is moved back.

    Where the day on which a tier was verified is after the standard price that it stands beside,
    the tier holds from that standard price on.
    """
    made: list[Row] = []
    starts: dict[tuple[str, str], list[str]] = {}
    for variant in model.price_variants or []:
        for pair in variant.when.items():
            since = str(variant.constraint.start_date) if variant.constraint else ""
            starts.setdefault(pair, []).append(since)
    for variant in model.price_variants or []:
        pair = next(iter(variant.when.items()))
        terms = TERMS.get(pair) if len(variant.when) == 1 else None
        if terms is None:
            left_out[f"variant {variant.when}"] += 1
            continue
        quotes = _quotes(variant.prices, terms, left_out)
        declared = str(variant.constraint.start_date) if variant.constraint else ""
        since = declared
        if declared == min(starts[pair]) and declared <= CHECKED:
            since = max(
                (row.valid_from for row in listed if row.valid_from <= declared), default=""
            )
        if quotes:
            made.append(
                Row(
                    layer=Layer.CATALOGUE,
                    source=SOURCE,
                    kind="scheduled" if since > CHECKED else "price",
                    valid_from=since,
                    recorded=min(declared, CHECKED),
                    checked=CHECKED,
                    quotes=quotes,
                )
            )
    return made


def _quotes(prices: Any, terms: dict[str, Any], left_out: Counter[str]) -> tuple[Quote, ...]:
    """A price list as quotes, one for each context tier."""
    tiers: dict[int, dict[str, str]] = {0: {}}
    for name, price in vars(prices).items():
        if price is None or name.startswith("_"):
            continue
        if name == "requests_kcount":
            tiers[0]["request"] = text(float(price) / 1000)
        elif name not in UNITS and name not in PICTURES:
            left_out[f"unit {name}"] += 1
        elif name in PICTURES:
            continue
        elif isinstance(price, TieredPrices):
            tiers[0][UNITS[name]] = text(price.base)
            for tier in price.tiers:
                tiers.setdefault(tier.start, {})[UNITS[name]] = text(tier.price)
        else:
            tiers[0][UNITS[name]] = text(price)
    pictures = [float(found) for name in PICTURES if (found := getattr(prices, name)) is not None]
    if pictures:
        tiers[0]["output"] = text(max(*pictures, float(tiers[0].get("output", 0))))
    return tuple(
        Quote(rates=rates, context_over=over, **terms)
        for over, rates in sorted(tiers.items())
        if rates
    )


def spelled(match: Any) -> Iterator[str]:
    """The names that a match spells out: what it would match by prefix or part, only as a whole.

    Patterns are left to our own rule for dated snapshots.
    """
    if isinstance(match, ClauseOr):
        for clause in match.or_:
            yield from spelled(clause)
    elif isinstance(match, ClauseAnd):
        for clause in match.and_:
            yield from spelled(clause)
    elif isinstance(match, ClauseEquals | ClauseStartsWith | ClauseContains | ClauseEndsWith):
        (name,) = vars(match).values()
        yield name.lower().lstrip("/").rstrip("-@:/")
