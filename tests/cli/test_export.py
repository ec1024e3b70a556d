import csv
import io
from decimal import Decimal

import duckdb
import pytest
from ledger_cli_samples import decoded, folder, run, run_json

from farthing.errors import CallerError
from farthing.ledger.shares import Bills

__all__ = ["folder"]
TOTAL = Decimal("0.0000144")


@pytest.fixture(autouse=True)
def cards(folder, monkeypatch):
    """Stored cards are read as the flat cards of these tests."""
    monkeypatch.setattr(
        "farthing.cli.export.stored_bills", lambda ledger: Bills(ledger.card, decoded)
    )


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_goes_to_stdout_with_one_row_per_attempt():
    rows = rows_of(run("export").stdout)
    assert len(rows) == 5
    assert sum(Decimal(row["cost_usd"] or 0) for row in rows) == TOTAL


def test_csv_goes_to_a_file_when_one_is_named(tmp_path):
    found = run("export", "--out", tmp_path / "rows.csv", "--since", "2026-09-01")
    assert "5 rows written" in found.stderr
    assert len(rows_of((tmp_path / "rows.csv").read_text())) == 5


def test_parquet_is_read_by_duckdb(tmp_path):
    out = tmp_path / "rows.parquet"
    assert run_json("export", "--format", "parquet", "--out", out)["rows"] == 5
    with duckdb.connect() as engine:
        sql = f"SELECT SUM(cost_nanodollars), SUM(is_final) FROM '{out}'"
        assert engine.execute(sql).fetchall() == [(14_400, 5)]


@pytest.mark.parametrize("version", ["1.4", "1.2"])
def test_focus_adds_up_to_the_ledger(version):
    found = run("export", "--format", "focus", "--focus-version", version)
    rows = rows_of(found.stdout)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == TOTAL
    assert {row["SkuMeter"] for row in rows} == {"Input Tokens", "Output Tokens"}


@pytest.mark.parametrize("arguments", [("--format", "parquet"), ("--json",)])
def test_what_needs_a_file_says_so(arguments):
    assert isinstance(run("export", *arguments).exception, CallerError)
