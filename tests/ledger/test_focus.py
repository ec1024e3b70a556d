from decimal import Decimal

import pytest
from hypothesis import given, settings
from ledger_samples import NOON_US, an_attempt, an_entry, many_entries
from priced_samples import FlatCard

from farthing.call import Attribution, Pricing
from farthing.ledger.focus import focus_columns, focus_rows
from farthing.ledger.shares import shares
from farthing.money import Money
from farthing.usage import STANDARD, Unit, Usage

CARD = FlatCard(dict.fromkeys(Unit, 3))
HOUR_US = 3_600_000_000


def split(attempt):
    return shares(attempt, CARD.cost(attempt.usage, STANDARD).lines)


@settings(max_examples=30)
@given(many_entries)
def test_the_sum_of_billed_costs_is_the_ledger_s_total(entries):
    ordered = sorted(entries, key=lambda entry: entry.started_us)
    rows = list(focus_rows(ordered, split))
    billed = sum(Decimal(row["BilledCost"]) for row in rows)
    assert billed == Decimal(str(Money(sum(e.cost.nanodollars for e in entries))))
    assert all(set(row) == set(focus_columns("1.4")) for row in rows)


def test_each_kind_of_token_has_its_row():
    entry = an_entry(attempts=(an_attempt(usage=Usage(input=1, cache_read=2, output=3), cost=18),))
    rows = list(focus_rows([entry], split))
    assert [
        (r["SkuMeter"], r["x_TokenDirection"], r["x_TokenCacheAction"], r["ConsumedQuantity"])
        for r in rows
    ] == [
        ("Input Cache Read Tokens", "Input", "Read", "2"),
        ("Input Tokens", "Input", "Uncached", "1"),
        ("Output Tokens", "Output", "", "3"),
    ]
    assert rows[0]["BillingPeriodStart"] == "2026-09-01T00:00:00Z"
    assert rows[0]["BillingPeriodEnd"] == "2026-10-01T00:00:00Z"
    assert rows[0]["ChargePeriodStart"] == "2026-09-01T12:00:00Z"
    assert rows[0]["ChargePeriodEnd"] == "2026-09-01T13:00:00Z"


def test_calls_of_one_hour_and_price_share_a_row_and_hours_do_not():
    one = (an_attempt(usage=Usage(input=5), cost=15),)
    entries = [
        an_entry("a", attempts=one),
        an_entry("b", attempts=one),
        an_entry("c", attempts=one, started_us=NOON_US + HOUR_US),
    ]
    rows = list(focus_rows(entries, split))
    assert [(row["ConsumedQuantity"], row["x_RequestCount"]) for row in rows] == [
        ("10", "2"),
        ("5", "1"),
    ]


@pytest.mark.parametrize(
    ("pricing", "source"),
    [(Pricing.UNPRICED_MODEL, "unpriced_model"), (Pricing.FREE, "unpriced")],
)
def test_what_has_no_price_says_so(pricing, source):
    entry = an_entry(attempts=(an_attempt(cost=None, pricing=pricing),))
    assert {row["x_CostSource"] for row in focus_rows([entry], split)} == {source}


def test_a_correction_is_marked_as_one():
    entry = an_entry(corrects="older", attempts=(an_attempt(cost=-9, usage=Usage()),))
    (row,) = focus_rows([entry], split)
    assert (row["ChargeClass"], row["BilledCost"]) == ("Correction", "-0.000000009")


def test_version_1_2_has_the_older_names_of_providers():
    (row, *_) = focus_rows([an_entry()], split, "1.2")
    assert (row["ProviderName"], row["PublisherName"]) == ("openai", "openai")
    assert set(row) == set(focus_columns("1.2"))
    assert "ServiceProviderName" not in row


def test_the_rows_pass_the_structural_linter_of_focus_1_4():
    validator = pytest.importorskip(
        "focus_data_toolkit.model.validator",
        reason="needs focus-data-toolkit 0.14.1, which holds the FOCUS 1.4 model",
    )
    entries = [
        an_entry("a", attribution=Attribution(feature="search", tenant="acme")),
        an_entry("b", corrects="a", attempts=(an_attempt(cost=-9, usage=Usage()),)),
        an_entry("c", attempts=(an_attempt(cost=None, pricing=Pricing.UNPRICED_MODEL),)),
        an_entry("d", attempts=(an_attempt(usage=Usage(web_search=2, request=1), cost=9),)),
    ]
    report = validator.lint_focus_1_4_structure("Cost and Usage", list(focus_rows(entries, split)))
    assert report.messages() == []
