"""Learned scores: tried only where asked, kept only where certified, void with another encoder."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_samples import JUST_RIGHT, lines, write

from farthing.errors import ConfigError
from farthing.levers.routing import Facts, Route, Single, read_outcomes, step_for, voids
from farthing.levers.routing.certify import Terms, certify
from farthing.levers.routing.encoder import Hashed, encoder_named, identity_of
from farthing.levers.routing.learned import Reader, learn
from farthing.levers.routing.policy import read_policy, write_policy
from farthing.levers.routing.scorer import score, scorer_of, scores_named
from farthing.levers.routing.table import make_table

HASHED = Hashed()
TOPICS = {
    "sums": "add the numbers in this list and tell",
    "proofs": "prove the theorem that for all",
}


def told_apart(count, seed=1):
    """One task, two topics that the wording tells: the cheap model fails nearly all proofs."""
    dice = random.Random(seed)
    rows = []
    for number in range(count):
        topic = dice.choice(list(TOPICS))
        right = dice.random() < 0.9
        cheap = right if topic == "sums" else dice.random() < 0.2
        rows.append(
            {
                "id": f"p{number}",
                "task": "maths",
                "prompt": f"Please {TOPICS[topic]} {dice.randrange(10**6)}",
                "outcomes": {
                    "old": {"score": int(right), "cost_usd": 0.01},
                    "tiny": {"score": int(cheap), "cost_usd": 0.0005},
                },
            }
        )
    return rows


def certified(tmp_path, rows, **more):
    table = make_table(read_outcomes(write(tmp_path / "o.jsonl.gz", rows)), "old")
    terms = Terms(
        floor=0.97, confidence=0.95, horizon=1000, class_floors={}, labels=table.size, seed=0,
        made="2026-11-25T00:00:00+00:00", data_hash="d", prices={}, **more,
    )  # fmt: skip
    return table, *certify(table, terms)


def test_a_score_that_tells_the_calls_apart_is_certified_and_saves(tmp_path):
    rows = told_apart(2000)
    _, plain, _ = certified(tmp_path, rows)
    _, policy, _ = certified(tmp_path, rows, learns="hashed")
    assert plain.certificate is None  # by class alone nothing can be saved
    step = policy.steps["maths"]
    assert isinstance(step, Route)
    assert policy.certificate.cost_ratio < 0.65
    assert policy.certificate.quality_ratio > 0.97
    scorer = policy.scores[step.score]
    cheap, dear = (score(scorer, HASHED, f"Please {text} 12") for text in TOPICS.values())
    assert cheap < step.threshold <= dear


def test_where_the_wording_tells_nothing_the_incumbent_stays(tmp_path):
    _, policy, _ = certified(tmp_path, lines(1500, JUST_RIGHT), learns="hashed")
    assert policy.certificate is None
    assert policy.scores is msgspec.UNSET
    assert set(policy.steps.values()) == {Single("old")}


def test_the_labels_that_teach_are_scored_by_fits_that_have_not_seen_them(tmp_path):
    """Scores that are pure chance must look like chance on the labels that taught them."""
    dice = np.random.default_rng(3)
    rows = [
        {"task": "a", "prompt": " ".join(str(n) for n in dice.integers(0, 10**6, 30)), "outcomes": {
            "old": {"score": int(dice.random() < 0.5), "cost_usd": 1},
            "tiny": {"score": int(dice.random() < 0.5), "cost_usd": 0.1},
        }}
        for _ in range(600)
    ]  # fmt: skip

    made = make_table(read_outcomes(write(tmp_path / "o.jsonl", rows)), "old")
    labels = np.arange(500)
    learned = learn(made, Reader(HASHED, made.texts).features, HASHED, labels)
    (values,) = learned.values.values()
    lost = made.scores[made.models.index("old")] - made.scores[made.models.index("tiny")]
    assert abs(np.corrcoef(values[labels], lost[labels])[0, 1]) < 0.15


def test_what_serves_scores_as_what_was_certified(tmp_path):
    table, _, _ = certified(tmp_path, told_apart(1500))
    reader = Reader(HASHED, table.texts)
    learned = learn(table, reader.features, HASHED, np.arange(800))
    for name, scorer in learned.scorers.items():
        served = [score(scorer, HASHED, text) for text in table.texts[800:]]
        assert served == pytest.approx(learned.values[name][800:].tolist(), abs=1e-6)


def test_another_encoder_voids_the_certificate_and_says_so(tmp_path):
    _, policy, _ = certified(tmp_path, told_apart(2000), learns="hashed")
    proof = policy.certificate
    facts = Facts(proof.snapshots, proof.prices, {identity_of(HASHED): b""})
    assert voids(policy, facts) == []
    changed = msgspec.structs.replace(facts, encoders={"hashed#0": b""})
    (why,) = voids(policy, changed)
    assert why == (
        f"the encoder of learned:tiny:old was {identity_of(HASHED)}, and there is hashed#0"
    )
    assert step_for(policy, "maths", changed) == Single("old")


def test_an_encoder_s_identity_is_of_what_it_makes_of_texts():
    class Louder(Hashed):
        def features(self, text):
            return {place: value * 1.01 for place, value in super().features(text).items()}

    assert identity_of(Louder()) != identity_of(HASHED) == identity_of(encoder_named("hashed"))
    with pytest.raises(ConfigError, match="The encoder is 'bert'"):
        encoder_named("bert")


def test_a_policy_with_a_score_survives_its_file_and_one_without_has_no_word_of_it(tmp_path):
    _, policy, _ = certified(tmp_path, told_apart(2000), learns="hashed")
    write_policy(tmp_path / "p.json", policy)
    assert read_policy(tmp_path / "p.json") == policy
    plain = msgspec.structs.replace(policy, scores=msgspec.UNSET)
    assert not {"scores", "further"} & set(msgspec.json.decode(msgspec.json.encode(plain)))


@given(st.text(max_size=3000))
def test_features_are_few_finite_and_the_same_again(text):
    found = HASHED.features(text)
    assert found == HASHED.features(text)
    assert all(0 <= place <= 256 and np.isfinite(value) for place, value in found.items())
    assert sum(value**2 for place, value in found.items() if place < 256) <= 1 + 1e-9


def test_a_place_without_a_weight_counts_nothing():
    scorer = scorer_of("x", 0.25, [1.0])
    assert score(scorer, HASHED, "") == 0.25
    nested = Route("b", 0.1, Single("x"), Single("y"))
    assert list(scores_named(Route("a", 0.5, Single("x"), nested))) == ["a", "b"]
