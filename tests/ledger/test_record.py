import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import an_entry, call_ids, entries

from farthing.ledger import Entry
from farthing.ledger.record import CardNote, Kind, card_line, entry_line, read_line


@settings(deadline=None)
@given(entries(call_ids), st.booleans())
def test_an_entry_comes_back_from_its_line(entry, is_settled):
    line = entry_line(entry, is_settled=is_settled)
    kind, content = read_line(line[:-1])
    assert kind is (Kind.SETTLED if is_settled else Kind.INTENT)
    assert msgspec.json.decode(content, type=Entry) == entry
    assert line.count(b"\n") == 1


def test_a_card_comes_back_from_its_line():
    kind, content = read_line(card_line("id", b'{"a":[1,2]}')[:-1])
    assert kind is Kind.CARD
    assert msgspec.json.decode(content, type=CardNote).content == msgspec.Raw(b'{"a":[1,2]}')


@settings(deadline=None)
@given(st.data())
def test_a_line_with_any_byte_changed_is_damaged(data):
    line = entry_line(an_entry(), is_settled=True)[:-1]
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    assert read_line(line[:place] + bytes([other]) + line[place + 1 :]) is None


@pytest.mark.parametrize("line", [b"", b"S", b"S00000000", b"X12345678{}"])
def test_a_line_that_is_no_record_is_damaged(line):
    assert read_line(line) is None
