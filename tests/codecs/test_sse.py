import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import CHAT_STREAM_ASKED, MESSAGE_STREAM

from farthing.codecs.sse import Event, Splitter, data_of, read_event

ODD = (
    b"\xef\xbb\xbf: hello\n\n"
    b"data:{no space}\n\n"
    b"event: a\r\ndata: x\r\nid: 7\r\n\r\n"
    b"data: one\ndata: two\n\n"
    b"data: cr\r\r"
    b"retry: 10\nfield\ndata: z\xc3\xbc\n\n\n\n"
    b"data: mixed\n\r\n"
    b"data: last"
)


def events(parts, limit=1 << 20):
    splitter = Splitter(limit)
    blocks = [block for part in parts for block in splitter.split(part)]
    rest = splitter.close()
    found = [read_event(block) for block in [*blocks, rest]]
    return [event for event in found if event.data]


def test_every_form_of_event_is_read():
    assert events([ODD]) == [
        Event(data=b"{no space}"),
        Event(name="a", data=b"x", id="7"),
        Event(data=b"one\ntwo"),
        Event(data=b"cr"),
        Event(data="zü".encode()),
        Event(data=b"mixed"),
        Event(data=b"last"),
    ]


@pytest.mark.parametrize("stream", [ODD, MESSAGE_STREAM], ids=["odd", "anthropic"])
def test_a_cut_anywhere_gives_the_same_events(stream):
    whole = events([stream])
    for at in range(len(stream) + 1):
        assert events([stream[:at], stream[at:]]) == whole


@given(st.lists(st.integers(0, len(ODD)), max_size=12))
def test_any_number_of_cuts_gives_the_same_events(cuts):
    edges = [0, *sorted(cuts), len(ODD)]
    parts = [ODD[a:b] for a, b in itertools.pairwise(edges)]
    assert events(parts) == events([ODD])


@given(st.lists(st.integers(0, len(ODD)), max_size=12), st.integers(1, 40))
def test_no_byte_is_lost_or_moved_whatever_the_limit(cuts, limit):
    edges = [0, *sorted(cuts), len(ODD)]
    splitter = Splitter(limit)
    out = b""
    for a, b in itertools.pairwise(edges):
        blocks = splitter.split(ODD[a:b])
        late = b"\n" if splitter.has_late_lf else b""
        out += late + splitter.spilled_before + b"".join(blocks) + splitter.spilled_after
        assert splitter.held <= limit + 3
    assert out + splitter.close() == ODD


@given(st.text(alphabet="ad:\n\r x{}", max_size=40))
def test_the_quick_reading_of_data_equals_the_full_one(text):
    for block in (f"data: {text}\n\n".encode(), f"event: {text}\ndata: {text}\n\n".encode()):
        assert data_of(block) == read_event(block).data


def test_a_block_that_was_handed_in_whole_is_the_same_object():
    block = b"data: 1\n\n"
    assert Splitter().split(block)[0] is block


def test_an_event_over_the_limit_is_handed_on_unread_and_the_next_is_read():
    splitter = Splitter(limit=16)
    assert splitter.split(b"data: " + b"x" * 100) == []
    assert splitter.is_spilling
    assert splitter.has_spilled
    assert splitter.spilled_after == b"data: " + b"x" * 97
    assert splitter.split(b"xx\n\ndata: 2\n\n") == [b"data: 2\n\n"]
    assert splitter.spilled_before == b"xxxxx\n\n"
    assert not splitter.is_spilling
    assert splitter.split(b"data: 3\n\n") == [b"data: 3\n\n"]
    assert splitter.spilled_before == b""


def test_the_blank_lines_that_end_events_are_as_many_as_the_stream_has():
    blocks = Splitter().split(CHAT_STREAM_ASKED)
    assert len(blocks) == len(re.findall(b"data: ", CHAT_STREAM_ASKED))
    assert b"".join(blocks) == CHAT_STREAM_ASKED
