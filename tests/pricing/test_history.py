"""The compiled history against an independent extract of the same dated prices.

The extract (`../shared/data/prices`, see its README) was made by other code: one line for each
price that model-prices dates, 985 of them. The book must say the same at the end of each day.
"""

from __future__ import annotations

import csv
import gzip
from fractions import Fraction
from pathlib import Path

import pytest
from pricing_samples import BOOK

from farthing.pricing import RateCard
from farthing.pricing.price import UNITS
from farthing.pricing.rows import day_us
from farthing.pricing.schedules import SCHEDULES, rush
from farthing.usage import Unit

EXTRACT = Path(__file__).parents[3] / "shared/data/prices/price_history.csv.gz"
SNAPSHOT = "2026-10-26"  # what the extract dates later was announced, or read elsewhere
OUTPUT = UNITS.index(Unit.OUTPUT)

# The book answers otherwise on purpose.
OTHERWISE = {
    ("openai", "o1-mini", "2025-06-05"): "verified: cut on 2025-01-31",
    ("google", "gemini-2.5-flash-preview-09-2025", "2025-09-26"): "verified: not the older price",
    ("longcat", "LongCat-2.0", "2026-07-04"): "corrected on the day it was first read",
    ("alibaba", "qwen3.7-plus", "2026-06-03"): "corrected on the day it was first read",
    ("upstage", "solar-pro4", "2026-08-06"): "free from the day before; a price of zero is none",
}

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not EXTRACT.exists(), reason="the real data folder ../shared/data is absent"
    ),
]


@pytest.fixture(scope="module")
def days():
    """The last price of each provider, model and day: ((provider, model, day), (in, out))."""
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


def test_the_book_says_what_the_extract_says_of_each_day(days):
    assert len(days) > 800
    differing = {}
    for (provider, model, day), pair in days.items():
        ours = booked(provider, model, day)
        theirs = tuple(Fraction(amount) if float(amount or 0) else None for amount in pair)
        if ours is None or any(b is not None and a != b for a, b in zip(ours, theirs, strict=True)):
            differing[provider, model, day] = (ours, theirs)
    assert set(differing) == set(OTHERWISE), differing
