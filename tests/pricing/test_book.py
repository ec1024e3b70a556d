"""The book: which rows count, the user's own prices over them, and what it remembers."""

from __future__ import annotations

import pytest
from pricing_samples import BOOK, MILLION, NOW, book_of, cost, own, row, usd

from farthing.pricing import (
    PriceBook,
    PricingSettings,
    Quarantined,
    RateCard,
    Unpriced,
    UnpricedReason,
)
from farthing.pricing.rows import day_us
from farthing.usage import Terms, Unit, Usage


def test_a_lookup_is_remembered_and_the_same():
    book = book_of(row("1"), row("2", valid_from="2026-06-01"))
    early, late = day_us("2026-01-01"), day_us("2026-07-01")
    first = book.card("house", "m", early)
    assert book.card("house", "m", early + 1) is first
    assert book.card("house", "m", late) != first
    assert book.card("house", "m", early) == first


def test_what_is_unknown_is_asked_again_at_another_instant():
    book = book_of(row("1", valid_from="2026-06-01"))
    assert isinstance(book.card("house", "m", day_us("2026-01-01")), Unpriced)
    assert isinstance(book.card("house", "m", day_us("2026-07-01")), RateCard)


def test_names_that_callers_invent_fill_no_memory():
    book = book_of(row("1"))
    book._cards.update({("house", str(n)): (0, 0, None) for n in range(50_000)})
    assert isinstance(book.card("house", "m", NOW), RateCard)
    assert len(book._cards) == 50_000


def test_an_alias_is_the_model_it_stands_for():
    book = book_of(row("1"), aliases={"m-latest": "m"})
    assert book.card("house", "m-latest", NOW).sets == book.card("house", "m", NOW).sets


def test_a_provider_may_stand_before_the_model():
    assert BOOK.card("", "openai/gpt-4o", NOW).sets == BOOK.card("openai", "gpt-4o", NOW).sets
    assert isinstance(BOOK.card("", "nobody/gpt-4o", NOW), Unpriced)


@pytest.mark.parametrize(
    ("provider", "model", "lister"),
    [("azure", "gpt-5.4", "openai"), ("azure", "claude-opus-5-5", "anthropic"),
     ("google", "claude-3-sonnet-20240229", "anthropic")],
)  # fmt: skip
def test_a_cloud_without_a_price_of_its_own_resells_at_the_list(provider, model, lister):
    card = BOOK.card(provider, model, NOW)
    assert card.provider == provider
    assert card.sets[0] == BOOK.card(lister, model, NOW).sets[0]


def test_an_unknown_model_says_so_and_close_names_are_offered():
    found = cost("gpt-4oo", Usage(input=1))
    assert isinstance(found, Unpriced)
    assert found.reason is UnpricedReason.MODEL
    assert found.detail == "no price is known for 'gpt-4oo' at provider 'openai'"
    assert "gpt-4o" in BOOK.near("", "gpt-4oo")
    assert BOOK.near("nobody", "gpt-4oo")
    assert cost("what", Usage(input=1)).detail == "no price is known for 'what'"


def test_a_listing_in_quarantine_prices_nothing_and_is_named():
    held = Quarantined(
        provider="house", model="m", reason="unit_slip", detail="$2000 per million", row=row("2000")
    )
    book = book_of(quarantine=(held,))
    found = book.card("house", "M", NOW)
    assert "its listing is in quarantine ($2000 per million)" in found.detail
    assert "quarantine" not in book.card("house", "other", NOW).detail
    assert book.quarantined("m", "house") == [held]
    assert book.quarantined("x") == book.quarantined("m", "other") == []


MINE = PriceBook.load(
    PricingSettings(
        overrides=(
            own("house-1", provider="house", input="0.2", output="0.6", request="0.001"),
            own("gpt-4o", provider="openai", input="1", valid_from="2026-11-01"),
            own("gpt-4o", provider="openai", discount_percent="50", valid_from="2026-11-01"),
            own(
                "claude-*", discount_percent="12.5", valid_from="2026-11-01", valid_to="2026-12-01"
            ),
            own("claude-*", discount_percent="7.5", provider="anthropic"),
            own("gpt-5.4", input="9", context_above=272_000),
        )
    )
)


