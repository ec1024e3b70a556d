"""Simulated streams: questions in random order, an empty cache, and what each policy would serve.

Answers are labels (an intent, a cluster): an answer served is right if it is the question's own.
Every policy sees the same order and the same vectors. Ours begins in shadow, fits its scorer on the
first labels, certifies on the later ones, then serves with a share of what it serves checked; all
of that is part of its figures. A global threshold serves from the first request on, and which
threshold is best is chosen afterwards: it is granted what no real cache can have. Beside it stands
the threshold that one can have: the cosine alone, proven by the same certificate from the same labels.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from farthing.levers.cache.semantic.certificate import (
    SHARES,
    Certifier,
    Stamp,
    thresholds_of,
)
from farthing.levers.cache.semantic.decision import COMPARED, Rules
from farthing.levers.cache.semantic.embedder import need_numpy
from farthing.levers.cache.semantic.guards import GUARDS_VERSION
from farthing.levers.cache.semantic.neighbours import Near, Neighbourhood
from farthing.levers.cache.semantic.scorer import (
    FEATURES,
    Evidence,
    Scorer,
    evidence_from,
    fit_scorer,
    is_passed,
)

__all__ = ["Policy", "Shadow", "StreamResult", "replay_certified", "replay_threshold"]

Policy = Literal["stand", "learnt", "plain"]

NEIGHBOURS = 8
_SAMPLING = 0.05  # share of what is served that is checked
_FIT_LABELS = 1300
_FIT_SKIPPED = 600  # the first labels are of a cache that is still empty: nothing like later ones
_PLAIN = Scorer(bias=-34.0, weights=(40.0, *[0.0] * (len(FEATURES) - 1)))  # rises with the cosine
_PLAIN_THRESHOLDS = tuple(
    _PLAIN.score(Evidence((at / 100, *_PLAIN.weights[1:]))) for at in range(98, 71, -2)
)


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


def replay_threshold(
    hood: Neighbourhood, order: Sequence[int], threshold: float, *, is_guarded: bool = False
) -> StreamResult:
    """One global cosine threshold: serve the nearest entry at or above it, else call and store.

    `is_guarded`: unless a guard vetoes it.
    """
    held: Any = need_numpy("Simulating streams").zeros(len(hood), dtype=bool)
    is_held = bytearray(len(hood))
    answers, hits, wrong = hood.answers, 0, 0
    for question in order:
        found = _first(hood, question, is_held, held, threshold)
        if found is not None and is_guarded and hood.compare(question, found).is_vetoed:
            found = None
        if found is not None:
            hits += 1
            wrong += answers[found] != answers[question]
        else:
            is_held[question] = held[question] = True
    return StreamResult(lookups=len(order), hits=hits, wrong=wrong)


def _first(
    hood: Neighbourhood, question: int, is_held: bytearray, held: Any, threshold: float
) -> int | None:
    """The nearest entry, where it is at the threshold or above."""
    cosines = hood.row_cosines[question]
    for at, other in enumerate(hood.rows[question]):
        if cosines[at] < threshold:
            return None
        if is_held[other]:
            return other
    found = hood.nearest(question, held, 1) if len(cosines) < len(hood) - 1 else []
    return found[0][0] if found and found[0][1] >= threshold else None


class Shadow:
    """What every run over one order sees as long as it has served nothing: all is stored."""

    def __init__(self, hood: Neighbourhood, order: Sequence[int]) -> None:
        self._hood, self._order = hood, order
        self._held: Any = need_numpy("Simulating streams").zeros(len(hood), dtype=bool)
        self._near: list[list[Near]] = []
        self._fitted: dict[Policy, tuple[Scorer, tuple[float, ...]] | None] = {}

    def near(self, place: int) -> list[Near]:
        """The nearest of all questions before this place."""
        while len(self._near) <= place:
            question = self._order[len(self._near)]
            self._near.append(self._hood.nearest(question, self._held, NEIGHBOURS))
            self._held[question] = True
        return self._near[place]

    def fitted(
        self, policy: Policy, fit: Callable[[], tuple[Scorer, tuple[float, ...]] | None]
    ) -> tuple[Scorer, tuple[float, ...]] | None:
        """The scorer of the first labels, which are the same for every run of a policy."""
        if self._fitted.get(policy) is None:
            self._fitted[policy] = fit()
        return self._fitted[policy]


@dataclass(slots=True)
class _Run:
    """The state of our policy along one stream."""

    hood: Neighbourhood
    shadow: Shadow
    delta: float
    policy: Policy
    labelled: list[tuple[Evidence, bool]] = field(default_factory=list[tuple[Evidence, bool]])
    certifier: Certifier | None = None
    rules: Rules = field(default_factory=Rules)
    labels: int = 0
    began: int | None = None

    def __post_init__(self) -> None:
        self.rules = Rules(mode="shadow", is_veto_learnt=self.policy == "learnt")
        if self.policy == "plain":
            self._prove(_PLAIN, _PLAIN_THRESHOLDS)

    def look(self, question: int, near: Sequence[Near]) -> tuple[int, Evidence] | None:
        """What `propose` would choose of these neighbours, and its evidence."""
        answers = self.hood.answers
        if self.hood.is_live[question]:
            return None
        for entry, cosine in near[:COMPARED]:
            comparison = self.hood.compare(question, entry)
            if self.policy == "plain" or self._is_passed(comparison.vetoes):
                like = [(near_to, answers[other] == answers[entry]) for other, near_to in near]
                return entry, evidence_from(cosine, like, comparison)
        return None

    def _is_passed(self, vetoes: frozenset[str]) -> bool:
        return is_passed(vetoes, self.rules.scorer, is_veto_learnt=self.rules.is_veto_learnt)

    def learn(
        self, evidence: Evidence, score: float | None, *, fits: bool, propensity: float, at: int
    ) -> None:
        """Take one label; fit, certify, begin or stop serving where it is time to."""
        self.labels += 1
        certifier = self.certifier
        if certifier is None or score is None:
            self.labelled.append((evidence, fits))
            if len(self.labelled) >= _FIT_LABELS:
                self._begin_proof()
            return
        is_serving = self.rules.mode == "serve"
        certifier.observe(score, is_wrong=not fits, propensity=propensity, is_serving=is_serving)
        if certifier.is_breached:
            self.rules = replace(self.rules, mode="shadow", threshold=None)
        elif is_serving or (certifier.threshold is not None and not certifier.is_growing()):
            self.began = at if self.began is None else self.began
            self.rules = replace(self.rules, mode="serve", threshold=certifier.threshold)

    def _begin_proof(self) -> None:
        fitted = self.shadow.fitted(self.policy, self._fit)
        if fitted is not None:
            self._prove(*fitted)

    def _prove(self, scorer: Scorer, thresholds: tuple[float, ...]) -> None:
        self.rules = replace(self.rules, scorer=scorer)
        self.certifier = Certifier(
            stamp=Stamp(embedder="stream", guards=GUARDS_VERSION, scorer=scorer.version, model=""),
            delta=self.delta,
            thresholds=thresholds,
            sampling=_SAMPLING,
        )

    def _fit(self) -> tuple[Scorer, tuple[float, ...]] | None:
        used = self.labelled[_FIT_SKIPPED:]
        scorer = fit_scorer(used)
        if scorer is None:
            return None
        scores = [
            scorer.score(one)
            for one, _ in used
            if is_passed(one.vetoes, scorer, is_veto_learnt=False)
        ]
        return scorer, thresholds_of(scores, SHARES)


def replay_certified(
    hood: Neighbourhood,
    order: Sequence[int],
    *,
    delta: float,
    seed: int,
    shadow: Shadow | None = None,
    policy: Policy = "stand",
) -> StreamResult:
    """Our policy: shadow, fit, certify, serve what is certified, watch.

    `shadow`, of the same order, may be shared by runs. `policy`: vetoes `stand`, or are `learnt`;
    `plain` is the same certificate for the cosine to the nearest entry alone, without
    guards or a fitted score.
    """
    draws = random.Random(seed)  # noqa: S311 - which hits are checked; seeded for repetition
    shadow = shadow or Shadow(hood, order)
    run = _Run(hood, shadow, delta, policy)
    held: Any = need_numpy("Simulating streams").zeros(len(hood), dtype=bool)
    hits = wrong = 0
    for place, question in enumerate(order):
        near = hood.nearest(question, held, NEIGHBOURS) if hits else shadow.near(place)
        found = run.look(question, near)
        held[question] = True
        if found is None:
            continue
        entry, evidence = found
        fits = hood.answers[entry] == hood.answers[question]
        scorer, threshold = run.rules.scorer, run.rules.threshold
        score = None if scorer is None else scorer.score(evidence)
        is_served = run.rules.mode == "serve" and score is not None
        if is_served and threshold is not None and score is not None and score >= threshold:
            held[question] = False
            hits += 1
            wrong += not fits
            if draws.random() < _SAMPLING:
                run.learn(evidence, score, fits=fits, propensity=_SAMPLING, at=place)
            continue
        run.learn(evidence, score, fits=fits, propensity=1.0, at=place)
    breached = run.certifier is not None and run.certifier.is_breached
    return StreamResult(
        lookups=len(order),
        hits=hits,
        wrong=wrong,
        labels=run.labels,
        certified_after=run.began,
        is_breached=breached,
    )
