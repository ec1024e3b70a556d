import json

import pytest
from ledger_cli_samples import FlatBook, folder, run, run_json

from farthing.cli.output import usd
from farthing.errors import CallerError
from farthing.money import Money
from farthing.pricing import PriceBook

__all__ = ["folder"]


@pytest.fixture(autouse=True)
def book(folder, monkeypatch):
    """The price book is the flat one of these tests."""
    monkeypatch.setattr("farthing.cli.reprice.price_book", lambda _: FlatBook())


def test_without_options_the_sum_is_what_was_booked():
    found = run_json("reprice", "--where", "feature=search")
    assert found["repriced_usd"] == found["booked_usd"] == "0.0000144"
    assert found["difference_usd"] == "0.00"


def test_another_model_is_told_by_its_difference():
    found = run_json("reprice", "--model", "gpt-4o=dear", "--where", "feature=search")
    assert (found["repriced_usd"], found["difference_usd"]) == ("0.0000288", "0.0000144")


def test_people_get_a_table():
    found = run("reprice", "--at", "2026-09-01")
    assert found.exit_code == 0
    assert "openai/gpt-4o" in found.stdout


@pytest.mark.parametrize("text", ["gpt-4o", "=x", "gpt-4o="])
def test_half_a_replacement_is_the_caller_s_error(text):
    assert isinstance(run("reprice", "--model", text).exception, CallerError)


def test_a_model_without_a_price_is_refused_and_close_names_are_told(monkeypatch):
    monkeypatch.setattr("farthing.cli.reprice.price_book", lambda _: PriceBook.load())
    found = run("reprice", "--model", "gpt-4o=gpt-4o-mimi", "--json")
    assert isinstance(found.exception, CallerError)
    assert "No price is known for 'gpt-4o-mimi'.\nNothing was repriced." in str(found.exception)
    assert "gpt-4o-mini" in str(found.exception)
    assert found.stdout == ""


def test_a_replacement_that_meets_no_call_is_told_beside_the_document():
    found = run("reprice", "--model", "absent=dear", "--json")
    assert "no call of absent is among these" in found.stderr
    assert json.loads(found.stdout)["models"] == {"absent": "dear"}


def test_a_misspelt_model_is_told_where_calls_of_the_other_are_among_them():
    found = run("reprice", "--model", "gpt-4=gpt-4o", "--json")
    assert "no call of gpt-4 is among these" in found.stderr
    assert "no call of" not in run("reprice", "--model", "gpt-4o=dear", "--json").stderr


def test_the_title_tells_what_has_no_price(monkeypatch):
    monkeypatch.setattr("farthing.cli.reprice.price_book", lambda _: PriceBook.load())
    found = run("reprice", "--at", "2026-09-01")
    assert "without 1 attempts that have no price" in found.stdout


def test_a_saving_is_a_negative_sum():
    assert [usd(Money(n)) for n in (-500_000_000, 0, 1)] == ["-$0.50", "$0.00", "$0.000000001"]
