import csv
import io

import pytest
from ledger_samples import an_attempt, an_entry

from farthing.call import Attribution
from farthing.ledger.row import rows_of
from farthing.ledger.sheet import SHEET_COLUMNS, write_rows, write_sheet


def read_back(entry):
    file = io.StringIO(newline="")
    assert write_rows(rows_of(entry), file) == len(entry.attempts)
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def test_money_is_in_dollars_to_the_nanodollar_and_null_is_empty():
    (row,) = read_back(an_entry(attempts=(an_attempt(cost=-5),)))
    assert row["cost_usd"] == "-0.000000005"
    assert row["baseline_usd"] == ""
    assert row["tokens_input"] == "100"
    assert "cost_nanodollars" not in SHEET_COLUMNS


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx"])
def test_no_text_runs_as_a_formula(text):
    (row,) = read_back(an_entry(attribution=Attribution(feature=text)))
    assert row["feature"] == f"'{text}"


def test_figures_of_a_sheet_stay_figures():
    file = io.StringIO(newline="")
    rows = [{"BilledCost": "-0.5", "x_Feature": "-0.5"}]
    count = write_sheet(("BilledCost", "x_Feature"), rows, file, numbers=frozenset({"BilledCost"}))
    assert (count, file.getvalue()) == (1, "BilledCost,x_Feature\r\n-0.5,'-0.5\r\n")
