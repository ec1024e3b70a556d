"""The price book against hand-computed figures, and against the failures that peers had."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.money import Money
from farthing.pricing import (
    PriceBook,
    Priced,
    PriceOverride,
    PricingSettings,
    RateCard,
    Unpriced,
    UnpricedReason,
    Volume,
    project,
)
from farthing.pricing.rows import day_us
from farthing.usage import Terms, Unit, Usage

BOOK = PriceBook.load()
NOW = day_us("2026-11-24")
MILLION = 1_000_000


def cost(model, usage, *, provider="", at="2026-11-24", terms=None, book=BOOK):
    return book.cost(
        usage, provider=provider, model=model, at_us=day_us(at), terms=terms or Terms()
    )


def usd(amount):
    return Money.usd(amount)


@pytest.mark.parametrize(
    ("model", "at", "fresh", "out"),
    [
        ("gpt-4o", "2024-06-01", "5", "15"),  # the alias before it moved
        ("gpt-4o", "2026-11-24", "2.5", "10"),
        ("gpt-4o-2024-05-13", "2026-11-24", "5", "15"),
        ("gpt-4o-2024-08-06", "2024-09-01", "2.5", "10"),
        ("gpt-4o-mini-2024-07-18", "2026-11-24", "0.15", "0.6"),
        ("gpt-3.5-turbo", "2023-12-01", "1", "2"),
        ("gpt-3.5-turbo", "2024-06-01", "0.5", "1.5"),
        ("claude-haiku-4-5-20251001", "2026-11-24", "1", "5"),
        ("gpt-5.6-sol", "2026-08-01", None, "30"),  # cut on 2026-08-21
        ("gpt-5.4-mini", "2026-11-24", "0.75", "4.5"),  # never gpt-5
    ],
)
def test_a_call_is_priced_with_the_card_of_its_day(model, at, fresh, out):
    small = Usage(output=1000)
    assert cost(model, small, at=at).total.nanodollars == Fraction(out) * 10**6
    if fresh is not None:
        assert cost(model, Usage(input=1000), at=at).total.nanodollars == Fraction(fresh) * 10**6


def test_a_context_tier_is_a_cliff_for_the_whole_call():
    below = cost("gpt-5.4", Usage(input=272_000))
    above = cost("gpt-5.4", Usage(input=272_001, output=1000))
    assert below.total == usd("0.68")
    assert above.lines[0].cost.nanodollars == 272_001 * 5000
    assert above.lines[1].cost == usd("0.0225")


def test_cached_tokens_count_towards_the_tier_and_are_billed_once():
    found = cost("gpt-5.4", Usage(input=1000, cache_read=300_000))
    assert [line.cost for line in found.lines] == [usd("0.005"), usd("0.15")]


def test_an_hour_of_cache_costs_more_to_write_than_five_minutes():
    usage = Usage(cache_write_5m=MILLION // 10, cache_write_1h=MILLION // 10)
    found = cost("claude-haiku-4-5", usage)
    assert [line.cost for line in found.lines] == [usd("0.125"), usd("0.2")]


def test_batch_is_half_price_and_flex_and_priority_have_their_own():
    usage = Usage(output=MILLION)
    assert cost("gpt-4o", usage, terms=Terms(is_batch=True)).total == usd("5")
    assert cost("gpt-5", usage, terms=Terms(service_tier="flex")).total == usd("5")
    assert cost("gpt-5", usage, terms=Terms(service_tier="priority")).total == usd("20")


def test_reasoning_is_billed_as_output():
    assert cost("gpt-5", Usage(reasoning=MILLION)).total == usd("10")


def test_an_unknown_tier_is_unpriced_and_never_the_base_price():
    found = cost("gpt-4o", Usage(input=1), terms=Terms(service_tier="bogus"))
    assert isinstance(found, Unpriced)
    assert found.reason is UnpricedReason.CONDITION


def test_an_unknown_region_is_unpriced_and_the_us_uplift_is_for_new_models_only():
    usage = Usage(output=MILLION)
    plain = cost("claude-sonnet-5-5", usage).total.nanodollars
    uplifted = cost("claude-sonnet-5-5", usage, terms=Terms(region="us")).total.nanodollars
    assert uplifted * 10 == plain * 11
    assert cost("claude-haiku-4-5", usage, terms=Terms(region="us")).total == usd("5")
    assert isinstance(cost("claude-sonnet-5-5", usage, terms=Terms(region="mars")), Unpriced)


@pytest.mark.parametrize("model", ["nope", "gpt-4o-nope", "gpt-5.4-mini-turbo", ""])
def test_an_unknown_model_is_unpriced(model):
    found = cost(model, Usage(input=1))
    assert isinstance(found, Unpriced)
    assert found.reason is UnpricedReason.MODEL


def test_peak_hours_end_with_the_week():
    usage = Usage(output=MILLION)
    monday = cost("deepseek-v4-pro", usage, at="2026-11-23T02:00:00+00:00").total
    sunday = cost("deepseek-v4-pro", usage, at="2026-11-22T02:00:00+00:00").total
    assert monday.nanodollars == 2 * sunday.nanodollars


def test_a_web_search_has_its_fee():
    found = cost("claude-haiku-4-5", Usage(input=1, web_search=3))
    assert found.lines[-1].unit is Unit.WEB_SEARCH
    assert found.lines[-1].cost == usd("0.03")


OWN = PricingSettings(
    overrides=(
        PriceOverride(
            model="house-1", provider="house", input="0.2", output="0.6", request="0.001"
        ),
        PriceOverride(model="gpt-4o", provider="openai", input="1", valid_from="2026-11-01"),
        PriceOverride(model="claude-*", discount_percent="12.5", valid_from="2026-11-01"),
    )
)
MINE = PriceBook.load(OWN)


def test_a_price_of_ones_own_wins_while_it_is_valid():
    usage = Usage(input=MILLION // 10, output=MILLION // 10)
    assert cost("gpt-4o", usage, book=MINE).total == usd("1.1")
    assert cost("gpt-4o", usage, book=MINE, at="2026-10-31").total == usd("1.25")
    assert cost("house-1", usage, provider="house", book=MINE).total == usd("0.081")


def test_a_discount_multiplies_before_the_one_rounding():
    found = cost("claude-haiku-4-5", Usage(output=1), book=MINE)
    assert found.total.nanodollars == 4375
    assert cost("claude-haiku-4-5", Usage(output=1), book=MINE, at="2026-10-31").total == usd(
        "0.000005"
    )


def test_the_ceiling_prices_what_is_unknown_and_says_so():
    card = BOOK.substitute("x", "nope", NOW)
    assert card.kind == "estimate"
    assert card.cost(Usage(input=MILLION)).total == usd("75")


COUNTS = st.integers(0, 10**7)
MODELS = ["gpt-4o", "gpt-5.4", "claude-sonnet-5-5", "claude-haiku-4-5", "gemini-2.5-flash"]


@given(st.sampled_from(MODELS), COUNTS, COUNTS, COUNTS, COUNTS)
def test_each_line_is_rounded_once_half_to_even(model, fresh, read, out, reasoning):
    usage = Usage(input=fresh, cache_read=read, output=out, reasoning=reasoning)
    card = BOOK.card("", model, NOW)
    found = card.cost(usage)
    for line in found.lines:
        exact = Fraction(line.count) * line.nanodollars / line.per
        assert line.cost.nanodollars == round(exact)  # Python rounds Fractions half to even
    assert found.total.nanodollars == sum(line.cost.nanodollars for line in found.lines)
    assert card.total(usage) == found.total


@given(st.sampled_from(MODELS), st.integers(0, NOW))
def test_repricing_at_the_same_instant_is_the_identity(model, at_us):
    other = PriceBook(BOOK._catalogue, PricingSettings())
    assert other.card("", model, at_us) == BOOK.card("", model, at_us)


@pytest.mark.parametrize("model", MODELS)
def test_a_card_can_be_stored_and_read_back(model):
    card = BOOK.card("", model, NOW)
    assert msgspec.json.decode(card.to_json(), type=RateCard) == card


def test_an_override_needs_rates_or_a_discount():
    with pytest.raises(ValueError, match="either rates or discount"):
        PriceOverride(model="x")
    with pytest.raises(ValueError, match="either rates or discount"):
        PriceOverride(model="x", input="1", discount_percent="5")
    with pytest.raises(ValueError, match="valid_to must come after"):
        PriceOverride(model="x", input="1", valid_from="2026-02-01", valid_to="2026-01-01")


def test_the_seeds_example_a_cent_a_request_is_ten_thousand_dollars_a_day():
    grown = project(usd("0.01"), Volume(per_day="1000000"))
    assert grown.per_day == usd("10000")
    assert grown.per_month == usd("300000")
    multiplied = project(
        usd("0.01"), Volume(per_day="1", regenerations="1.3", steps="4", turns="6")
    )
    assert (multiplied.per_request, multiplied.per_conversation) == (usd("0.052"), usd("0.312"))
    with pytest.raises(ValueError, match="negative"):
        project(usd("1"), Volume(steps="-1"))


def test_priced_results_name_their_card():
    found = cost("gpt-4o", Usage(input=1))
    assert isinstance(found, Priced)
    assert found.card_id == BOOK.card("", "gpt-4o", NOW).id


@pytest.mark.parametrize(
    ("provider", "model"),
    [("azure", "gpt-4o"), ("xai", "grok-4"), ("gemini", "gemini-2.5-flash"), ("", "openai/gpt-4o")],
)
def test_providers_are_known_by_the_names_that_people_write(provider, model):
    assert isinstance(BOOK.card(provider, model, NOW), RateCard)


def test_close_names_are_offered_for_an_unknown_model():
    assert "gpt-4o" in BOOK.near("openai", "gpt-4oo")
