"""Usage counts each token once; codecs resolve overlaps, and negative remainders are errors."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.usage import NO_USAGE, STANDARD, TOKEN_UNITS, Terms, Unit, Usage

COUNTS = st.fixed_dictionaries({unit.value: st.integers(0, 10**9) for unit in Unit})
USAGES = st.builds(
    lambda counts, is_estimated: Usage(**counts, is_estimated=is_estimated), COUNTS, st.booleans()
)


def test_the_fields_bear_the_names_of_the_units_in_their_order():
    assert Usage.__struct_fields__ == (*(unit.value for unit in Unit), "is_estimated")


@given(COUNTS)
def test_each_unit_is_counted_in_its_own_bucket(counts):
    usage = Usage(**counts)
    assert {unit.value: usage.count(unit) for unit in Unit} == counts


@given(USAGES)
def test_all_tokens_are_in_the_prompt_or_in_the_answer(usage):
    tokens = sum(usage.count(unit) for unit in TOKEN_UNITS)
    assert usage.prompt_tokens + usage.completion_tokens == tokens


def test_caches_audio_and_images_belong_to_the_prompt_and_reasoning_to_the_answer():
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, image_input=5)
    assert (usage.prompt_tokens, usage.completion_tokens) == (15, 0)
    assert Usage(audio_input=1, output=2, reasoning=3, audio_output=4).completion_tokens == 9


def test_searches_and_requests_are_no_tokens():
    assert set(Unit) - set(TOKEN_UNITS) == {Unit.WEB_SEARCH, Unit.REQUEST}


@given(USAGES, USAGES)
def test_usages_add_bucket_by_bucket(one, other):
    both = one + other
    assert all(both.count(unit) == one.count(unit) + other.count(unit) for unit in Unit)
    assert both.is_estimated == (one.is_estimated or other.is_estimated)
    assert one + NO_USAGE == one


@pytest.mark.parametrize("unit", Unit)
def test_a_negative_count_is_an_error_that_names_it(unit):
    with pytest.raises(ValueError, match=f"'{unit.value}': -1"):
        Usage(**{unit.value: -1})


@given(USAGES)
def test_a_usage_can_be_stored_and_read_back(usage):
    assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage


def test_standard_terms_say_nothing_special():
    assert Terms() == STANDARD
    assert msgspec.json.encode(STANDARD) == b"{}"
