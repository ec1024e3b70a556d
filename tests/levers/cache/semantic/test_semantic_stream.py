"""Streams: the certificate holds along the way, and costs what it says."""

from __future__ import annotations

import numpy as np
import pytest

from farthing.levers.cache.semantic import sign
from farthing.levers.cache.semantic.neighbours import Neighbourhood
from farthing.levers.cache.semantic.stream import replay_certified, replay_threshold

INTENTS, PER_INTENT, NOISE = 40, 60, 1.1


def made(seed, texts=("where is my parcel",)):
    """Questions around intents, as vectors with noise; of one text no guard tells them apart."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(INTENTS, 48))
    labels = draws.permutation(np.repeat(np.arange(INTENTS), PER_INTENT))
    rows = centres[labels] + NOISE * draws.normal(size=(len(labels), 48))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    words = [sign(texts[at % len(texts)]) for at in range(len(rows))]
    hood = Neighbourhood(words, [str(one) for one in labels], np.float32(rows))
    return hood, range(len(rows))


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


def test_a_threshold_has_to_be_proven_too(streams):
    found = [
        replay_certified(*stream, delta=0.05, seed=seed, policy="plain")
        for seed, stream in enumerate(streams)
    ]
    assert [run.error <= 0.05 for run in found] == [True] * len(found)
    assert sum(run.labels for run in found) > 0
    assert all((run.certified_after is None) == (run.hits == 0) for run in found)
    ours = [replay_certified(*stream, delta=0.05, seed=at) for at, stream in enumerate(streams)]
    assert sum(run.hits for run in ours) > sum(run.hits for run in found)


def test_what_labels_say_of_vetoes_counts_only_where_they_are_learnt():
    hood, order = made(3, ["book 2 seats", "book 3 seats", "book 4 seats"])
    learnt = replay_certified(hood, order, delta=0.05, seed=0, policy="learnt")
    stand = replay_certified(hood, order, delta=0.05, seed=0, policy="stand")
    assert learnt.hits > stand.hits
    assert learnt.error <= 0.05


def test_nothing_is_served_before_it_is_certified(streams):
    run = replay_certified(*streams[0], delta=0.0005, seed=0)
    assert (run.hits, run.certified_after) == (0, None)


def test_a_run_can_be_repeated(streams):
    one = replay_certified(*streams[0], delta=0.05, seed=3)
    assert one == replay_certified(*streams[0], delta=0.05, seed=3)


def test_a_global_threshold_serves_all_at_zero_and_nothing_above_one(streams):
    hood, order = streams[0]
    assert replay_threshold(hood, order, -1.0).hits == len(order) - 1
    assert replay_threshold(hood, order, 1.1).hits == 0


def test_guards_hold_back_what_a_threshold_would_serve():
    texts = ("pay 2 seats", "pay 3 seats")
    hood = Neighbourhood([sign(one) for one in texts], texts, np.ones((2, 1), dtype=np.float32))
    assert replay_threshold(hood, (0, 1), 0.9).wrong == 1
    assert replay_threshold(hood, (0, 1), 0.9, is_guarded=True).hits == 0


def test_a_walk_down_the_rank_finds_what_a_look_at_all_entries_finds(streams):
    hood, _ = streams[0]
    held = np.zeros(len(hood), dtype=bool)
    held[::7] = True
    for question in range(0, 60, 5):
        found = [entry for entry, _ in hood.nearest(question, held, 5)]
        ranked = [entry for entry in hood.rows[question] if held[entry]]
        assert found == ranked[:5]
    few = np.zeros(len(hood), dtype=bool)
    few[[3, 9]] = True
    assert sorted(entry for entry, _ in hood.nearest(0, few, 5)) == [3, 9]
