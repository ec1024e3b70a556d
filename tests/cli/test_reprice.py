import pytest
from ledger_cli_samples import FlatBook, folder, run, run_json

from farthing.errors import CallerError

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
