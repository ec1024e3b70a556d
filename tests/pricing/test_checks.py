"""What deserves a look: each signal fires on what it names, and on nothing else."""

from __future__ import annotations

import pytest
from pricing_samples import BOOK, NOW, book_of, own, row

from farthing.pricing import (
    Catalogue,
    PriceBook,
    PricingSettings,
    Quarantined,
    Signal,
    check_prices,
)
from farthing.pricing.rows import Layer, Row, day_us

HISTORY = Layer.HISTORY


def signals(book, *, at=NOW, only="house"):
    return [f.signal for f in check_prices(book, at, provider=only)]


def test_a_plain_price_deserves_no_look():
    assert signals(book_of(row("1", "2", checked="2026-11-01"))) == []


@pytest.mark.parametrize(("other", "expected"), [("1.01", []), ("1.02", [Signal.DISAGREEMENT])])
def test_two_catalogues_that_differ_by_more_than_one_percent(other, expected):
    book = book_of(row("1", "2"), row(other, "2", layer=HISTORY, source="second"))
    assert signals(book) == expected


def test_a_disagreement_names_the_figures_and_both_sources():
    book = book_of(row("1", "2", source="first"), row("3", "2", layer=HISTORY, source="second"))
    (found,) = check_prices(book, NOW, provider="house")
    assert found.detail == "input $3 and $1 per million (the latter: first)"
    assert found.source == "second"


def test_a_change_since_the_other_source_was_read_is_no_disagreement():
    snapshot = row("1", "1", layer=HISTORY, checked="2026-10-26")
    change = row("2", "2", valid_from="2026-10-29")
    coming = row("3", "3", valid_from="2026-12-01")
    assert signals(book_of(change, snapshot)) == []
    (found,) = check_prices(book_of(change, snapshot, coming), NOW, provider="house")
    assert found.detail == "input and output $2/$2 now, $3/$3 then"


def test_rows_that_no_longer_hold_do_not_disagree():
    older = row("9", layer=HISTORY, valid_from="2026-01-01")
    newer = row("1", layer=HISTORY, valid_from="2026-02-01")
    superseded = row("7", layer=HISTORY, valid_from="2026-03-01", superseded="2026-04-01")
    assert signals(book_of(row("1"), older, newer, superseded)) == []


@pytest.mark.parametrize(
    ("amount", "expected"), [("8", []), ("8.1", [Signal.JUMP]), ("0.1", [Signal.JUMP])]
)
def test_a_price_more_than_eight_times_off_the_usual(amount, expected):
    hosts = {name: {"maker/m": (row("1"),)} for name in ("a", "b", "c")}
    catalogue = Catalogue(note="", rows=hosts | {"house": {"m": (row(amount),)}}, aliases={})
    assert signals(PriceBook(catalogue, PricingSettings())) == expected


@pytest.mark.parametrize(("amount", "expected"), [("8", []), ("9", [Signal.JUMP])])
def test_a_price_more_than_eight_times_off_its_own_past(amount, expected):
    past = [row("1", valid_from=f"2026-0{month}-01") for month in (1, 2, 3)]
    book = book_of(*past, row(amount, valid_from="2026-04-01"))
    assert signals(book) == expected
    assert signals(book_of(*past[:1], row(amount, valid_from="2026-04-01"))) == []


@pytest.mark.parametrize(
    ("ours", "expected"),
    [(("1", "2"), [Signal.HALF_PRICE]), (("1", "4"), []), (("2", "4"), []), (("1", ""), [])],
)
def test_exactly_half_of_the_maker_s_price(ours, expected):
    hosts = {
        "deepseek": {"deepseek-x": (row("2", "4"),)},
        "house": {"org/deepseek-x": (row(*ours),)},
    }
    book = PriceBook(Catalogue(note="", rows=hosts, aliases={}), PricingSettings())
    assert signals(book) == expected
    assert signals(book, only="deepseek") == []


def test_two_hosts_are_no_usual_price():
    hosts = {"a": {"m": (row("1"),)}, "house": {"m": (row("100"),)}}
    assert signals(PriceBook(Catalogue(note="", rows=hosts, aliases={}), PricingSettings())) == []


