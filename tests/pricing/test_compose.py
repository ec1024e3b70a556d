"""How layers become one card: rate by rate, but never of pieces that did not hold together."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pricing_samples import row

from farthing.pricing.compose import View, compose
from farthing.pricing.rows import Layer, Quote, Row, day_us
from farthing.usage import Unit

BATCH = {"is_batch": True}
HISTORY, VERIFIED, CONTRACT = Layer.HISTORY, Layer.VERIFIED, Layer.CONTRACT


def made(*rows, provider="p", model="m", **view):
    return compose(provider, model, rows, View(**view))


def rates(card, *, batch=False, over=0):
    """The known rates of one set, by unit."""
    (found,) = [s for s in card.sets if s.is_batch == batch and s.context_over == over]
    pairs = zip(Unit, found.rates, strict=True)
    return {unit.value: price.per_million for unit, price in pairs if price}


def test_nothing_makes_no_card():
    assert made() is None
    assert made(row("1", terms=BATCH)) is None  # only batch is priced
    assert made(Row(source="s", quotes=(), kind="retired")) is None


def test_a_higher_layer_wins_rate_by_rate_where_the_prices_agree():
    listed = Row(source="c", quotes=(Quote(rates={"input": "2", "web_search": "10"}),))
    seen = Row(source="h", layer=HISTORY, quotes=(Quote(rates={"input": "2", "cache_read": "1"}),))
    card = made(listed, seen)
    found = rates(card)
    assert (found["input"], found["cache_read"], found["web_search"]) == ("2", "1", "10000")
    assert (card.layer, card.source) == ("history", "h")


def test_a_layer_with_another_price_adds_only_its_fees():
    """Its cache rate, tiers and batch price belong to a price list that does not hold."""
    rates_then = {"input": "9", "cache_read": "0.9", "web_search": "10"}
    old = Row(
        source="c", quotes=(Quote(rates=rates_then), Quote(rates={"input": "18"}, context_over=5))
    )
    card = made(old, row("9", terms=BATCH), row("2", "4", layer=VERIFIED))
    assert rates(card)["cache_read"] == "2"
    assert rates(card)["web_search"] == "10000"
    assert [s.context_over for s in card.sets] == [0]


def test_a_row_of_the_same_layer_takes_the_place_of_an_older_one_with_all_its_tiers():
    older = row("1", over=(100, "2"), valid_from="2026-01-01")
    newer = row("1", valid_from="2026-02-01")
    assert [s.context_over for s in made(older, newer).sets] == [0]
    assert [s.context_over for s in made(newer, older).sets] == [0]


def test_a_source_speaks_up_to_the_day_it_was_last_checked():
    """An announced change of a lower layer is newer than a snapshot that could not know it."""
    snapshot = row("2", layer=HISTORY, checked="2026-10-26")
    change = row("4", valid_from="2026-12-01", kind="scheduled")
    card = made(snapshot, change)
    assert (rates(card)["input"], card.kind, card.since) == ("4", "scheduled", "2026-12-01")


def test_a_lower_layer_s_change_from_before_the_check_does_not_count():
    snapshot = row("2", layer=HISTORY, checked="2026-10-26")
    assert rates(made(snapshot, row("4", valid_from="2026-10-20")))["input"] == "2"
    assert rates(made(snapshot, row("4")))["input"] == "2"
    assert rates(made(row("2", layer=HISTORY), row("4", valid_from="2026-10-20")))["input"] == "2"


def test_a_check_that_came_later_does_not_count_in_what_was_known_before():
    snapshot = row("2", layer=HISTORY, checked="2026-10-26")
    change = row("4", valid_from="2026-10-20", recorded="2026-10-01")
    assert rates(made(snapshot, change, known_us=day_us("2026-10-10")))["input"] == "4"


def test_the_user_s_own_rate_wins_over_everything_and_leaves_the_rest():
    card = made(row("2", "8"), row("1", layer=CONTRACT, source="mine"))
    assert (rates(card)["input"], rates(card)["output"]) == ("1", "8")
    assert (card.layer, card.source) == ("contract", "mine")


def test_the_user_s_own_rates_add_up_from_several_rows():
    later = row("0.5", layer=CONTRACT, valid_from="2026-05-01")
    card = made(row("1", "9", layer=CONTRACT), later)
    assert (rates(card)["input"], rates(card)["output"]) == ("0.5", "9")


def test_a_card_is_the_user_s_only_where_he_prices_standard_terms():
    card = made(row("2", source="list"), row("1", layer=CONTRACT, terms=BATCH))
    assert (card.source, rates(card, batch=True)["input"]) == ("list", "1")


def test_peak_hours_and_discounts_multiply_list_prices_exactly_and_never_one_s_own():
    card = made(
        row("3", "9"),
        row("1", layer=CONTRACT),
        rush=Fraction(2),
        discount=Fraction(925, 1000),
    )
    assert (rates(card)["input"], rates(card)["output"]) == ("1", "16.65")


def test_peak_hours_leave_fees_alone_and_discounts_do_not():
    listed = Row(source="c", quotes=(Quote(rates={"input": "1", "web_search": "10"}),))
    assert rates(made(listed, rush=Fraction(2)))["web_search"] == "10000"
    assert rates(made(listed, discount=Fraction(1, 3)))["web_search"] == "10000/3"


@pytest.mark.parametrize(("provider", "batch"), [("openai", "1"), ("anthropic", "1"), ("p", None)])
def test_batch_is_half_price_where_the_provider_says_so(provider, batch):
    card = made(row("2"), provider=provider)
    assert [s.is_batch for s in card.sets] == ([False, True] if batch else [False])
    if batch:
        assert rates(card, batch=True)["input"] == batch


def test_half_price_batch_halves_every_tier_but_no_fee():
    listed = Row(
        source="c",
        quotes=(
            Quote(rates={"input": "2", "web_search": "10"}),
            Quote(rates={"input": "4"}, context_over=272_000),
        ),
    )
    card = made(listed, provider="openai")
    assert rates(card, batch=True)["web_search"] == "10000"
    assert rates(card, batch=True, over=272_000)["input"] == "2"


def test_a_batch_price_of_its_own_keeps_the_standard_rates_it_does_not_name():
    listed = Row(
        source="c", quotes=(Quote(rates={"input": "2", "output": "8", "cache_read": "1"}),)
    )
    card = made(listed, row("1", "4", terms=BATCH), provider="openai")
    assert rates(card, batch=True)["cache_read"] == "1"


def test_claude_s_cache_rates_stay_in_proportion_in_batches_and_long_prompts():
    given = {"input": "3", "output": "15", "cache_read": "0.3", "cache_write_1h": "6"}
    long = Quote(rates={"input": "6", "output": "22.5"}, context_over=200_000)
    listed = Row(source="c", quotes=(Quote(rates=given), long))
    batch = row("1.5", "7.5", terms=BATCH)
    card = made(listed, batch, provider="anthropic", model="claude-x")
    wanted = {"cache_read": "0.6", "cache_write_1h": "12"}
    assert rates(card, over=200_000).items() >= wanted.items()
    wanted = {"cache_read": "0.15", "cache_write_1h": "3"}
    assert rates(card, batch=True).items() >= wanted.items()


def test_a_free_standard_price_leaves_the_long_prices_of_other_terms_as_they_are():
    listed = Row(
        source="c",
        quotes=(Quote(rates={"input": "0"}), Quote(rates={"input": "4"}, context_over=1000)),
    )
    card = made(listed, row("0", terms=BATCH), provider="other")
    assert rates(card, batch=True, over=1000)["input"] == "4"


def test_a_row_without_rates_withdraws_its_terms():
    fast = {"speed": "fast"}
    gone = Row(source="h", valid_from="2026-08-06", quotes=(Quote(rates={}, **fast),))
    assert [s.speed for s in made(row("1"), row("6", terms=fast), gone).sets] == [""]


def test_a_withdrawn_standard_price_leaves_no_card():
    gone = Row(source="h", valid_from="2026-08-06", quotes=(Quote(rates={}),))
    assert made(row("1"), gone) is None


def test_what_no_source_prices_is_filled_in_as_providers_bill_it():
    found = rates(made(row("4", "8")))
    assert (found["reasoning"], found["image_input"]) == ("8", "4")
    assert (found["cache_read"], found["cache_write_5m"]) == ("4", "4")
    assert "cache_write_1h" not in found
    assert "audio_input" not in found


@pytest.mark.parametrize("provider", ["anthropic", "aws", "google", "openrouter"])
def test_claude_writes_cache_at_its_own_multiples_wherever_it_is_served(provider):
    found = rates(made(row("4"), provider=provider, model="us.anthropic.claude-x"))
    assert (found["cache_write_5m"], found["cache_write_1h"]) == ("5", "8")


def test_rates_that_are_given_are_never_filled_in():
    given = dict.fromkeys(
        ["input", "output", "reasoning", "cache_read", "cache_write_5m", "image_input"], "3"
    )
    listed = Row(source="c", quotes=(Quote(rates=given | {"cache_write_1h": "7"}),))
    assert rates(made(listed, model="claude-x")) == given | {"cache_write_1h": "7"}


def test_a_model_that_only_takes_input_has_no_price_for_output():
    assert "output" not in rates(made(row("0.02")))
    only_out = Row(source="c", quotes=(Quote(rates={"output": "30"}),))
    assert rates(made(only_out)) == {"output": "30", "reasoning": "30"}
