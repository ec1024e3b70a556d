"""The flat index: near the exact answer, and exact about what it holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.errors import FarthingBug
from farthing.levers.cache.semantic import Partition


def unit_rows(count, dimensions, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_vector_finds_itself_among_ten_thousand():
    rows = unit_rows(10_000, 96)
    partition = Partition(96)
    for key, row in enumerate(rows):
        partition.add(key, row)
    found = [partition.search(rows[key], 1)[0] for key in range(0, 10_000, 97)]
    assert [key for key, _ in found] == list(range(0, 10_000, 97))
    assert min(score for _, score in found) > 0.998


def test_scores_are_the_cosines_within_a_quarter_of_a_percent():
    rows = unit_rows(150, 384)
    partition = Partition(384)
    for key, row in enumerate(rows):
        partition.add(key, row)
    for query in unit_rows(20, 384, seed=1):
        for key, score in partition.search(query, 10):
            assert abs(score - float(rows[key] @ query)) < 0.0025


def test_near_neighbours_come_out_among_many():
    rows = unit_rows(3000, 128)
    near = rows[:50] + 0.4 * unit_rows(50, 128, seed=2)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    partition = Partition(128)
    for key, row in enumerate(rows):
        partition.add(key, row)
    assert [partition.search(query, 1)[0][0] for query in near] == list(range(50))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_it_holds_just_what_was_added_and_not_removed(steps):
    rows, partition, held = unit_rows(10, 16), Partition(16), set()
    for is_added, key in steps:
        if is_added:
            partition.add(key, rows[key])
            held.add(key)
        else:
            assert partition.remove(key) == (key in held)
            held.discard(key)
    assert set(partition.keys()) == held
    assert len(partition) == len(held)
    for key in held:
        assert partition.search(rows[key], 1)[0][0] == key
        assert key in partition


def test_an_empty_partition_finds_nothing():
    assert Partition(8).search(np.ones(8, dtype=np.float32), 3) == []


@pytest.mark.parametrize("vector", [np.zeros(8, np.float32), np.ones(9, np.float32)])
def test_what_is_no_vector_of_it_is_refused(vector):
    with pytest.raises(FarthingBug):
        Partition(8).add("key", vector)