def test_a_model_priced_by_output_alone_has_no_usual_price():
    only_output = Row(source="s", quotes=row("1").quotes)
    speech = Row(source="s", quotes=(type(only_output.quotes[0])(rates={"output": "30"}),))
    hosts = {name: {"m": (row("1"),)} for name in "abc"} | {"house": {"m": (speech,)}}
    assert signals(PriceBook(Catalogue(note="", rows=hosts, aliases={}), PricingSettings())) == []


def test_what_is_in_quarantine_is_told_with_its_reason():
    held = Quarantined(
        provider="house", model="m", reason="half_price", detail="$1, half", row=row("1")
    )
    (found,) = check_prices(book_of(quarantine=(held,)), NOW, provider="house")
    assert (found.signal, found.detail) == (Signal.HALF_PRICE, "$1, half: in quarantine")


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-11-24", []), ("2026-11-25", [Signal.SCHEDULED]), ("2027-02-22", [Signal.SCHEDULED]),
     ("2027-02-23", [])],
)  # fmt: skip
def test_an_announced_change_is_told_ninety_days_ahead(day, expected):
    assert (
        signals(book_of(row("1", "2"), row("2", "4", valid_from=day, kind="scheduled"))) == expected
    )


def test_the_end_of_an_introductory_price_is_told_with_both_prices():
    book = book_of(
        row("1", "5", kind="promo"), row("2", "10", valid_from="2026-12-01", kind="scheduled")
    )
    (found,) = check_prices(book, NOW, provider="house")
    assert (found.signal, found.day) == (Signal.PROMO_END, "2026-12-01")
    assert found.detail == "input and output $1/$5 now, $2/$10 then"


def test_a_price_yet_to_come_for_a_new_model_is_told_too():
    coming = row("2", valid_from="2026-12-01", kind="scheduled")
    (found,) = check_prices(book_of(coming), NOW, provider="house")
    assert found.detail == "input and output nothing now, $2/$? then"


def test_other_terms_that_change_are_not_told_apart():
    batch = row("1", valid_from="2026-12-01", terms={"is_batch": True})
    assert signals(book_of(row("2"), batch)) == []


def test_a_retirement_is_told_ninety_days_ahead():
    gone = Row(source="page", quotes=(), kind="retired", valid_from="2026-12-11")
    assert signals(book_of(row("1"), gone)) == [Signal.RETIREMENT]
    assert signals(book_of(row("1"), gone), at=day_us("2026-12-11")) == []


def test_prices_that_nobody_read_for_ninety_days_are_told_once_a_source():
    rows = {f"m{n}": (row("1", source="s 1: page", checked="2026-08-25"),) for n in range(3)}
    rows["v"] = (row("1", layer=Layer.VERIFIED, checked="2026-08-25"),)
    book = PriceBook(Catalogue(note="", rows={"house": rows}, aliases={}), PricingSettings())
    assert signals(book, at=day_us("2026-11-23")) == []
    found = check_prices(book, day_us("2026-11-24"), provider="house")
    assert [(f.signal, f.source, f.day) for f in found] == [
        (Signal.STALE, "s 1", "2026-08-25"),
        (Signal.STALE, "verified rows", "2026-08-25"),
    ]
    assert found[0].detail == "3 prices stand unread since, house/m0 among them"


def test_a_price_of_ones_own_that_ends_is_told():
    ending = own("m", provider="house", input="1", valid_to="2026-12-31")
    lasting = own("m", provider="house", input="1")
    assert signals(book_of(row("1"), overrides=(ending, lasting))) == [Signal.CONTRACT_END]
    assert check_prices(book_of(row("1"), overrides=(ending,)), NOW, "other", "house") == []
    assert signals(book_of(row("1"), overrides=(ending,)), only="x") == []


def test_findings_about_the_packaged_book_are_ordered_and_narrowed_by_query():
    found = check_prices(BOOK, NOW)
    assert found == sorted(
        found, key=lambda f: (list(Signal).index(f.signal), f.provider, f.model, f.day)
    )
    assert {f.model for f in check_prices(BOOK, NOW, "gemini-4-argon", "google")} == {
        "gemini-4-argon"
    }
    assert Signal.STALE not in {f.signal for f in found}
    later = check_prices(BOOK, day_us("2027-03-01"), provider="openai")
    assert {f.source for f in later if f.signal is Signal.STALE} == {
        "genai-prices 0.2.3", "model-prices 0.0.5", "verified rows",
    }  # fmt: skip
