"""Money is exact: integer nanodollars, decimal texts in and out, one rounding."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.money import ZERO, Money, round_half_even, total

SUMS = st.integers(-(2**63), 2**63 - 1).map(Money)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_rounding_is_half_to_even_as_fractions_round(numerator, denominator):
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("numerator", "rounded"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2)]
)
def test_a_tie_goes_to_the_even_neighbour(numerator, rounded):
    assert round_half_even(numerator, 2) == rounded


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_must_be_positive(denominator):
    with pytest.raises(ValueError, match="must be positive"):
        round_half_even(1, denominator)


@given(SUMS)
def test_a_sum_reads_back_from_its_text(amount):
    assert Money.usd(str(amount)) == amount
    assert Decimal(str(amount)).scaleb(9) == amount.nanodollars


@pytest.mark.parametrize(
    ("nanodollars", "text"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (2_500_000, "0.0025"),
        (1_250_000_000, "1.25"),
        (-10_000_000_000, "-10.00"),
    ],
)
def test_the_text_is_exact_and_has_two_decimals_at_least(nanodollars, text):
    assert str(Money(nanodollars)) == text


@pytest.mark.parametrize(
    ("amount", "nanodollars"),
    [("0.0025", 2_500_000), (3, 3 * 10**9), (Decimal("1e-9"), 1), ("-0.5", -(10**9) // 2)],
)
def test_an_amount_comes_in_as_text_integer_or_decimal(amount, nanodollars):
    assert Money.usd(amount) == Money(nanodollars)


def test_a_float_never_means_money():
    with pytest.raises(TypeError, match="float never means money"):
        Money.usd(0.1)


@pytest.mark.parametrize("amount", ["", "a cent", "NaN", "Infinity", "1,000"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValueError, match="is not an amount in USD"):
        Money.usd(amount)


def test_an_amount_finer_than_a_nanodollar_is_refused_not_rounded():
    with pytest.raises(ValueError, match="finer than one nanodollar"):
        Money.usd("0.0000000001")


@given(SUMS, SUMS)
def test_sums_add_subtract_negate_and_order_like_their_nanodollars(one, other):
    assert (one + other).nanodollars == one.nanodollars + other.nanodollars
    assert one - other == one + -other
    assert (one < other) == (one.nanodollars < other.nanodollars)


@given(st.lists(SUMS))
def test_a_total_is_the_exact_sum(sums):
    assert total(sums).nanodollars == sum(item.nanodollars for item in sums)


def test_nothing_sums_to_zero_and_zero_is_false():
    assert total(()) == ZERO
    assert not ZERO
    assert Money(1)


def test_a_million_calls_of_one_token_sum_exactly():
    """Floats give 0.15000000000209981 (LiteLLM's form of $0.15 per million)."""
    assert total([Money(150)] * 1_000_000) == Money.usd("0.15")
