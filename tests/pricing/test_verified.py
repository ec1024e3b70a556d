"""Verified rows: each names its page and its day, and agrees with the dated records."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import date
from pathlib import Path

import pytest
from pricing_samples import BOOK

from farthing.pricing import RateCard
from farthing.pricing.retired import RETIRED
from farthing.pricing.rows import Layer, day_us
from farthing.pricing.verified import VERIFIED

RECORDS = Path(__file__).parents[3] / "shared/data/prices/price_history.csv.gz"
ROWS = [
    pytest.param(who, model, row, id=f"{model}@{row.valid_from}")
    for who, models in VERIFIED.items()
    for model, rows in models.items()
    for row in rows
]


@pytest.mark.parametrize(("who", "model", "row"), ROWS)
def test_a_row_names_its_page_its_day_and_how_it_was_checked(who, model, row):
    assert re.fullmatch(r"https://\S+ \(\d{4}-\d\d-\d\d\)", row.source)
    assert re.fullmatch(r"page https://\S+|records?", row.verified_by)
    assert row.layer is Layer.VERIFIED
    assert row.recorded == row.valid_from <= row.checked
    assert date.fromisoformat(row.valid_from)


@pytest.mark.parametrize(("who", "model", "row"), ROWS)
def test_a_row_prices_its_day(who, model, row):
    card = BOOK.card(who, model, day_us(row.valid_from))
    assert isinstance(card, RateCard)
    assert (card.layer, card.source, card.since) == ("verified", row.source, row.valid_from)


@pytest.mark.parametrize("who", VERIFIED)
def test_rows_of_a_model_stand_in_the_order_of_their_days(who):
    for rows in VERIFIED[who].values():
        days = [row.valid_from for row in rows]
        assert days == sorted(set(days))


@pytest.mark.parametrize("who", RETIRED)
def test_retirements_name_their_page_and_were_announced_first(who):
    for rows in RETIRED[who].values():
        for row in rows:
            assert row.source.startswith("https://")
            assert row.recorded <= row.valid_from
            assert row.quotes == ()


@pytest.fixture(scope="module")
def records():
    """Prices per million by model as independent catalogues recorded them: (source, in, out)."""
    if not RECORDS.exists():
        pytest.skip("the real data folder ../shared/data is absent")
    found = {}
    with gzip.open(RECORDS, "rt") as lines:
        for line in csv.DictReader(lines):
            amounts = (line["usd_in_per_mtok"], line["usd_out_per_mtok"])
            if all(amounts) and not line["suspect"]:
                name = line["provider_model_id"].rsplit("/", 1)[-1]
                price = tuple(float(amount) for amount in amounts)
                found.setdefault((name, *price), set()).add(_origin(line["source"]))
    return found


def _origin(source):
    """Who recorded it; a copy of another's list is no second record."""
    name = source.split()[0]
    copied = re.search(r"\((\w+)\)", name)
    return copied[1] if copied else name


@pytest.mark.shared_data
@pytest.mark.parametrize(("who", "model", "row"), ROWS)
def test_dated_records_agree_with_a_row_as_often_as_it_claims(records, who, model, row):
    """`records`: at least two sources have the figures; `record`: at least one."""
    fresh, out = (float(row.rates().get(unit, 0)) for unit in ("input", "output"))
    alike = [name for name, rows in VERIFIED[who].items() if row in rows]  # aliases of one model
    names = {re.sub(r"-(\d{4}-\d\d-\d\d|\d{8}|latest|\d{3,4})$", "", m) for m in alike}
    names |= set(alike)
    sources = set().union(*(records.get((name, fresh, out), set()) for name in names))
    assert len(sources) >= {"page": 2, "record": 1, "records": 2}[row.verified_by.split()[0]]
