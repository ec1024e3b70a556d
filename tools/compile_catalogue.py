"""Compiles genai-prices and model-prices, at pinned versions, to our own catalogue.

    python tools/compile_catalogue.py

Deterministic: the same versions give the same bytes. Prints what it left out, and why.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from importlib import metadata, resources
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from farthing.pricing.book import Catalogue
from farthing.pricing.rows import Layer, Quote, Row, Window

OUT = Path(__file__).parent.parent / "src/farthing/pricing/data/catalogue.json.gz"
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
HISTORY_UNITS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
}
MODEL_PRICES_PROVIDERS = {"xai": "x-ai", "amazon-bedrock": "aws"}
left_out: Counter[str] = Counter()


def text(amount: Any) -> str:
    """A decimal text; float artefacts (0.18000000000000002) are cut off at twelve digits."""
    return f"{float(amount):.12f}".rstrip("0").rstrip(".") or "0"


def quotes(prices: Any, terms: dict[str, Any]) -> list[Quote]:
    """A model's prices as quotes, one for each context tier."""
    tiers: dict[int, dict[str, str]] = {0: {}}
    for name, price in vars(prices).items():
        if price is None or name.startswith("_"):
            continue
        if name == "requests_kcount":
            tiers[0]["request"] = text(float(price) / 1000)
        elif name not in UNITS:
            left_out[f"unit {name}"] += 1
        elif isinstance(price, TieredPrices):
            tiers[0][UNITS[name]] = text(price.base)
            for tier in price.tiers:
                tiers.setdefault(tier.start, {})[UNITS[name]] = text(tier.price)
        else:
            tiers[0][UNITS[name]] = text(price)
    return [
        Quote(rates=rates, context_over=over, **terms)
        for over, rates in sorted(tiers.items())
        if rates
    ]


def variant_terms(when: dict[str, str]) -> dict[str, Any] | None:
    """The terms of a variant; None: not one that we bill by."""
    if when == {"processing": "batch"}:
        return {"is_batch": True}
    if set(when) == {"service_tier"} and when["service_tier"] in ("flex", "priority"):
        return {"service_tier": when["service_tier"]}
    if when == {"speed": "fast"}:
        return {"speed": "fast"}
    return None


def catalogue_rows(model: Any) -> list[Row]:
    """The rows of one model of genai-prices."""
    version = metadata.version("genai-prices")
    conditional = model.prices if isinstance(model.prices, list) else None
    found: list[tuple[Any, Any]] = (
        [(c.constraint, c.prices) for c in conditional] if conditional else [(None, model.prices)]
    )
    extra: list[Quote] = []
    for variant in model.price_variants or []:
        terms = variant_terms(variant.when)
        if terms is None:
            left_out[f"variant {variant.when}"] += 1
        else:
            extra += quotes(variant.prices, terms)
    starts = sorted(str(c.start_date) for c, _ in found if isinstance(c, StartDateConstraint))
    rows = []
    for constraint, prices in found:
        since = str(constraint.start_date) if isinstance(constraint, StartDateConstraint) else ""
        windows: tuple[Window, ...] = ()
        if isinstance(constraint, TimeOfDateConstraint):
            windows = (
                Window(
                    start_minute=_minute(constraint.start_time),
                    end_minute=_minute(constraint.end_time),
                    weekdays=True,
                ),
            )
            since = starts[-1] if starts else ""
        until = "" if windows else next((s for s in starts if s > since), "")
        rows.append(
            Row(
                layer=Layer.CATALOGUE,
                source=f"genai-prices {version}",
                kind="scheduled" if since > "2026-11-24" else "price",
                valid_from=since,
                valid_to=until,
                windows=windows,
                recorded=since,
                quotes=(*quotes(prices, {}), *(extra if not windows else ())),
            )
        )
    return rows


def _minute(time: Any) -> int:
    return time.hour * 60 + time.minute


def equals(match: Any) -> list[str]:
    """The names that a match spells out; patterns are left to our own dated-suffix rule."""
    if isinstance(match, ClauseEquals):
        return [match.equals.lower()]
    if isinstance(match, ClauseOr):
        return [name for clause in match.or_ for name in equals(clause)]
    return []


