import sqlite3
from decimal import Decimal

import msgspec
import pytest
from ledger_cli_samples import an_entry, folder, run, run_json

from farthing.call import Pricing
from farthing.errors import CallerError
from farthing.ledger import Journal, StoreState
from farthing.ledger.drainer import Drainer, DrainReport
from farthing.ledger.layout import Layout

__all__ = ["folder"]
pytestmark = pytest.mark.usefixtures("folder")


def test_the_json_has_the_promised_keys_and_adds_up():
    found = run_json("report", "--by", "feature,model")
    assert {"total_usd", "baseline_usd", "saved_usd", "calls", "unattributed_usd", "levers"} <= set(
        found
    )
    assert sum(Decimal(row["cost_usd"]) for row in found["rows"]) == Decimal(found["total_usd"])
    moved = sum(Decimal(m["spent_usd"]) - Decimal(m["saved_usd"]) for m in found["levers"])
    assert Decimal(found["baseline_usd"]) + moved == Decimal(found["total_usd"])
    assert found["levers"] == [
        {"lever": "cache", "saved_usd": "0.0000009", "spent_usd": "0.0000001"}
    ]
    (search,) = [row for row in found["rows"] if row["feature"] == "search"]
    assert (search["cost_usd"], search["calls"]) == ("0.0000144", 3)
    assert (search["input_tokens"], search["output_tokens"]) == (600, 30)
    assert (
        found["multipliers"]["regenerations"]["ratio"] == 5 / 3
    )  # two questions were asked once, one three times


def test_people_get_a_table_with_what_hides_behind_the_bill():
    found = run("report", "--by", "feature", "--rows", "1")
    assert found.exit_code == 0
    for text in ("search", "2 more", "unpriced (*)", "regenerations", "1.67 calls per question"):
        assert text in found.stdout


def test_without_dimensions_there_is_one_line_for_all():
    assert "all " in run("report", "--by", "").stdout


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (999, "999"),
        (1_500, "1.5k"),
        (1_999, "2.0k"),
        (10_999, "11.0k"),
        (25_040, "25.0k"),
        (100_600, "101k"),
        (3_100_000, "3.1M"),
        (20_000_000_000, "20.0G"),
    ],
)
def test_large_counts_are_short_for_people(folder, tokens, shown):
    journal = Journal.open(folder, "more")
    journal.settle(an_entry("large", "bulk", tokens=tokens))
    journal.close()
    assert f" {shown} " in run("report", "--where", "feature=bulk").stdout


def test_the_folder_comes_from_the_option_else_the_environment_else_the_file(folder, monkeypatch):
    file = folder / "farthing.toml"
    file.write_text(f'[ledger]\ndata_dir = "{folder}"\n')
    monkeypatch.delenv("FARTHING_DATA_DIR")
    assert run_json("--config", file, "report")["calls"] == 5
    assert run_json("report", "--data-dir", folder)["calls"] == 5


def test_a_correction_alone_has_no_cost_per_call(folder):
    journal = Journal.open(folder, "more")
    journal.settle(an_entry("fix", "bulk", corrects="call-0"))
    journal.close()
    found = run_json("report", "--where", "feature=bulk")
    assert (found["calls"], found["corrections"], found["cost_per_call_usd"]) == (0, 1, None)
    assert run("report", "--where", "feature=bulk").exit_code == 0


def test_filters_and_spans_narrow_the_calls():
    assert run_json("report", "--where", "feature=chat")["calls"] == 1
    assert run_json("report", "--since", "2026-09-02", "--until", "2026-09-03")["calls"] == 0
    assert "No call counts" in run("report", "--where", "feature=none").stdout


@pytest.mark.parametrize(
    "arguments", [("--by", "colour"), ("--where", "feature"), ("--since", "yesterday")]
)
def test_a_wrong_question_is_the_caller_s_error(arguments):
    assert isinstance(run("report", *arguments).exception, CallerError)


def test_what_is_not_yet_in_the_store_is_told(folder):
    run("report")
    other = sqlite3.connect(Layout(folder).store, isolation_level=None)
    other.execute("PRAGMA user_version")
    (Layout(folder).journal / "x-1.000000.jnl").mkdir()
    found = run("report")
    assert "bytes of journals are not counted" in found.stderr
    other.close()


def test_a_span_that_ends_before_it_begins_is_refused_and_not_reported_as_nothing():
    error = run("report", "--since", "2026-09-03", "--until", "2026-09-02").exception
    assert isinstance(error, CallerError)
    assert "--since 2026-09-03 is not before --until 2026-09-02" in str(error)


def test_a_dimension_named_twice_is_shown_once():
    twice = run_json("report", "--by", "feature,model,feature")
    assert twice["rows"] == run_json("report", "--by", "feature,model")["rows"]


def test_a_folder_without_a_ledger_is_told_and_none_is_begun_in_it(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    error = run("report", "--data-dir", str(empty)).exception
    assert isinstance(error, CallerError)
    assert "holds neither a store nor journals" in str(error)
    assert list(empty.iterdir()) == []


def test_a_long_value_is_cut_for_people_and_whole_in_json(folder):
    journal = Journal.open(folder, "more")
    journal.settle(an_entry("long", "f" * 256))
    journal.close()
    printed = run("report", "--by", "feature").stdout
    assert max(map(len, printed.splitlines())) < 150
    assert "f" * 39 + "…" in printed
    features = {row["feature"] for row in run_json("report", "--by", "feature")["rows"]}
    assert "f" * 256 in features


def test_calls_without_a_price_have_no_cost_per_call_and_not_one_of_zero(folder):
    entry = an_entry("odd", "odd")
    attempt = msgspec.structs.replace(
        entry.attempts[0], cost=None, card_cost=None, card_id="", pricing=Pricing.UNPRICED_MODEL
    )
    journal = Journal.open(folder, "more")
    journal.settle(msgspec.structs.replace(entry, attempts=(attempt,)))
    journal.close()
    (row,) = run_json("report", "--where", "feature=odd")["rows"]
    assert row["cost_per_call_usd"] is None
    printed = run("report", "--where", "feature=odd").stdout
    (line,) = [line for line in printed.splitlines() if line.startswith("odd ")]
    assert "unpriced" in line
    assert "$0.00" not in line


def test_what_a_running_drainer_could_not_store_is_told_too(folder):
    run("report")
    layout = Layout(folder)
    layout.drainer_status.parent.mkdir(exist_ok=True)
    with Drainer(folder):
        layout.drainer_status.write_bytes(
            msgspec.json.encode(
                DrainReport(at_us=1, store=StoreState.LOCKED, detail="it is locked", lag_bytes=77)
            )
        )
        told = run("report").stderr
    assert "it is locked" in told
    assert "77 bytes of journals are not counted" in told
