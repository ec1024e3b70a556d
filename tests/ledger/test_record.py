import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import an_attempt, an_entry, call_ids, entries

from farthing.call import Attribution
from farthing.ledger import CallStatus
from farthing.ledger.record import (
    Kind,
    card_line,
    intent_line,
    read_card,
    read_entry,
    read_line,
    read_outcome,
    settlement_line,
)
from farthing.ledger.row import rows_of


def same(read, entry):
    """Whether an entry read from a record says what another says, field by field."""
    return msgspec.to_builtins(rows_of(read)) == msgspec.to_builtins(rows_of(entry)) and (
        read.charges == entry.charges
    )


@given(entries(call_ids))
def test_an_entry_comes_back_from_its_line(entry):
    for line, meant in (
        (intent_line(entry), Kind.INTENT),
        (settlement_line(entry, None), Kind.SETTLED),
    ):
        kind, content = read_line(line[:-1])
        assert kind is meant
        assert same(read_entry(kind, content), entry)
        assert line.count(b"\n") == 1


@given(entries(call_ids), entries(call_ids), st.booleans())
def test_an_entry_comes_back_from_its_settlement_and_the_intent_before_it(entry, other, is_alike):
    other = msgspec.structs.replace(other, call_id=entry.call_id)  # by which intents are found
    intent = an_intent_of(entry) if is_alike else other
    line = settlement_line(entry, intent)
    kind, content = read_line(line[:-1])
    if kind is Kind.OUTCOME:
        _, before = read_line(intent_line(intent)[:-1])
        read = read_outcome(content).after(read_entry(Kind.INTENT, before))
    else:
        read = read_entry(kind, content)
    assert same(read, entry)
    assert line.count(b"\n") == 1


def an_intent_of(entry):
    """The same call, before anything came of it."""
    return msgspec.structs.replace(
        entry, status=CallStatus.INTERRUPTED, attempts=(), baseline=None, moves=(), detail=""
    )


def test_a_settlement_says_nothing_again_that_its_intent_said():
    entry = an_entry(attribution=Attribution(feature="a-long-feature", session="a-session"))
    line = settlement_line(entry, an_intent_of(entry))
    assert line.startswith(b"O")
    assert b"a-long-feature" not in line


@pytest.mark.parametrize(
    "changes",
    [
        {"attribution": Attribution(feature="other")},
        {"model": "other"},
        {"attempts": ()},
        {"attempts": (an_attempt(started_us=0),)},
    ],
    ids=["other attribution", "other model", "no attempt", "no time"],
)
def test_a_settlement_is_whole_where_an_outcome_would_not_say_it_all(changes):
    assert settlement_line(an_entry(**changes), an_intent_of(an_entry())).startswith(b"E")


def test_a_card_comes_back_from_its_line():
    kind, content = read_line(card_line("id", b'{"a":[1,2]}')[:-1])
    assert kind is Kind.CARD
    assert read_card(content).content == msgspec.Raw(b'{"a":[1,2]}')


@given(st.data())
def test_a_line_with_any_byte_changed_is_damaged(data):
    line = settlement_line(an_entry(), None)[:-1]
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    assert read_line(line[:place] + bytes([other]) + line[place + 1 :]) is None


@pytest.mark.parametrize("line", [b"", b"S", b"S00000000", b"X12345678{}"])
def test_a_line_that_is_no_record_is_damaged(line):
    assert read_line(line) is None
