"""The hidden multipliers of a request, by hand-computed figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import usd

from farthing.money import Money
from farthing.pricing import DAYS_PER_MONTH, Volume, project


def test_a_cent_a_request_is_ten_thousand_dollars_a_day_at_a_million_requests():
    grown = project(usd("0.01"), Volume(per_day="1000000"))
    assert (grown.per_day, grown.per_month) == (usd("10000"), usd("300000"))


def test_regenerations_and_steps_multiply_a_request_and_turns_a_conversation():
    grown = project(usd("0.01"), Volume(per_day="1", regenerations="1.3", steps="4", turns="6"))
    assert grown.per_call == usd("0.01")
    assert grown.per_request == usd("0.052")
    assert grown.per_conversation == usd("0.312")
    assert grown.per_day == usd("0.052")
    assert grown.per_month == usd("1.56")


def test_each_sum_is_rounded_once_from_the_exact_product():
    """1 nanodollar x 1.3 is 1; a month of it is 39, not 30 x 1."""
    grown = project(Money(1), Volume(per_day="1", regenerations="1.3"))
    assert grown.per_request == Money(1)
    assert grown.per_month == Money(39)


@given(st.integers(0, 10**12), st.integers(0, 10**6))
def test_whole_factors_need_no_rounding(nanodollars, per_day):
    grown = project(Money(nanodollars), Volume(per_day=str(per_day)))
    assert grown.per_month.nanodollars == nanodollars * per_day * DAYS_PER_MONTH


@pytest.mark.parametrize("factor", ["-1", "many", "1/0", "", "inf", "nan"])
def test_a_factor_must_be_a_number_and_not_negative(factor):
    with pytest.raises(ValueError, match=r"must not be negative|is no number"):
        project(usd("1"), Volume(steps=factor))
