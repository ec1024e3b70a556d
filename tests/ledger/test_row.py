from hypothesis import given
from ledger_samples import an_attempt, an_entry, call_ids, entries

from farthing.ledger.row import COLUMNS, entry_of, rows_of
from farthing.ledger.store import StoreState


def column(row, name):
    return row[COLUMNS.index(name)]


@given(entries(call_ids))
def test_an_entry_read_back_from_its_rows_is_equal(entry):
    assert entry_of(rows_of(entry)[::-1]) == entry


@given(entries(call_ids))
def test_exactly_one_row_of_an_entry_is_final(entry):
    assert sum(column(row, "is_final") for row in rows_of(entry)) == 1


def test_amounts_of_the_call_stand_on_its_final_row_only():
    entry = an_entry(attempts=(an_attempt(1), an_attempt(2)), duration_us=7)
    assert [column(row, "duration_us") for row in rows_of(entry)] == [None, 7]
    assert [column(row, "call_cost_nanodollars") for row in rows_of(entry)] == [None, 10_000]


def test_a_call_without_attempts_has_one_row_that_cost_nothing():
    (row,) = rows_of(an_entry(attempts=()))
    assert (column(row, "attempt"), column(row, "cost_nanodollars")) == (0, 0)


def test_an_unpriced_attempt_has_no_cost_rather_than_zero():  # L5
    (row,) = rows_of(an_entry(attempts=(an_attempt(cost=None),)))
    assert column(row, "cost_nanodollars") is None


def test_the_states_of_a_store_are_plain_texts():
    assert [str(state) for state in StoreState] == ["ok", "locked", "read_only", "full", "failed"]
