"""Prices of one's own: what may be written, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from farthing.pricing import PriceOverride, PricingSettings


@pytest.mark.parametrize("given", [{}, {"input": "1", "discount_percent": "5"}])
def test_an_override_needs_rates_or_a_discount(given):
    with pytest.raises(ValueError, match="either rates or discount"):
        PriceOverride(model="x", **given)


def test_an_override_ends_after_it_begins():
    with pytest.raises(ValueError, match="valid_to must come after"):
        PriceOverride(model="x", input="1", valid_from="2026-02-01", valid_to="2026-01-01")


def test_a_discount_is_at_most_the_whole_price():
    assert PriceOverride(model="x", discount_percent="100").discount_percent == "100"
    with pytest.raises(ValueError, match="must not exceed 100"):
        PriceOverride(model="x", discount_percent="100.1")


@pytest.mark.parametrize("amount", ["1/12", "0", "0.075", "3"])
def test_an_amount_is_a_decimal_text_or_a_fraction(amount):
    assert msgspec.convert({"model": "x", "input": amount}, PriceOverride).input == amount


@pytest.mark.parametrize(
    "given",
    [
        {"model": "x", "input": "1/0"},
        {"model": "x", "input": "1.5/2"},
        {"model": "x", "input": "-1"},
        {"model": "x", "input": "1e3"},
        {"model": "x", "input": 1.5},
        {"model": "x", "input": "1", "valid_from": "soon"},
        {"model": "", "input": "1"},
        {"model": "x", "input": "1", "colour": "red"},
    ],
)
def test_what_is_no_price_is_refused_when_read(given):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, PriceOverride)


def test_a_price_reads_as_it_is_written():
    read = msgspec.convert({"model": "m", "input": "0.20", "batch": True}, PriceOverride)
    assert (read.input, read.batch, read.source) == ("0.20", True, "farthing.toml")


def test_unknown_prices_are_allowed_and_flagged_by_default():
    assert PricingSettings().unknown == "allow"