def history_rows(modes: dict[str, Any], provider: str) -> list[Row]:
    """The dated rows of one model of model-prices."""
    version = metadata.version("model-prices")
    names = {"standard": {}, "batch": {"is_batch": True}, "flex": {"service_tier": "flex"}}
    names["fast"] = {"speed": "fast"} if provider == "anthropic" else {"service_tier": "priority"}
    rows = []
    for mode, entries in modes.items():
        if mode not in names:
            left_out[f"mode {mode}"] += 1
            continue
        for index, entry in enumerate(entries):
            rates = entry["rates"]
            if rates is None:
                continue
            since = (entry["start"] or "")[:10]
            until = (entries[index + 1]["start"] or "")[:10] if index + 1 < len(entries) else ""
            if since and since == until:
                continue
            made = [Quote(rates=_history(rates), **names[mode])]
            made += [
                Quote(rates=_history(t), context_over=t["above"], **names[mode])
                for t in rates.get("tiers", ())
            ]
            rows.append(
                Row(
                    layer=Layer.HISTORY,
                    source=f"model-prices {version}: {rates['source']}",
                    kind="change" if entry["start"] else "price",
                    valid_from=since,
                    valid_to=until,
                    recorded=rates["valid_from"][:10],
                    quotes=tuple(made),
                )
            )
    return rows


def _history(rates: dict[str, Any]) -> dict[str, str]:
    return {
        unit: text(rates[name])
        for name, unit in HISTORY_UNITS.items()
        if rates.get(name) is not None
    }


def is_slip(row: Row, typical: float) -> bool:
    """A unit slip: over $700 per million tokens, or more than 8x from the model's own median."""
    amounts = [
        float(q.rates["input"]) for q in row.quotes if "input" in q.rates and not q.context_over
    ]
    return any(
        a > 700 or (typical > 0 and a > 8 * typical and len(amounts) == 1 and a > 200)
        for a in amounts
    )


def main() -> None:
    """Compile, report, write."""
    rows: dict[str, dict[str, list[Row]]] = {}
    aliases: dict[str, dict[str, str]] = {}
    for provider in providers:
        for model in provider.models:
            name = model.id.lower()
            rows.setdefault(provider.id, {}).setdefault(name, []).extend(catalogue_rows(model))
            for other in equals(model.match):
                if other != name:
                    aliases.setdefault(provider.id, {}).setdefault(other, name)
    snapshot = json.loads(resources.files("model_prices").joinpath("snapshot.json").read_text())
    for lab, models in snapshot["prices"].items():
        provider = MODEL_PRICES_PROVIDERS.get(lab, lab)
        for model, modes in models.items():
            name = model.lower()
            if name in aliases.get(provider, {}) and name not in rows.get(provider, {}):
                base = aliases[provider].pop(name)
                rows[provider][name] = list(rows[provider][base])  # its own history from here on
            rows.setdefault(provider, {}).setdefault(name, []).extend(history_rows(modes, provider))
    for models in rows.values():
        for name, found in models.items():
            inputs = [
                float(q.rates["input"]) for r in found for q in r.quotes if "input" in q.rates
            ]
            typical = median(inputs) if inputs else 0.0
            kept = [row for row in found if not is_slip(row, typical)]
            left_out["unit slip"] += len(found) - len(kept)
            models[name] = kept
    catalogue = Catalogue(
        note="Generated by tools/compile_catalogue.py from genai-prices and model-prices (MIT).",
        rows={
            p: {m: tuple(r) for m, r in sorted(ms.items()) if r} for p, ms in sorted(rows.items())
        },
        aliases={p: dict(sorted(a.items())) for p, a in sorted(aliases.items())},
    )
    OUT.parent.mkdir(exist_ok=True)
    packed = gzip.compress(msgspec.json.encode(catalogue), 9, mtime=0)
    OUT.write_bytes(packed)
    print(f"{OUT.name}: {len(packed)} bytes, {sum(map(len, rows.values()))} models")
    for what, count in left_out.most_common():
        print(f"  left out {count:5d}  {what}")


if __name__ == "__main__":
    main()