def test_a_price_of_ones_own_wins_while_it_is_valid():
    usage = Usage(input=MILLION // 10)
    assert cost("gpt-4o", usage, book=MINE).total == usd("0.1")
    assert cost("gpt-4o", usage, book=MINE, at="2026-10-31").total == usd("0.25")


def test_a_model_of_ones_own_needs_no_catalogue():
    usage = Usage(input=MILLION // 10, output=MILLION // 10)
    assert cost("house-1", usage, provider="house", book=MINE).total == usd("0.081")
    assert MINE.card("house", "house-1", NOW).discount == ""


def test_a_model_may_be_declared_free_and_a_price_may_be_a_fraction():
    free = own("m", provider="house", input="0", output="0", cache_read="1/12")
    book = book_of(overrides=(free,))
    assert cost("m", Usage(input=9, output=9), provider="house", book=book).total == usd("0")
    (line,) = cost("m", Usage(cache_read=MILLION), provider="house", book=book).lines
    assert (line.usd_per_million, line.cost) == ("1/12", usd("0.083333333"))


def test_a_discount_is_off_the_list_and_not_off_ones_own_price():
    assert cost("gpt-4o", Usage(output=MILLION), book=MINE).total == usd("5")
    assert MINE.card("openai", "gpt-4o", NOW).discount == "50 %"


@pytest.mark.parametrize(
    ("at", "rate", "discount"),
    [
        ("2026-10-31", "4.625", "7.5 %"),
        ("2026-11-01", "4.046875", "19.0625 %"),  # both, multiplied: 1 - 0.875 x 0.925
        ("2026-12-01", "4.625", "7.5 %"),
    ],
)
def test_discounts_multiply_and_their_rates_are_exact(at, rate, discount):
    card = MINE.card("", "claude-haiku-4-5", day_us(at))
    (line,) = card.cost(Usage(output=MILLION)).lines
    assert (line.usd_per_million, card.discount) == (rate, discount)


def test_a_tier_of_ones_own_leaves_the_others():
    card = MINE.card("", "gpt-5.4", NOW)
    lines = [card.cost(Usage(input=n)).lines[0].usd_per_million for n in (272_000, 272_001)]
    assert lines == ["2.5", "9"]


def test_a_price_of_ones_own_may_name_the_model_with_its_provider():
    book = book_of(overrides=(own("house/m", input="3"),))
    assert cost("house/m", Usage(input=MILLION), book=book, provider="house").total == usd("3")


def test_the_ceiling_prices_what_is_unknown_and_says_so():
    card = BOOK.substitute("x", "nope", NOW)
    assert card.kind == "estimate"
    usage = Usage(input=MILLION, reasoning=MILLION, web_search=10)
    assert card.total(usage) == usd("226")  # $75 in, $150 out, $0.10 a search
    assert isinstance(card.total(usage, Terms(is_batch=True)), Unpriced)


def test_models_are_listed_by_provider_and_name():
    cards = BOOK.models(NOW, "GPT-4o", "openai")
    assert [card.model for card in cards] == sorted(card.model for card in cards)
    assert {card.provider for card in cards} == {"openai"}
    assert all("gpt-4o" in card.model for card in cards)
    assert BOOK.models(NOW, "gpt-4-32k")  # listed although no catalogue has it any more


def test_every_card_listed_prices_what_it_lists():
    for card in BOOK.models(NOW):
        known = {u.value: 1000 for u, p in zip(Unit, card.sets[0].rates, strict=True) if p}
        assert not isinstance(card.total(Usage(**known)), Unpriced)


def test_own_prices_are_told_as_they_were_given():
    assert len(MINE.own_prices()) == 6
    assert BOOK.own_prices() == ()


def test_a_retired_model_keeps_its_price_and_says_that_it_is_gone():
    card = BOOK.card("", "claude-2.1", NOW)
    assert "retired on 2025-07-21" in card.note
    assert BOOK.card("", "claude-2.1", day_us("2025-07-20")).note == ""
    assert card.cost(Usage(input=MILLION)).total == usd("8")


def test_the_model_that_served_has_the_card_and_a_contract_for_the_one_sent_holds_for_it():
    contract = own("gpt-4o", provider="openai", input="1", output="2")
    book = PriceBook.load(PricingSettings(overrides=(contract,)))
    found = book.served_card("openai", "a-router-s-name", "gpt-4o", NOW)
    assert (found.model, found.layer) == ("gpt-4o", "contract")
    listed = BOOK.served_card("openai", "gpt-4o-mini", "gpt-4o", NOW)
    assert listed.model == "gpt-4o-mini"
    unknown = BOOK.served_card("openai", "gpt-4o-of-nobody", "gpt-4o", NOW)
    assert isinstance(unknown, Unpriced)
    assert BOOK.served_card("openai", "nobody", "nobody", NOW) == BOOK.card("openai", "nobody", NOW)


def test_a_provider_near_a_known_one_is_offered():
    assert "anthropic" in BOOK.near_providers("antropic")
    assert BOOK.near_providers("openai") == []
    assert BOOK.near_providers("") == []
