"""Embedders of three dimensions for the tests of routing: sums, proofs, and all else."""

from __future__ import annotations

import threading

import numpy as np

from farthing.levers.cache.semantic import SuppliedEmbedder

SUM, PROOF, OTHER = range(3)
CALLED = []  # the texts that were asked for, oldest first
LET_GO = threading.Event()  # ends what `hanging` began


def _rows(texts):
    CALLED.extend(texts)
    found = np.full((len(texts), 3), 0.01)
    for row, text in zip(found, texts, strict=True):
        row[SUM if "add" in text else PROOF if "prove" in text else OTHER] = 1.0
    return found


def _named(function, identity="topics-1"):
    return SuppliedEmbedder(function, identity=identity, dimensions=3)


def topics():
    return _named(_rows)


def renamed():
    return _named(_rows, "topics-2")


def turned():
    """The same name, and other vectors."""
    return _named(lambda texts: _rows(texts)[:, ::-1])


def broken():
    """Fails at whatever a caller writes."""

    def rows(texts):
        if any("Translate" not in text for text in texts):
            raise RuntimeError("no such word")
        return _rows(texts)

    return _named(rows)


def hanging():
    """Does not come back from what a caller writes."""

    def rows(texts):
        if any("Translate" not in text for text in texts):
            LET_GO.wait(30)
        return _rows(texts)

    return _named(rows)


def never_loads():
    raise TypeError("no weights")


def useless():
    """Fails at everything, the first sentence included."""

    def rows(texts):
        raise RuntimeError("no such word")

    return _named(rows)
