"""Simulated streams: questions in random order, an empty cache, and what each policy would serve.

Answers are labels (an intent, a cluster): an answer served is right if it is the question's own.
Every policy sees the same order and the same vectors. Ours begins in shadow, fits its scorer on the
first labels, certifies on the later ones, then serves with a share of what it serves checked; all
of that is part of its figures. A global threshold serves from the first request on, and which
threshold is best is chosen afterwards: it is granted what no real cache can have.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from farthing.levers.cache.semantic.certificate import Certifier, Stamp, thresholds_of
from farthing.levers.cache.semantic.decision import (
    Candidate,
    Decision,
    Lookup,
    Rules,
    View,
    propose,
)
from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.guards import GUARDS_VERSION, compare
from farthing.levers.cache.semantic.scorer import Evidence, Neighbour, fit_scorer
from farthing.levers.cache.semantic.signature import Signature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Question", "StreamResult", "replay_certified", "replay_threshold"]

_NEIGHBOURS = 8
_FIT_LABELS = 400
_SHARES = (0.06, 0.12, 0.18, 0.25, 0.32, 0.4, 0.48, 0.56, 0.64, 0.72, 0.8, 0.88)


@dataclass(frozen=True, slots=True)
class Question:
    """One text and the label of its right answer."""

    text: str
    answer: str
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """Counts of one run.

    `labels` are answers judged; `certified_after` is the lookup at which serving began, None if
    it never did.
    """

    lookups: int
    hits: int
    wrong: int
    labels: int = 0
    certified_after: int | None = None
    is_breached: bool = False

    @property
    def error(self) -> float:
        """Wrong answers among those served; 0 where none was."""
        return self.wrong / self.hits if self.hits else 0.0


class _Store:
    """The entries of a run, by their place in the order; answers are known, for we called for them."""

    def __init__(self, cosines: Any, count: int) -> None:
        self._numpy: Any = need_numpy("Simulating streams")
        self._cosines = cosines
        self._places: Any = self._numpy.zeros(count, dtype=self._numpy.int64)
        self.held = 0

    def add(self, place: int) -> None:
        self._places[self.held] = place
        self.held += 1

    def nearest(self, place: int, count: int) -> list[tuple[int, float]]:
        places = self._places[: self.held]
        scores = self._cosines[place][places]
        if self.held > count:
            top = self._numpy.argpartition(-scores, count)[:count]
        else:
            top = self._numpy.arange(self.held)
        order = top[self._numpy.argsort(-scores[top], kind="stable")]
        return [(int(places[at]), float(scores[at])) for at in order]


def replay_threshold(
    questions: Sequence[Question],
    cosines: npt.NDArray[np.float32],
    threshold: float,
    *,
    is_guarded: bool = False,
) -> StreamResult:
    """One global cosine threshold: serve the nearest entry at or above it, else call and store.

    `is_guarded`: unless a guard vetoes it.
    """
    store = _Store(cosines, len(questions))
    hits = wrong = 0
    for place, question in enumerate(questions):
        found = store.nearest(place, 1)
        is_near = bool(found) and found[0][1] >= threshold
        if is_near and is_guarded:
            near = questions[found[0][0]].signature
            is_near = not compare(question.signature, near).is_vetoed
        if is_near:
            hits += 1
            wrong += questions[found[0][0]].answer != question.answer
        else:
            store.add(place)
    return StreamResult(lookups=len(questions), hits=hits, wrong=wrong)


@dataclass(slots=True)
class _Run:
    """The state of our policy along one stream."""

    delta: float
    sampling: float
    labelled: list[tuple[Evidence, bool]] = field(default_factory=list[tuple[Evidence, bool]])
    certifier: Certifier | None = None
    rules: Rules = field(default_factory=lambda: Rules(mode="shadow"))
    labels: int = 0
    began: int | None = None

    def learn(self, decision: Decision, *, fits: bool, propensity: float, at: int) -> None:
        """Take one label; fit, certify, begin or stop serving where it is time to."""
        evidence = decision.evidence
        if evidence is None:
            return
        self.labels += 1
        certifier = self.certifier
        if certifier is None:
            self.labelled.append((evidence, fits))
            if len(self.labelled) >= _FIT_LABELS:
                self._fit()
            return
        assert decision.score is not None  # noqa: S101 - there is evidence
        is_serving = self.rules.mode == "serve"
        certifier.observe(
            decision.score, is_wrong=not fits, propensity=propensity, is_serving=is_serving
        )
        if certifier.is_breached:
            self.rules = replace(self.rules, mode="shadow", threshold=None)
        elif is_serving or (certifier.threshold is not None and not certifier.is_growing()):
            self.began = at if self.began is None else self.began
            self.rules = replace(self.rules, mode="serve", threshold=certifier.threshold)

    def _fit(self) -> None:
        scorer = fit_scorer(self.labelled)
        if scorer is None:
            return
        scores = [scorer.score(evidence) for evidence, _ in self.labelled]
        self.rules = replace(self.rules, scorer=scorer)
        self.certifier = Certifier(
            stamp=Stamp(embedder="stream", guards=GUARDS_VERSION, scorer=scorer.version, model=""),
            delta=self.delta,
            thresholds=thresholds_of(scores, _SHARES),
            sampling=self.sampling,
        )


def replay_certified(
    questions: Sequence[Question],
    cosines: npt.NDArray[np.float32],
    *,
    delta: float,
    seed: int,
    sampling: float = 0.05,
) -> StreamResult:
    """Our policy: shadow, fit, certify, serve what is certified, watch."""
    draws = random.Random(seed)  # noqa: S311 - which hits are checked; seeded for repetition
    store, run = _Store(cosines, len(questions)), _Run(delta, sampling)
    hits = wrong = 0
    for place, question in enumerate(questions):
        candidates = [
            _candidate(questions, at, cosine) for at, cosine in store.nearest(place, _NEIGHBOURS)
        ]
        decision = propose(
            Lookup(signature=question.signature), View(candidates=candidates, rules=run.rules)
        )
        fits = (
            decision.entry is not None and questions[int(decision.entry)].answer == question.answer
        )
        if decision.action == "serve":
            hits += 1
            wrong += not fits
            if draws.random() < sampling:
                run.learn(decision, fits=fits, propensity=sampling, at=place)
            continue
        run.learn(decision, fits=fits, propensity=1.0, at=place)
        store.add(place)
    breached = run.certifier is not None and run.certifier.is_breached
    return StreamResult(
        lookups=len(questions),
        hits=hits,
        wrong=wrong,
        labels=run.labels,
        certified_after=run.began,
        is_breached=breached,
    )


def _candidate(questions: Sequence[Question], at: int, cosine: float) -> Candidate:
    question = questions[at]
    return Candidate(
        neighbour=Neighbour(str(at), question.answer, cosine), signature=question.signature
    )
