from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import NOON_US, an_attempt, an_entry, many_entries
from priced_samples import FlatBook

from farthing.call import Pricing
from farthing.ledger.reprice import reprice
from farthing.money import Money
from farthing.pricing.cost import Priced
from farthing.usage import Terms

SNAPSHOT = ("openai", "gpt-4o-2024-08-06")  # what serves gpt-4o
BOOK = FlatBook(
    {("openai", "gpt-4o"): 10, SNAPSHOT: 10, ("openai", "mini"): 1, ("", "claude"): 3}, NOON_US + 10
)


def booked(book, entry):
    """The entry as the book prices it at its own instant."""
    attempts = []
    for attempt in entry.attempts:
        served = attempt.model_served or attempt.model
        card = book.card(attempt.provider, served, entry.started_us)
        cost = card.cost(attempt.usage, attempt.terms) if hasattr(card, "cost") else None
        known = isinstance(cost, Priced)
        attempts.append(
            an_attempt(
                usage=attempt.usage,
                provider=attempt.provider,
                model=attempt.model,
                model_served=attempt.model_served,
                started_us=attempt.started_us,
                terms=attempt.terms,
                pricing=Pricing.CARD if known else Pricing.UNPRICED_MODEL,
                cost=cost.total.nanodollars if known else None,
            )
        )
    return an_entry(entry.call_id, started_us=entry.started_us, attempts=tuple(attempts))


@settings(max_examples=30)
@given(many_entries, st.integers(0, 2**52))
def test_repricing_at_its_own_instant_gives_back_what_was_booked(entries, doubles_us):
    book = FlatBook({("openai", "a"): 10, ("anthropic", ""): 7, ("", "b"): 3}, doubles_us)
    found = reprice([booked(book, entry) for entry in entries], book)
    assert found.repriced == found.booked
    assert all(row.unpriced_now == row.unpriced_booked for row in found.rows)


def only(entry, **options):
    (row,) = reprice([entry], BOOK, **options).rows
    return row


def test_another_date_brings_that_date_s_price():
    row = only(an_entry(attempts=(an_attempt(cost=1_500),)), at_us=NOON_US + 10)
    assert (row.booked, row.repriced) == (Money(1_500), Money(3_000))


def test_another_model_is_priced_at_the_same_provider_else_at_its_maker_or_the_one_named():
    entry = an_entry(attempts=(an_attempt(cost=1_500),))
    assert only(entry, models={"gpt-4o": "mini"}).repriced == Money(150)
    assert only(entry, models={"gpt-4o": "claude"}).repriced == Money(450)
    assert only(entry, models={"gpt-4o": "openai/mini"}).repriced == Money(150)
    assert only(entry, models={"gpt-4o": "unknown"}).unpriced_now == 1


def test_a_replacement_also_holds_for_the_name_the_client_used():
    entry = an_entry(model="farthing/auto", attempts=(an_attempt(cost=1_500),))
    assert only(entry, models={"farthing/auto": "mini"}).repriced == Money(150)


def test_what_the_provider_billed_stays_unless_date_or_model_changes():
    entry = an_entry(attempts=(an_attempt(cost=7, pricing=Pricing.PROVIDER),))
    assert only(entry).repriced == Money(7)
    assert only(entry, at_us=NOON_US).repriced == Money(1_500)


def test_what_was_free_or_a_correction_is_a_fact():
    free = an_entry(attempts=(an_attempt(cost=0, pricing=Pricing.FREE),))
    assert only(free, at_us=NOON_US).repriced == Money(0)
    corrected = an_entry(corrects="older", attempts=(an_attempt(cost=-3),))
    assert only(corrected, at_us=NOON_US).repriced == Money(-3)


def test_an_estimate_stands_until_a_price_is_known():
    guessed = an_attempt(model="new", model_served="", cost=12_870, pricing=Pricing.ESTIMATED)
    assert only(an_entry(attempts=(guessed,))).repriced == Money(12_870)
    known = an_attempt(cost=12_870, pricing=Pricing.ESTIMATED)
    assert only(an_entry(attempts=(known,))).repriced == Money(1_500)
    assert only(an_entry(attempts=(guessed,)), models={"new": "unknown"}).unpriced_now == 1


def test_a_condition_without_price_has_none():
    no_condition = an_attempt(terms=Terms(is_batch=True))
    assert only(an_entry(attempts=(no_condition,))).unpriced_now == 1


def test_the_model_that_served_is_priced_not_the_one_sent():
    """An alias that moved, or a provider's own fallback, is billed at its own rates."""
    entry = an_entry(attempts=(an_attempt(model_served="mini", cost=150),))
    assert only(entry).repriced == Money(150)
    assert only(entry, at_us=NOON_US + 10).repriced == Money(300)


def test_a_call_is_priced_at_the_instant_it_began_however_late_its_last_try():
    late = an_attempt(cost=1_500, started_us=NOON_US + 10)
    assert only(an_entry(started_us=NOON_US, attempts=(late,))).repriced == Money(1_500)


def test_a_provider_is_priced_under_its_name_in_the_book():
    entry = an_entry(attempts=(an_attempt(provider="corp", cost=1_500),))
    assert only(entry).unpriced_now == 1
    assert only(entry, price_as={"corp": "openai"}).repriced == Money(1_500)


def test_the_document_has_the_difference():
    entry = an_entry(attempts=(an_attempt(cost=1_500),))
    document = reprice([entry], BOOK, models={"gpt-4o": "mini"}).document()
    assert document["difference_usd"] == "-0.00000135"
    assert document["rows"][0]["repriced_as"] == "mini"


def test_what_has_no_price_now_is_no_saving():
    entry = an_entry(attempts=(an_attempt(cost=1_500),))
    found = reprice([entry], BOOK, models={"gpt-4o": "unknown"})
    (row,) = found.rows
    assert (row.booked, row.repriced, row.left_out) == (Money(1_500), Money(0), Money(1_500))
    assert row.difference == Money(0)
    assert (found.document()["left_out_usd"], found.document()["difference_usd"]) == (
        "0.0000015",
        "0.00",
    )
