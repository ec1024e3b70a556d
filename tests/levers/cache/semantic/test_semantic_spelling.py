"""British and American spelling compare as one, and other words stay apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.levers.cache.semantic.spelling import one_spelling


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("colour", "color"),
        ("neighbourhood", "neighborhood"),
        ("organisations", "organizations"),
        ("analysing", "analyzing"),
        ("catalogues", "catalogs"),
        ("kilometres", "kilometers"),
        ("licence", "license"),
        ("counsellor", "counselor"),
        ("haemoglobin", "hemoglobin"),
        ("paediatric", "pediatric"),
        ("oestrogen", "estrogen"),
        ("diarrhoea", "diarrhea"),
        ("coeliac", "celiac"),
        ("manoeuvre", "maneuver"),
        ("pyjamas", "pajamas"),
    ],
)
def test_both_spellings_of_a_word_have_one_form(british, american):
    assert one_spelling(british) == one_spelling(american)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("four", "for"),
        ("hour", "hor"),
        ("premise", "premium"),
        ("calling", "caling"),
        ("fluorine", "fluoride"),
        ("hypertension", "hypotension"),
        ("anise", "anime"),
    ],
)
def test_different_words_keep_different_forms(one, other):
    assert one_spelling(one) != one_spelling(other)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20))
def test_a_form_is_never_empty_and_never_much_longer(word):
    form = one_spelling(word)
    assert form
    assert len(form) <= len(word) + 2
