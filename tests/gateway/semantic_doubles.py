"""An embedder of few words for the semantic layer's tests, and a way to wait for its thread."""

from __future__ import annotations

import hashlib

import numpy as np

from farthing.levers.cache.semantic import SuppliedEmbedder

DIMENSIONS = 64
_SYNONYMS = {"order": "purchase", "orders": "purchase", "reset": "change", "can": "do"}


def _row(text):
    """The sum of a direction a word: texts with the same words point the same way."""
    row = np.zeros(DIMENSIONS)
    for word in text.lower().rstrip("?.!").split():
        word = _SYNONYMS.get(word, word)
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        row += np.random.default_rng(seed).normal(size=DIMENSIONS)
    return row


def embedder():
    return SuppliedEmbedder(
        lambda texts: np.array([_row(text) for text in texts]),
        identity="words-1",
        dimensions=DIMENSIONS,
    )


async def settled(gateway):
    """Wait until all that the calls so far set off has been done, written and read again."""
    semantic = gateway.wired.caches.semantic
    await semantic.after.settled()
    await semantic.desk.settled()
    gateway.wired.caches.answers.flush()
    semantic.desk.follow()
    await semantic.desk.settled()
    await semantic.desk.settled()


def broken(row):
    """Makes an embedder that gives `row` for every text."""
    return lambda: SuppliedEmbedder(
        lambda texts: np.array([row for _ in texts]), identity="broken-1", dimensions=DIMENSIONS
    )


one_direction = broken([1.0] * DIMENSIONS)
zeros = broken([0.0] * DIMENSIONS)
not_finite = broken([float("nan")] * DIMENSIONS)
another_length = broken([1.0] * (DIMENSIONS + 1))


def sums():
    """An embedder whose rows are far from unit length: long texts seem near to all."""
    return SuppliedEmbedder(
        lambda texts: np.array([_row(text) * len(text) for text in texts]),
        identity="sums-1",
        dimensions=DIMENSIONS,
    )
