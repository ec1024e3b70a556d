"""The course of a namespace is a fold over its labels: shadow, certificate, breach, shadow again."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.levers.cache.semantic.course import Course, Label, Terms

TERMS = Terms(
    delta=0.05, sampling=0.1, shadow_sampling=1.0, fit_labels=0, near_min=0.8,
    embedder="words-1", model="openai/gpt-4o",
)  # fmt: skip


def label(cosine=0.99, *, wrong=False, doubt=0.0, propensity=1.0, serving=False):
    features = (cosine, 0.1, 1.0, 0.1, 0.0, doubt, 0.7, 0.0)
    return Label(features=features, is_wrong=wrong, propensity=propensity, is_serving=serving)


def taken(labels, terms=TERMS):
    course = Course(terms)
    for one in labels:
        course.take(one)
    return course.standing


def test_nothing_is_served_before_the_labels_stated_beforehand():
    needed = Course(TERMS).standing.labels_needed
    assert needed == 118  # at delta 5 %, as docs/semantic-cache.md says
    assert taken([label()] * (needed - 1)).threshold is None
    assert taken([label()] * needed).threshold == 0.7


def test_doubted_pairs_are_not_certified_by_the_cosine():
    assert taken([label(doubt=1.0)] * 500).threshold is None


def test_a_score_is_learnt_first_where_that_is_asked_for():
    terms = Terms(**{n: getattr(TERMS, n) for n in TERMS.__struct_fields__} | {"fit_labels": 200})
    draws = random.Random(3)
    labels = []
    for _ in range(1200):
        cosine = draws.uniform(0.8, 1.0)
        labels.append(label(cosine, wrong=draws.random() < max(0.0, 0.9 - cosine) * 8))
    before, after = taken(labels[:199], terms), taken(labels, terms)
    assert not before.is_fitted
    assert after.scorer is not None
    assert after.threshold is not None


def test_a_veto_is_outweighed_only_by_labels_and_only_where_that_is_asked_for():
    terms = msgspec.structs.replace(TERMS, fit_labels=200)
    learns = msgspec.structs.replace(terms, is_veto_learnt=True)
    draws = random.Random(4)
    labels = []
    for at in range(900):
        cosine = draws.uniform(0.8, 1.0)
        plain = label(cosine, wrong=draws.random() < max(0.0, 0.9 - cosine) * 8)
        guard = (("numbers",), ("negation",), (), ())[at % 4]
        wrong = guard == ("negation",) or plain.is_wrong
        labels.append(msgspec.structs.replace(plain, is_wrong=wrong, vetoes=guard))
    scorer = taken(labels, learns).scorer
    assert scorer is not None
    assert scorer.outweighed == {"numbers"}  # negations were never the same
    kept = taken(labels, terms)
    assert kept.scorer is not None
    assert kept.scorer.outweighed == frozenset()
    assert kept.labels == 450  # those with a veto say nothing


def test_served_answers_that_are_wrong_end_serving_and_what_comes_next_must_prove_more():
    proven = [label()] * 220
    wrong = [label(wrong=True, propensity=0.1, serving=True)] * 20
    standing = taken(proven + wrong)
    assert (standing.threshold, standing.breaches, standing.labels) == (None, 1, 0)
    late = [label(propensity=0.1, serving=True)] * 500  # served under the certificate that broke
    assert taken(proven + wrong + late).labels == 0
    again = taken(proven + wrong + proven)
    assert again.labels_needed > taken(proven).labels_needed
    assert taken(proven + wrong + proven * 2).threshold == 0.7


def test_labels_drawn_more_rarely_than_agreed_prove_nothing():
    assert taken([label(propensity=0.01)] * 2000).threshold is None


@pytest.mark.parametrize("change", [{"delta": 0.01}, {"embedder": "other"}, {"model": "x/y"}])
def test_other_terms_are_another_stamp(change):
    told = {n: getattr(TERMS, n) for n in TERMS.__struct_fields__}
    assert Terms(**told | change).stamp != TERMS.stamp


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.06, 0.1, 0.3]))
def test_what_is_above_the_bound_is_hardly_ever_certified(seed, error):
    draws = random.Random(seed)
    labels = [label(wrong=draws.random() < error) for _ in range(400)]
    threshold = taken(labels).threshold
    if threshold is not None:  # the one in twenty that the confidence allows
        assert sum(one.is_wrong for one in labels) <= 0.05 * len(labels)


@settings(max_examples=20)
@given(st.lists(st.builds(label, wrong=st.booleans()), max_size=60), st.integers(0, 60))
def test_whoever_reads_the_same_labels_stands_at_the_same_place(labels, at):
    whole = taken(labels)
    course = Course(TERMS)
    for part in (labels[:at], labels[at:]):
        for one in part:
            course.take(one)
    assert course.standing == whole
