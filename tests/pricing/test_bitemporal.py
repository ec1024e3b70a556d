"""Two times: when a price held, and when the book came to know it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import BOOK, MILLION, book_of, row, usd

from farthing.pricing import PriceBook, PricingSettings, RateCard
from farthing.pricing.rows import Layer, day_us
from farthing.usage import Usage

DAY_US = 86_400_000_000
MODELS = st.sampled_from(
    ["gpt-4o", "gpt-4", "o3", "gpt-5.6-sol", "claude-3-5-haiku-20241022", "deepseek-v4-flash",
     "gemini-4-argon", "deepseek-reasoner"]
)  # fmt: skip
INSTANTS = st.integers(day_us("2023-01-01"), day_us("2027-06-01"))


def price(book, at, known=None, provider="house", model="m"):
    """USD per million of input on a day, as known on another; None: no price."""
    known_us = None if known is None else day_us(known)
    card = book.card(provider, model, day_us(at), as_known_at_us=known_us)
    return card.sets[0].rates[0].per_million if isinstance(card, RateCard) else None


def test_a_row_ended_only_by_later_knowledge_stands_on():
    book = book_of(
        row("5", valid_from="2024-05-13", recorded="2024-05-13"),
        row("2.5", valid_from="2024-10-02", recorded="2024-11-13"),  # noticed six weeks late
    )
    assert price(book, "2024-10-20") == "2.5"
    assert price(book, "2024-10-20", known="2024-10-20") == "5"
    assert price(book, "2024-10-20", known="2024-11-13") == "2.5"
    assert price(book, "2030-01-01", known="2024-06-01") == "5"


def test_a_correction_changes_the_past_but_not_what_was_said_then():
    book = book_of(
        row("3", recorded="2023-09-06", superseded="2023-09-18"),
        row("30", recorded="2023-09-18", kind="correction"),
    )
    assert price(book, "2023-09-10") == "30"
    assert price(book, "2023-09-10", known="2023-09-10") == "3"
    assert price(book, "2023-09-10", known="2023-09-18") == "30"


def test_what_nobody_had_recorded_yet_has_no_price():
    book = book_of(row("1", valid_from="2026-01-01", recorded="2026-03-01"))
    assert price(book, "2026-02-01", known="2026-02-01") is None
    assert price(book, "2026-02-01") == "1"


def test_an_announced_price_is_known_before_it_holds():
    book = book_of(
        row("2"),
        row("4", valid_from="2026-12-01", recorded="2026-11-24", kind="scheduled"),
    )
    assert price(book, "2026-12-02", known="2026-11-25") == "4"
    assert price(book, "2026-12-02", known="2026-11-01") == "2"


def test_the_packaged_book_remembers_what_a_catalogue_wrongly_said():
    """models.dev went on listing DeepSeek V4 Flash at its price of May after it rose in August."""
    usage = Usage(cache_read=MILLION)
    at = day_us("2026-08-20T12:00:00+00:00")
    corrected = BOOK.card("deepseek", "deepseek-v4-flash", at)
    believed = BOOK.card("deepseek", "deepseek-v4-flash", at, as_known_at_us=day_us("2026-09-01"))
    assert (corrected.total(usage), believed.total(usage)) == (usd("0.007"), usd("0.0028"))
    assert corrected.kind == "correction"


@dataclass(frozen=True)
class Event:
    """A price that held from `since` on, that the book learned of on `seen`."""

    since: int
    seen: int
    amount: int


def iso(day):
    return f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}"


EVENTS = st.lists(
    st.builds(Event, st.integers(0, 300), st.integers(0, 300), st.integers(1, 9)),
    min_size=1, max_size=8, unique_by=(lambda e: e.since, lambda e: e.seen),
)  # fmt: skip


@given(EVENTS, st.integers(0, 300), st.integers(0, 300))
def test_a_book_answers_as_a_plain_reading_of_its_history_would(events, at, known):
    book = book_of(
        *(row(str(e.amount), valid_from=iso(e.since), recorded=iso(e.seen)) for e in events)
    )
    seen = [e for e in events if e.seen <= known and e.since <= at]
    latest = max(seen, key=lambda e: e.since, default=None)
    assert price(book, iso(at), iso(known)) == (str(latest.amount) if latest else None)


@given(EVENTS, st.integers(0, 300), st.integers(0, 300))
def test_what_is_learned_later_never_changes_what_was_known_before(events, at, known):
    """Append-only: the answer of a day is the answer of the book as it was on that day."""
    rows = [row(str(e.amount), valid_from=iso(e.since), recorded=iso(e.seen)) for e in events]
    then = [r for r, e in zip(rows, events, strict=True) if e.seen <= known]
    assert price(book_of(*rows), iso(at), iso(known)) == price(book_of(*then), iso(at))


@given(MODELS, INSTANTS)
def test_repricing_at_the_same_instant_is_the_identity(model, at_us):
    other = PriceBook(BOOK._catalogue, PricingSettings())
    assert other.card("", model, at_us) == BOOK.card("", model, at_us)


@given(MODELS, INSTANTS)
def test_today_s_knowledge_is_what_the_book_says_unasked(model, at_us):
    plain, known = BOOK.card("", model, at_us), BOOK.card("", model, at_us, as_known_at_us=2**60)
    assert type(plain) is type(known)
    if isinstance(plain, RateCard):
        assert (plain.sets, plain.source) == (known.sets, known.source)


@given(MODELS, INSTANTS, INSTANTS)
def test_a_card_says_the_same_throughout_the_time_it_claims(model, at_us, other_us):
    card = BOOK.card("", model, at_us)
    if not isinstance(card, RateCard):
        return
    start = card.valid_from_us if card.valid_from_us is not None else at_us
    end = card.valid_to_us if card.valid_to_us is not None else at_us + DAY_US
    within = start + other_us % max(1, end - start)
    fresh = PriceBook(BOOK._catalogue, PricingSettings())
    assert fresh.card("", model, within) == card


def test_each_row_keeps_why_it_came_to_be():
    kinds = {r.kind for _, _, rows in BOOK.listings() for r in rows}
    assert kinds == {"price", "change", "correction", "promo", "scheduled", "retired"}


def test_every_superseded_row_was_recorded_first():
    for _, _, rows in BOOK.listings():
        for found in rows:
            assert not found.superseded or found.recorded < found.superseded
            assert found.kind != "correction" or found.layer is Layer.HISTORY
