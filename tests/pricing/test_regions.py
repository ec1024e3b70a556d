"""Regional uplifts begin with models released from a day on."""

from __future__ import annotations

import pytest
from pricing_samples import MILLION, cost

from farthing.pricing import Unpriced
from farthing.pricing.regions import regions_of
from farthing.usage import Terms, Usage


@pytest.mark.parametrize(
    ("model", "region", "uplift"),
    [
        ("claude-opus-4-6", "us", "1.1"),
        ("claude-sonnet-5-5", "us", "1.1"),
        ("claude-opus-4-5-20251101", "us", "1"),
        ("claude-haiku-4-5", "us", "1"),
        ("claude-3-haiku-20240307", "us", "1"),
        ("gpt-5.4", "eu", "1.1"),
        ("gpt-6-sol", "us", "1.1"),
        ("gpt-5.2", "eu", "1"),
        ("gpt-4o", "jp", "1"),
        ("o3", "au", "1"),
    ],
)
def test_only_models_from_the_cut_off_on_cost_more_in_a_region(model, region, uplift):
    usage = Usage(output=MILLION)
    plain, there = cost(model, usage).total, cost(model, usage, terms=Terms(region=region)).total
    assert there.nanodollars * 10 == plain.nanodollars * int(float(uplift) * 10)


@pytest.mark.parametrize(
    ("model", "region"), [("claude-opus-5-5", "eu"), ("gpt-5.4", "mars"), ("gemini-2.5-pro", "us")]
)
def test_a_region_that_the_provider_does_not_price_is_unpriced(model, region):
    assert isinstance(cost(model, Usage(input=1), terms=Terms(region=region)), Unpriced)


def test_a_model_nobody_knows_yet_counts_as_new():
    (region,) = regions_of("anthropic", "claude-saga-9")
    assert (region.name, region.numerator, region.denominator) == ("us", 11, 10)


def test_the_uplift_leaves_search_fees_alone():
    usage = Usage(web_search=1)
    plain = cost("claude-opus-5-5", usage).total
    assert cost("claude-opus-5-5", usage, terms=Terms(region="us")).total == plain
