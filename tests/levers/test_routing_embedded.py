"""Scores learned from embeddings: certified as any other, bound to the embedder and its vectors."""

from __future__ import annotations

import importlib.util
import math

import msgspec
import pytest
import topic_embedders
from hypothesis import given
from hypothesis import strategies as st
from test_routing_learned import TOPICS, certified, told_apart

from farthing.errors import ConfigError
from farthing.levers.cache.semantic.wordllama import WordLlama
from farthing.levers.cache.semantic_extra import need_embedder
from farthing.levers.routing import Facts, Route, voids
from farthing.levers.routing.encoder import (
    CHARACTERS,
    Embedded,
    encoder_named,
    identity_of,
    is_alike,
    probe_of,
)
from farthing.levers.routing.policy import read_policy, write_policy
from farthing.levers.routing.scorer import score

OWN = "topic_embedders:topics"
NEEDS_WORDLLAMA = pytest.mark.skipif(
    importlib.util.find_spec("wordllama") is None, reason="wordllama has no wheel for this machine"
)


@pytest.fixture(scope="module")
def wordllama():
    return encoder_named("wordllama")


@pytest.mark.parametrize("encoder", [pytest.param("wordllama", marks=NEEDS_WORDLLAMA), OWN])
def test_scores_from_embeddings_are_certified_where_they_tell_calls_apart(tmp_path, encoder):
    _, policy, _ = certified(tmp_path, told_apart(2000), learns=encoder)
    step = policy.steps["maths"]
    assert isinstance(step, Route)
    assert policy.certificate.quality_ratio > 0.97
    assert policy.certificate.cost_ratio < 0.65
    made = encoder_named(encoder)
    scorer = policy.scores[step.score]
    cheap, dear = (score(scorer, made, f"Please {text} 12") for text in TOPICS.values())
    assert cheap < step.threshold <= dear


def test_a_policy_holds_its_embedder_s_identity_and_probe_and_is_void_with_any_other(tmp_path):
    _, policy, _ = certified(tmp_path, told_apart(2000), learns=OWN)
    write_policy(tmp_path / "p.json", policy)
    policy = read_policy(tmp_path / "p.json")
    own = encoder_named(OWN)
    proof = policy.certificate

    def facts(identity, probe):
        return Facts(proof.snapshots, proof.prices, {identity: probe})

    assert voids(policy, facts("topics-1", probe_of(own))) == []
    assert voids(policy, facts("topics-1", b"")) == []  # not loaded yet
    (why,) = voids(policy, facts("topics-2", probe_of(own)))
    assert why == "the encoder of learned:tiny:old was topics-1, and there is topics-2"
    turned = encoder_named("topic_embedders:turned")
    (why,) = voids(policy, facts(identity_of(turned), probe_of(turned)))
    assert "makes other vectors than it did" in why


def test_the_last_bits_of_a_vector_may_differ_from_machine_to_machine():
    class Nearly:
        identity, dimensions = "x", 3

        def __init__(self, turn):
            self.turn = turn

        def embed(self, texts):
            row = topic_embedders.np.array([[math.cos(self.turn), math.sin(self.turn), 0.0]])
            return row.repeat(len(texts), axis=0)

    one, near, far = (probe_of(Embedded("x", Nearly(turn))) for turn in (0.0, 0.05, 0.3))
    assert is_alike(one, near)
    assert not is_alike(one, far)
    assert not is_alike(one, one + b"\0")


@NEEDS_WORDLLAMA
def test_the_static_embedder_gives_unit_vectors_and_the_same_ones_each_time(wordllama):
    embedder = WordLlama()
    one, other = embedder.embed(["Where is my order?", "How do I bake bread?"])
    assert one.shape == (embedder.dimensions,)
    assert float(one @ one) == pytest.approx(1, abs=1e-5)
    assert float(one @ other) < 0.7
    assert wordllama.features("Where is my order?") == {
        **dict(enumerate(one.tolist())),
        embedder.dimensions: pytest.approx(math.log1p(4) / 10),
    }
    (near,) = embedder.embed(["Where's the parcel I ordered?"])
    assert float(one @ near) > float(one @ other)


@NEEDS_WORDLLAMA
def test_weights_that_were_not_measured_are_refused(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "l2_supercat_256.safetensors").write_bytes(b"others")
    with pytest.raises(ConfigError, match=r"Install wordllama==0\.4\.0\.post1"):
        WordLlama(tmp_path)


@given(st.text(max_size=300))
def test_any_text_has_features_and_a_blank_one_has_none(text):
    features = Embedded("topics", topic_embedders.topics()).features(text)
    assert (features == {}) == (not text.strip())
    assert all(map(math.isfinite, features.values()))


@NEEDS_WORDLLAMA
def test_no_more_than_the_beginning_of_a_text_is_read(wordllama):
    text = "word " * CHARACTERS
    assert wordllama.features(text) == wordllama.features(text[:CHARACTERS])


@NEEDS_WORDLLAMA
def test_half_a_surrogate_pair_is_a_text_as_well(wordllama):
    assert all(map(math.isfinite, wordllama.features("\ud800 what?").values()))


def test_an_embedder_that_is_not_installed_names_the_extra_that_brings_it():
    there = {"numpy": True}.get
    with pytest.raises(ConfigError, match=r"pip install 'farthing\[wordllama\]'"):
        need_embedder("wordllama", "routing.embedder", there)
    need_embedder("a:b", "routing.embedder", there)


def test_a_scorer_without_a_probe_is_written_as_it_was_before_there_were_any(tmp_path):
    _, policy, _ = certified(tmp_path, told_apart(2000), learns="hashed")
    (scorer,) = policy.scores.values()
    assert set(msgspec.to_builtins(scorer)) == {"encoder", "bias", "weights"}
