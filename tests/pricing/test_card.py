"""A card's bill: exact lines, complete sums, and a reason where there is no price."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import BOOK, MILLION, NOW, usd

from farthing.money import Money
from farthing.pricing import Price, Priced, RateCard, RateSet, Unpriced, UnpricedReason
from farthing.pricing.card import UNITS, Region, card_id
from farthing.pricing.price import price_of
from farthing.usage import STANDARD, Terms, Unit, Usage

COUNTS = st.integers(0, 2_000_000)
USAGES = st.builds(Usage, **{unit.value: st.one_of(st.just(0), COUNTS) for unit in Unit})
TERMS = st.builds(
    Terms,
    service_tier=st.sampled_from(["default", "flex", "priority", "bogus"]),
    is_batch=st.booleans(),
    region=st.sampled_from(["", "us", "mars"]),
    speed=st.sampled_from(["", "fast"]),
)
MODELS = st.sampled_from(
    ["gpt-4o", "gpt-5.4", "claude-sonnet-4-5", "claude-opus-5-5", "gemini-2.5-flash", "o3",
     "deepseek-v4-flash", "gpt-4o-audio-preview", "sonar-deep-research"]
)  # fmt: skip


def a_card(*sets, regions=()):
    card = RateCard(
        id="", provider="p", model="m", layer="contract", source="test", sets=sets, regions=regions
    )
    return msgspec.structs.replace(card, id=card_id(card))


def a_set(terms=None, **rates):
    return RateSet(
        rates=tuple(
            price_of(unit, rates[unit.value]) if unit.value in rates else None for unit in UNITS
        ),
        **(terms or {}),
    )


ODD = a_card(
    a_set(input="0.3333", cache_read="0.0028", output="1.0000005", reasoning="7", request="0.001"),
    a_set({"context_over": 1000}, input="0.7777777", output="0.1"),
    regions=(Region("us", 11, 10),),
)


@given(MODELS, USAGES, TERMS)
def test_the_sum_alone_is_the_total_of_the_lines(model, usage, terms):
    """`total` takes a shorter way; both must say the same, the reason why not included."""
    card = BOOK.card("", model, NOW)
    bill = card.cost(usage, terms)
    for _ in range(2):  # the second time from the plan that the first one left
        assert card.total(usage, terms) == (bill.total if isinstance(bill, Priced) else bill)


@given(USAGES, st.sampled_from(["", "us"]))
def test_odd_rates_take_the_long_way_and_come_to_the_same(usage, region):
    terms = Terms(region=region)
    bill = ODD.cost(usage, terms)
    assert ODD.total(usage, terms) == (bill.total if isinstance(bill, Priced) else bill)


@given(st.one_of(MODELS.map(lambda m: BOOK.card("", m, NOW)), st.just(ODD)), USAGES, TERMS)
def test_each_line_reproduces_from_what_is_printed(card, usage, terms):
    """Quantity times the rate shown, rounded once, half to even, is the cost shown."""
    bill = card.cost(usage, terms)
    if isinstance(bill, Unpriced):
        return
    for line in bill.lines:
        exact = line.count * Fraction(line.usd_per_million) * 10**9 / 10**6
        assert line.cost == Money(round(exact))
    assert bill.total.nanodollars == sum(line.cost.nanodollars for line in bill.lines)


@given(USAGES)
def test_every_bucket_used_has_one_line_and_no_other(usage):
    every = a_card(a_set(**{unit.value: "1" for unit in Unit}))
    bill = every.cost(usage)
    expected = {unit: usage.count(unit) for unit in Unit if usage.count(unit)}
    expected.setdefault(Unit.REQUEST, 1)
    assert {line.unit: line.count for line in bill.lines} == expected


@pytest.mark.parametrize(("prompt", "output_cost"), [(1000, 100), (1001, 200)])
def test_a_tier_begins_above_its_threshold_for_the_whole_call(prompt, output_cost):
    card = a_card(
        a_set(input="0.001", output="0.1"), a_set({"context_over": 1000}, input="0", output="0.2")
    )
    bill = card.cost(Usage(input=prompt, output=1_000_000))
    assert bill.lines[-1].cost.nanodollars == output_cost * MILLION


def test_tiers_may_stand_in_any_order():
    card = a_card(
        a_set({"context_over": 1000}, input="3"),
        a_set({"context_over": 100}, input="2"),
        a_set(input="1"),
    )
    rates = [card.cost(Usage(input=count)).lines[0].usd_per_million for count in (100, 101, 1001)]
    assert rates == ["1", "2", "3"]


def test_caches_audio_and_images_count_towards_the_tier():
    card = a_card(a_set(**dict.fromkeys(Unit, "1")), a_set({"context_over": 10}, input="9"))
    for unit in (Unit.CACHE_READ, Unit.CACHE_WRITE_5M, Unit.CACHE_WRITE_1H, Unit.AUDIO_INPUT):
        usage = Usage(**{"input": 1, unit.value: 10})
        assert isinstance(card.total(usage), Unpriced)  # the dear tier has no price for it


def test_a_fee_per_request_is_due_once_where_nobody_counted():
    card = a_card(a_set(input="1", request="0.01"))
    assert card.total(Usage(input=MILLION)) == usd("1.01")
    assert card.total(Usage(request=3)) == usd("0.03")


def test_a_region_raises_tokens_and_leaves_fees_alone():
    card = a_card(a_set(input="10", web_search="10"), regions=(Region("us", 11, 10),))
    bill = card.cost(Usage(input=MILLION, web_search=1), Terms(region="us"))
    assert [line.cost for line in bill.lines] == [usd("11"), usd("0.01")]


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(service_tier="bogus"), "service tier 'bogus'"),
        (Terms(is_batch=True), "service tier 'default', batch"),
        (Terms(speed="fast"), "speed 'fast'"),
        (Terms(region="mars"), "region 'mars'"),
    ],
)
def test_terms_that_a_card_does_not_know_have_no_price(terms, said):
    card = a_card(a_set(input="1"))
    for answer in (card.cost(Usage(input=1), terms), card.total(Usage(input=1), terms)):
        assert isinstance(answer, Unpriced)
        assert answer.reason is UnpricedReason.CONDITION
        assert said in answer.detail
        assert card.id in answer.detail


def test_a_unit_without_a_price_makes_the_whole_call_unpriced():
    found = a_card(a_set(input="1")).total(Usage(input=1, audio_output=1))
    assert isinstance(found, Unpriced)
    assert "audio_output" in found.detail


def test_terms_that_answers_invent_fill_no_memory():
    card = a_card(*(a_set({"service_tier": f"t{n}"}, input="1") for n in range(70)))
    for number in range(70):
        assert card.total(Usage(input=MILLION), Terms(service_tier=f"t{number}")) == usd("1")
    assert len(card._plans) == 64


def test_nothing_used_costs_nothing():
    assert a_card(a_set(input="1")).total(Usage()) == Money(0)


@pytest.mark.parametrize("model", ["gpt-5.4", "deepseek-v4-pro", "claude-opus-5-5"])
def test_a_card_can_be_stored_and_read_back(model):
    card = BOOK.card("", model, NOW)
    card.total(Usage(input=1))  # what a card remembers is no part of it
    again = msgspec.json.decode(card.to_json(), type=RateCard)
    assert again == card
    assert again.total(Usage(input=5, output=7)) == card.total(Usage(input=5, output=7))


def test_the_id_of_a_card_changes_with_its_content_only():
    one, other = a_card(a_set(input="1")), a_card(a_set(input="2"))
    assert one.id == a_card(a_set(input="1")).id != other.id
    assert one.id.startswith("p/m#")


def test_a_bill_names_its_card():
    card = BOOK.card("", "gpt-4o", NOW)
    assert card.cost(Usage(input=1), STANDARD).card_id == card.id


def test_prices_of_zero_are_prices():
    assert a_card(RateSet(rates=(Price(0, 1), *[None] * 10))).total(Usage(input=9)) == Money(0)
