"""The compiled history against the library it came from, and against an extract by other code.

The extract (`../shared/data/prices`, see its README) has one line for each price that model-prices
dates, 985 of them. The book must say the same at the end of each day.
"""

from __future__ import annotations

import csv
import gzip
import random
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from pricing_samples import BOOK

from farthing.pricing import RateCard, read_catalogue
from farthing.pricing.compose import View, compose
from farthing.pricing.price import UNITS
from farthing.pricing.rows import Layer, day_us
from farthing.pricing.schedules import SCHEDULES, rush
from farthing.usage import Unit

EXTRACT = Path(__file__).parents[3] / "shared/data/prices/price_history.csv.gz"
SNAPSHOT = "2026-10-26"  # what the extract dates later was announced, or read elsewhere
OUTPUT = UNITS.index(Unit.OUTPUT)
CATALOGUE = read_catalogue()

# The book answers otherwise on purpose.
OTHERWISE = {
    ("openai", "o1-mini", "2025-06-05"): "verified: cut on 2025-01-31",
    ("google", "gemini-2.5-flash-preview-09-2025", "2025-09-26"): "verified: not the older price",
    ("longcat", "LongCat-2.0", "2026-07-04"): "corrected on the day it was first read",
    ("alibaba", "qwen3.7-plus", "2026-06-03"): "corrected on the day it was first read",
    ("upstage", "solar-pro4", "2026-08-06"): "free from the day before; a price of zero is none",
}


@pytest.fixture(scope="module")
def days():
    """The last price of each provider, model and day: ((provider, model, day), (in, out))."""
    if not EXTRACT.exists():
        pytest.skip("the real data folder ../shared/data is absent")
    found = {}
    with gzip.open(EXTRACT, "rt") as lines:
        for line in csv.DictReader(lines):
            if line["source"].startswith("wakamex/") and line["effective_date"] <= SNAPSHOT:
                key = (line["provider"], line["provider_model_id"], line["effective_date"])
                found[key] = (line["usd_in_per_mtok"], line["usd_out_per_mtok"])
    return {key: pair for key, pair in found.items() if any(float(a or 0) for a in pair)}


def booked(provider, model, day):
    """Input and output at the end of a day, in USD per million, the hour's factor taken out."""
    at_us = day_us(day) + 86_399_000_000
    card = BOOK.card(provider, model, at_us)
    if not isinstance(card, RateCard):
        return None
    factor = rush(SCHEDULES.get(card.provider, ()), model.lower(), at_us, None).factor
    pair = (card.sets[0].rates[0], card.sets[0].rates[OUTPUT])
    return tuple(price and Fraction(price.per_million) / factor for price in pair)


@pytest.mark.shared_data
def test_the_book_says_what_the_extract_says_of_each_day(days):
    assert len(days) > 800
    differing = {}
    for (provider, model, day), pair in days.items():
        ours = booked(provider, model, day)
        theirs = tuple(Fraction(amount) if float(amount or 0) else None for amount in pair)
        if ours is None or any(b is not None and a != b for a, b in zip(ours, theirs, strict=True)):
            differing[provider, model, day] = (ours, theirs)
    assert set(differing) == set(OTHERWISE), differing


@pytest.fixture(scope="module")
def library():
    """The library whose snapshot was compiled, as an oracle of its own."""
    return pytest.importorskip("model_prices", reason="dependency group `catalogue`")


def asked(seed, count):
    """A seeded sample of models with a dated history, each with an instant."""
    chance = random.Random(seed)
    models = sorted(
        (provider, model)
        for provider, listed in CATALOGUE.rows.items()
        for model, rows in listed.items()
        if any(row.layer is Layer.HISTORY for row in rows)
    )
    for _ in range(count):
        second = chance.randrange(day_us("2025-06-05"), day_us(SNAPSHOT)) // 10**6
        yield *chance.choice(models), second * 10**6


def dated(provider, model, at_us, known_us):
    """Input, output and cache read by the compiled history alone, hours included."""
    rows = [
        row
        for row in CATALOGUE.rows[provider][model]
        if row.layer is Layer.HISTORY and row.holds(at_us) and row.is_known(known_us)
    ]
    hour = rush(SCHEDULES.get(provider, ()), model, at_us, None)
    card = compose(provider, model, rows, View(known_us=known_us, rush=hour.factor))
    rates = card.sets[0].rates if card else (None,) * len(UNITS)
    return [rates[index] and Fraction(rates[index].per_million) for index in (0, OUTPUT, 1)]


@pytest.mark.parametrize("is_corrected", [True, False], ids=["as it was", "as it was known then"])
def test_a_wide_sample_is_what_the_library_itself_says(library, is_corrected):
    """With its corrections, and without: what models.dev said at the time.

    Where the library says nothing, or says it from a later reading, it is no oracle: there it lets
    the first price that it saw reach back, and we the correction.
    """
    compared = 0
    for provider, model, at_us in asked(20261026, 4000):
        when = datetime.fromtimestamp(at_us // 10**6, UTC)
        lab = {"x-ai": "xai", "aws": "amazon-bedrock"}.get(provider, provider)
        found = library.rates(model, at=when, provider=lab, corrected=is_corrected)
        if (
            found is None
            or found.provider != lab
            or found.removed_suffix
            or found.model.lower() != model
            or not found.input
            or datetime.fromisoformat(found.valid_from) > when
        ):
            continue
        ours = dated(provider, model, at_us, None if is_corrected else at_us)
        for mine, theirs in zip(ours, (found.input, found.output, found.cache_read), strict=True):
            if theirs:
                assert mine == Fraction(f"{theirs:.12f}"), (provider, model, when, ours, found)
        compared += 1
    assert compared > 1000
