"""WordPiece: the packaged vocabulary, and the token numbers of the model it was trained with."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest

from farthing.levers.cache.semantic.wordpiece import VOCABULARY_SHA256, is_known_word, token_ids


def test_the_vocabulary_is_the_one_that_the_model_was_trained_with():
    source = resources.files("farthing.levers.cache.semantic").joinpath("vocabulary.txt")
    assert hashlib.sha256(source.read_bytes()).hexdigest() == VOCABULARY_SHA256


@pytest.mark.parametrize(
    ("text", "ids"),
    [  # as the tokenizers library gives them for bert-base-uncased
        ("Hello, world!", [101, 7592, 1010, 2088, 999, 102]),
        ("naïve café", [101, 15743, 7668, 102]),
        ("unaffable", [101, 14477, 20961, 3468, 102]),
        ("", [101, 102]),
    ],
)
def test_token_numbers_are_those_of_the_reference(text, ids):
    assert token_ids(text, 64) == ids


def test_a_long_text_is_cut_and_still_ends():
    ids = token_ids("word " * 500, 16)
    assert len(ids) == 16
    assert ids[-1] == 102


def test_a_word_beyond_all_bounds_is_unknown():
    assert token_ids("x" * 101, 16) == [101, 100, 102]


def test_common_words_are_known_and_slips_are_not():
    assert is_known_word("address")
    assert not is_known_word("adress")
