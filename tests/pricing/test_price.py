"""A price multiplies exactly, rounds once, and can be written down without loss."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.money import Money
from farthing.pricing.price import UNITS, Price, exact_text, price_of
from farthing.usage import Unit

PRICES = st.builds(Price, st.integers(0, 10**13), st.sampled_from([1, 1000, 10**6, 12 * 10**6]))
DECIMALS = st.decimals(0, 10**6, allow_nan=False, places=12)


@given(PRICES, st.integers(0, 10**9))
def test_a_count_costs_the_exact_product_rounded_half_to_even(price, count):
    assert price.of(count) == Money(round(Fraction(count * price.nanodollars, price.per)))


@given(PRICES, st.integers(0, 1000), st.integers(1, 1000))
def test_a_factor_multiplies_exactly(price, numerator, denominator):
    found = price.times(numerator, denominator)
    exact = Fraction(price.nanodollars, price.per) * Fraction(numerator, denominator)
    assert Fraction(found.nanodollars, found.per) == exact


def test_a_factor_that_divides_keeps_the_vendor_s_form():
    assert price_of(Unit.INPUT, "3").times(11, 10) == Price(3_300_000_000, 1_000_000)


@given(PRICES)
def test_the_text_of_a_rate_reads_back_exactly(price):
    exact = Fraction(price.nanodollars, price.per) * 1_000_000 / 10**9
    assert Fraction(price.per_million) == exact


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (price_of(Unit.INPUT, "2.5"), "2.5"),
        (price_of(Unit.INPUT, "10"), "10"),
        (price_of(Unit.CACHE_READ, "0.0028"), "0.0028"),
        (price_of(Unit.INPUT, "0.15").times(925, 1000), "0.13875"),  # 7.5 % off
        (price_of(Unit.OUTPUT, "4.4").times(11, 10), "4.84"),  # a region's uplift
        (price_of(Unit.INPUT, "1").times(1, 12), "1/12"),  # no decimal is exact
        (price_of(Unit.CACHE_READ, "1/3"), "1/3"),
        (price_of(Unit.CACHE_READ, "3/12"), "0.25"),
        (price_of(Unit.WEB_SEARCH, "10"), "10000"),  # quoted per thousand
        (price_of(Unit.REQUEST, "0.001"), "1000"),
    ],
)
def test_rates_are_shown_exactly(price, text):
    assert price.per_million == text


@given(st.fractions())
def test_every_fraction_reads_back_from_its_text(value):
    assert Fraction(exact_text(value)) == value


@given(DECIMALS)
def test_a_decimal_text_becomes_a_price_without_loss(amount):
    price = price_of(Unit.INPUT, str(amount))
    assert Fraction(price.nanodollars, price.per) == Fraction(amount) * 10**9 / 10**6


def test_an_amount_finer_than_a_nanodollar_per_million_keeps_its_digits():
    assert price_of(Unit.INPUT, "0.0000000015") == Price(15, 10_000_000)


def test_the_order_of_rates_is_the_order_of_units():
    assert tuple(Unit) == UNITS
