"""C4: what a caller asks for in headers, which can only be less than the rules allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.levers.cache import NO_DIRECTIVES, Directives, read_directives


def read(*values, name=b"cache-control"):
    return read_directives([(name, value) for value in values])


@pytest.mark.parametrize(
    ("value", "age_s_max"),
    [
        (b"max-age=60", 60),
        (b'max-age="60"', 60),
        (b"Max-Age = 60, no-transform", 60),
        (b"max-age=600, max-age=60", 60),
        (b"max-age=" + b"9" * 5000, 2**31),
        (b"max-age=-5", 0),
        (b"max-age=\xb2", 0),
        (b"max-age=", 0),
        (b"max-age", 0),
        (b"max-age=1.5", 0),
        (b"s-maxage=60", None),
    ],
)
def test_an_age_is_read_and_one_that_can_not_be_read_takes_nothing_old(value, age_s_max):
    assert read(value).age_s_max == age_s_max


def test_a_header_that_stands_twice_asks_for_both():
    asked = read(b"no-store", b"max-age=600", b"max-age=60")
    assert (asked.why_not_kept, asked.age_s_max) == ("the caller said no-store", 60)
    assert read(b"off", b"exact", name=b"x-farthing-cache").why_not_served
    documents = read(b"kb@1", b"prices@2, kb@1", name=b"x-farthing-depends-on").documents
    assert documents == ("kb@1", "prices@2")


def test_nothing_is_asked_for_by_other_headers_and_by_empty_ones():
    assert read(b"no-store", name=b"pragma") == NO_DIRECTIVES
    assert read(b" , ") == Directives()


@given(st.lists(st.binary(max_size=20).map(lambda value: b"max-age=" + value), max_size=3))
def test_no_bytes_fail_a_call(values):
    asked = read(*values)
    assert asked.age_s_max is None if not values else asked.age_s_max >= 0
