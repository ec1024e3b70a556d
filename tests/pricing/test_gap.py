"""A provider's own cost beside the card's: told where they differ by more than one percent."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import usd

from farthing.money import Money
from farthing.pricing import cost_gap


@pytest.mark.parametrize(
    ("provider", "card", "is_gap"),
    [("1.01", "1", False), ("1.0100001", "1", True), ("0.99", "1", False), ("0.98", "1", True),
     ("0", "0", False), ("0.01", "0", True)],
)  # fmt: skip
def test_a_provider_s_own_cost_is_a_gap_beyond_one_percent(provider, card, is_gap):
    assert (cost_gap(usd(provider), usd(card)) is not None) == is_gap


def test_a_gap_says_how_much_and_how_many_times():
    """DeepInfra's own `estimated_cost` was 1.5x what a catalogue made of it (litellm #38802)."""
    found = cost_gap(usd("0.15"), usd("0.10"))
    assert (found.difference, found.ratio) == (usd("0.05"), "1.5")
    assert cost_gap(usd("1"), usd("0")).ratio == ""


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.fractions(0, 2))
def test_a_gap_is_exact_at_its_tolerance(provider, card, tolerance):
    found = cost_gap(Money(provider), Money(card), tolerance)
    assert (found is None) == (Fraction(abs(provider - card)) <= tolerance * card)
