"""Streams: the certificate holds along the way, and costs what it says."""

from __future__ import annotations

import numpy as np
import pytest

from farthing.levers.cache.semantic import sign
from farthing.levers.cache.semantic.stream import Question, replay_certified, replay_threshold

INTENTS, PER_INTENT, NOISE = 40, 60, 1.1


def made(seed):
    """Questions around intents, as vectors with noise; texts that no guard tells apart."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(INTENTS, 48))
    labels = draws.permutation(np.repeat(np.arange(INTENTS), PER_INTENT))
    rows = centres[labels] + NOISE * draws.normal(size=(len(labels), 48))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    signature = sign("where is my parcel")
    questions = [Question("where is my parcel", str(label), signature) for label in labels]
    return questions, (rows @ rows.T).astype(np.float32)


@pytest.fixture(scope="module")
def streams():
    return [made(seed) for seed in range(6)]


@pytest.mark.parametrize("delta", [0.02, 0.05])
def test_what_is_served_is_wrong_within_delta(streams, delta):  # S4
    runs = [
        replay_certified(*stream, delta=delta, seed=seed) for seed, stream in enumerate(streams)
    ]
    assert [run.error <= delta for run in runs] == [True] * len(runs)
    assert sum(run.hits for run in runs) > 0


def test_nothing_is_served_before_it_is_certified(streams):
    run = replay_certified(*streams[0], delta=0.0005, seed=0)
    assert (run.hits, run.certified_after) == (0, None)


def test_a_run_can_be_repeated(streams):
    one = replay_certified(*streams[0], delta=0.05, seed=3)
    assert one == replay_certified(*streams[0], delta=0.05, seed=3)


def test_a_global_threshold_serves_all_at_zero_and_nothing_above_one(streams):
    questions, cosines = streams[0]
    assert replay_threshold(questions, cosines, -1.0).hits == len(questions) - 1
    assert replay_threshold(questions, cosines, 1.1).hits == 0


def test_guards_hold_back_what_a_threshold_would_serve():
    questions = [Question(text, text, sign(text)) for text in ("pay 2 seats", "pay 3 seats")]
    cosines = np.ones((2, 2), dtype=np.float32)
    assert replay_threshold(questions, cosines, 0.9).wrong == 1
    assert replay_threshold(questions, cosines, 0.9, is_guarded=True).hits == 0
