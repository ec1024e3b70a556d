"""The course of one namespace: shadow, a fitted score, a certificate, serving, perhaps a breach.

A course is a fold over labels in the order they were recorded, and nothing else: whoever reads the
same labels stands at the same place, after a crash or in another worker. Labels are the record;
scores, certificates and breaches are derived from them.
"""

from __future__ import annotations

import msgspec

from farthing.levers.cache.scope import TenantKeys
from farthing.levers.cache.semantic.calibration import Calibration
from farthing.levers.cache.semantic.certificate import (
    PROOF_VERSION,
    SHARES,
    Certifier,
    Stamp,
    thresholds_of,
)
from farthing.levers.cache.semantic.guards import GUARDS_VERSION
from farthing.levers.cache.semantic.scorer import (
    FEATURES,
    Evidence,
    Scorer,
    fit_scorer,
    is_passed,
)
from farthing.levers.cache.semantic_settings import SemanticRules, SemanticSettings

__all__ = ["Course", "Label", "Standing", "Terms", "course_id", "terms_of"]

_COSINES = (0.98, 0.95, 0.92, 0.9, 0.87, 0.85, 0.8, 0.75, 0.7)
_TRIES_MAX = 8  # certificates after breaches; each has half the alpha of the one before


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Under which terms a namespace is certified; labels taken under others do not count."""

    delta: float
    sampling: float
    shadow_sampling: float
    fit_labels: int
    near_min: float
    embedder: str
    model: str
    is_veto_learnt: bool = False

    @property
    def stamp(self) -> str:
        """What a label is bound to."""
        return repr((msgspec.structs.astuple(self), GUARDS_VERSION, FEATURES, PROOF_VERSION))


def terms_of(settings: SemanticSettings, rules: SemanticRules, embedder: str, model: str) -> Terms:
    """The terms by the settings; where uncertified answers are served, few labels are of those."""
    floor = settings.sampling if rules.is_uncertified_allowed else settings.shadow_sampling
    return Terms(
        delta=rules.delta,
        sampling=settings.sampling,
        shadow_sampling=floor,
        fit_labels=settings.fit_labels,
        near_min=settings.near_min,
        embedder=embedder,
        model=model,
        is_veto_learnt=rules.vetoes == "learnt" and settings.fit_labels > 0,
    )


def course_id(keys: TenantKeys, feature: str, terms: Terms) -> bytes:
    """The name of the namespace that is certified by itself; under other terms it is another."""
    return keys.mark("course", f"{feature}\0{terms.stamp}")


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One look-up whose answers were compared.

    `propensity` is the chance with which it was; `is_serving`: the namespace served at that time.
    `vetoes` are the guards that held the two questions apart.
    """

    features: tuple[float, ...]
    is_wrong: bool
    propensity: float
    is_serving: bool
    vetoes: tuple[str, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a namespace stands: what may be served, and what is still needed.

    `threshold` is None while nothing may be served. `labels` counts since the last breach.
    `is_corrected`: what is proven allows for the judge's own errors.
    """

    scorer: Scorer | None = None
    threshold: float | None = None
    labels: int = 0
    wrong: int = 0
    labels_needed: int = 0
    breaches: int = 0
    is_fitted: bool = False
    is_corrected: bool = False


class Course:
    """Takes labels, one after the other; `standing` says where that leads."""

    def __init__(self, terms: Terms, calibration: Calibration | None = None) -> None:
        """`calibration` says how often the judge errs; None: its word is taken as it is."""
        self._terms = terms
        self._calibration = calibration
        self._fitting: list[tuple[Evidence, bool]] = []
        self._scorer: Scorer | None = None
        self._certifier: Certifier | None = None
        self._is_serving = False
        self._breaches = 0
        self._labels = self._wrong = 0
        if not terms.fit_labels:
            self._certify(_COSINES)

    @property
    def standing(self) -> Standing:
        """What all labels so far say."""
        certifier = self._certifier
        return Standing(
            scorer=self._scorer,
            threshold=certifier.threshold if certifier and self._is_serving else None,
            labels=self._labels,
            wrong=self._wrong,
            labels_needed=0 if certifier is None else certifier.labels_needed,
            breaches=self._breaches,
            is_fitted=certifier is not None,
            is_corrected=self.is_corrected,
        )

    @property
    def is_corrected(self) -> bool:
        """Whether the judge's own errors are allowed for."""
        return self._calibration is not None

    @property
    def certifier(self) -> Certifier | None:
        """What is certified now, band by band; None while the score is still learnt."""
        return self._certifier

    def take(self, label: Label) -> None:
        """Count one label. Labels of what was served count only while that certificate stands."""
        if self._breaches >= _TRIES_MAX or len(label.features) != len(FEATURES):
            return
        if label.is_serving and not self._is_serving:
            return
        evidence = Evidence(label.features, frozenset(label.vetoes))
        certifier = self._certifier
        if not self._may_pass(evidence):
            return
        self._labels += 1
        self._wrong += label.is_wrong
        if certifier is None:
            self._fitting.append((evidence, not label.is_wrong))
            if len(self._fitting) >= self._terms.fit_labels:
                self._fit()
            return
        score = base_score(evidence) if self._scorer is None else self._scorer.score(evidence)
        threshold = certifier.threshold
        is_served = label.is_serving and threshold is not None and score >= threshold
        if label.propensity < (certifier.sampling if is_served else certifier.shadow_sampling):
            return
        certifier.observe(
            score,
            is_wrong=label.is_wrong,
            propensity=label.propensity,
            is_serving=label.is_serving,
        )
        if certifier.is_breached:
            self._begin_again()
        elif certifier.threshold is not None and not certifier.is_growing():
            self._is_serving = True

    def _fit(self) -> None:
        """Learn the score from the first labels; where all were alike, the cosine is the score."""
        self._scorer = fit_scorer(self._fitting)
        if self._scorer is None:
            self._certify(_COSINES)
        else:
            used = [evidence for evidence, _ in self._fitting if self._may_pass(evidence)]
            scores = [self._scorer.score(evidence) for evidence in used]
            self._certify(thresholds_of(scores, SHARES))
        self._fitting = []

    def _may_pass(self, evidence: Evidence) -> bool:
        """Whether no veto stands; while the score is learnt, vetoed pairs may be looked at too."""
        is_learning = self._terms.is_veto_learnt and self._certifier is None
        return is_passed(evidence.vetoes, self._scorer, is_veto_learnt=is_learning)

    def _certify(self, thresholds: tuple[float, ...]) -> None:
        terms = self._terms
        version = "cosine" if self._scorer is None else self._scorer.version
        self._certifier = Certifier(
            stamp=Stamp(
                embedder=terms.embedder, guards=GUARDS_VERSION, scorer=version, model=terms.model
            ),
            delta=terms.delta,
            thresholds=thresholds,
            sampling=terms.sampling,
            shadow_sampling=terms.shadow_sampling,
            alpha=0.05 / 2**self._breaches,
            judge=None if self._calibration is None else self._calibration.judge,
            share=1.0 if self._calibration is None else self._calibration.share,
        )

    def _begin_again(self) -> None:
        """Back to shadow: what was certified is void, and a new certificate must be stricter."""
        self._breaches += 1
        self._is_serving = False
        self._labels = self._wrong = 0
        self._scorer = self._certifier = None
        if not self._terms.fit_labels:
            self._certify(_COSINES)


def base_score(evidence: Evidence) -> float:
    """The score where none is fitted: the cosine, less 1 where any doubt stands."""
    words, doubts, vetoes = evidence.features[4], evidence.features[5], evidence.features[7]
    return evidence.cosine - (1.0 if words or doubts or vetoes else 0.0)
