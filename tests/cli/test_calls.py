import msgspec
import pytest
from ledger_cli_samples import an_entry, decoded, folder, run, run_json

from farthing.errors import CallerError
from farthing.ledger import Journal
from farthing.ledger.shares import Bills

__all__ = ["folder"]


@pytest.fixture(autouse=True)
def cards(folder, monkeypatch):
    """Stored cards are read as the flat cards of these tests."""
    monkeypatch.setattr(
        "farthing.cli.calls.stored_bills", lambda ledger: Bills(ledger.card, decoded)
    )


def test_the_foremost_calls_come_first():
    found = run_json("calls", "--top", "2", "--by", "cost")
    assert [call["id"] for call in found["calls"]] == ["call-2", "call-1"]
    assert found["calls"][0]["cost_usd"] == "0.0000068"


def test_people_get_a_table():
    found = run("calls", "--by", "tokens", "--where", "feature=unattributed")
    assert found.exit_code == 0
    assert "call-unclaimed" in found.stdout
    assert "unpriced" in found.stdout


def test_a_call_is_shown_down_to_the_lines_of_its_card():
    found = run_json("calls", "show", "call-0")
    (tried,) = found["tries"]
    assert [(line["bucket"], line["cost_usd"]) for line in tried["lines"]] == [
        ("input", "0.000002"),
        ("output", "0.0000008"),
    ]
    assert tried["lines_match"] is True
    assert tried["cost_usd"] == found["cost_usd"] == "0.0000028"


def test_people_see_the_lines_too():
    found = run("calls", "show", "call-0")
    assert found.exit_code == 0
    for text in ("Attempt 1: openai/gpt-4o, ok, $0.0000028", "input", "openai/gpt-4o@2026"):
        assert text in found.stdout


def test_lines_that_do_not_add_up_to_what_was_booked_are_told(monkeypatch):
    monkeypatch.setattr(
        "farthing.cli.calls.stored_bills",
        lambda ledger: Bills(ledger.card, lambda _: decoded(b'{"input":1}')),
    )
    assert run_json("calls", "show", "call-0")["tries"][0]["lines_match"] is False
    assert "do not add up" in run("calls", "show", "call-0").stdout


def test_without_a_price_the_reason_and_the_tokens_are_shown():
    found = run("calls", "show", "call-unclaimed")
    assert "unpriced" in found.stdout
    assert "no card" in found.stdout
    document = run_json("calls", "show", "call-unclaimed")
    assert document["tries"][0]["lines_match"] is None


def test_a_call_without_a_price_costs_no_zero_in_json():
    calls = {call["id"]: call for call in run_json("calls")["calls"]}
    assert calls["call-unclaimed"]["cost_usd"] is None
    assert calls["call-cached"]["cost_usd"] == "0.00"  # nothing was sent: this zero is known


def test_an_estimate_is_told_as_one(folder):
    entry = an_entry("guessed", "odd")
    (attempt,) = entry.attempts
    usage = msgspec.structs.replace(attempt.usage, is_estimated=True)
    journal = Journal.open(folder, "more")
    journal.settle(
        msgspec.structs.replace(entry, attempts=(msgspec.structs.replace(attempt, usage=usage),))
    )
    journal.close()
    assert "estimated   the provider told no usage" in run("calls", "show", "guessed").stdout
    assert "estimated" not in run("calls", "show", "call-0").stdout
    assert run_json("calls", "show", "guessed")["estimated_attempts"] == 1
    found = run_json("report", "--by", "feature")
    assert found["estimated_attempts"] == 1
    assert {row["feature"]: row["estimated_attempts"] for row in found["rows"]}["odd"] == 1
    assert "1 attempt whose usage, and so cost, is estimated" in run("report").stdout
    assert "estimated" not in run("report", "--where", "feature=search").stdout


def test_a_call_that_no_provider_served_has_no_tries():
    found = run_json("calls", "show", "call-cached")
    assert (found["tries"], found["baseline_usd"]) == ([], "0.0000008")
    assert found["levers"][0]["lever"] == "cache"


def test_options_before_show_hold_for_it_too(folder, monkeypatch):
    monkeypatch.delenv("FARTHING_DATA_DIR")
    assert run("calls", "--data-dir", folder, "show", "call-0").exit_code == 0


def test_an_unknown_call_is_the_caller_s_error():
    assert isinstance(run("calls", "show", "call-9").exception, CallerError)
