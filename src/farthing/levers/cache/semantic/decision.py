"""The semantic lever: whether an answer given before may be served to this question.

Pure. What is near the question is handed in (`View`), so that the gateway, shadow mode, replay and
`farthing cache eval` decide alike. The caller has already made sure that everything but the
question itself is equal: a view holds entries of one scope and one fingerprint only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from farthing.levers.cache.semantic.guards import Comparison, Finding
from farthing.levers.cache.semantic.scorer import (
    Evidence,
    Neighbour,
    Scorer,
    evidence_of,
    is_passed,
)
from farthing.levers.cache.semantic.signature import Signature
from farthing.levers.cache.semantic.strangers import are_alike
from farthing.levers.cache.semantic.variables import compare
from farthing.levers.cache.semantic.volatility import volatility_of

__all__ = [
    "COMPARED",
    "Action",
    "Bar",
    "Candidate",
    "Decision",
    "Lookup",
    "Mode",
    "Rules",
    "View",
    "propose",
    "score_of",
]

Mode = Literal["off", "shadow", "assisted", "serve"]
Action = Literal["serve", "judge", "miss", "bypass"]
Bar = Literal["", "other words", "unconfirmed", "asked once"]
COMPARED = 5
_NOTHING = "nothing-near"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A question. `writer` is who asks, within the tenant; empty where that is not told apart.

    `is_first_turn` is false where the request has a history: then only the very same request may
    match, which is the exact cache's business.
    """

    signature: Signature
    writer: str = ""
    is_first_turn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An entry near the question, as the index and the store know it.

    `is_shared`: others than its writer may have its answer. `is_admitted`: it was asked for often
    enough to be served at all.
    """

    neighbour: Neighbour
    signature: Signature
    writer: str = ""
    is_stale: bool = False
    is_quarantined: bool = False
    is_shared: bool = True
    is_admitted: bool = True


class Near(Protocol):
    """What a decision needs of a candidate; its signature only where it comes to comparing."""

    @property
    def neighbour(self) -> Neighbour:
        """Its cosine, and which answer it holds."""
        ...

    @property
    def signature(self) -> Signature:
        """What the guards compare."""
        ...

    @property
    def writer(self) -> str:
        """Who asked it first."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether its answer is too old."""
        ...

    @property
    def is_quarantined(self) -> bool:
        """Whether its answer must not be given to this question."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether others than its writer may have its answer."""
        ...

    @property
    def is_admitted(self) -> bool:
        """Whether it was asked for often enough to be served at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a namespace may do.

    `threshold` is the certified score, None while nothing is certified. From the cosine `near_min`
    on a stored question is near. That and `margin_min` bound what may be served without a
    certificate, which happens only where `is_uncertified_allowed`: then no doubt at all may stand.
    Cosines hold for the packaged embedder; another one needs its own. `is_veto_learnt`: while there is no scorer, vetoed entries
    are looked at too (and never served), so that labels may show which vetoes do not matter here.
    """

    mode: Mode = "shadow"
    scorer: Scorer | None = None
    threshold: float | None = None
    is_uncertified_allowed: bool = False
    near_min: float = 0.80
    margin_min: float = 0.01
    is_veto_learnt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The candidates, nearest first, and the namespace's rules."""

    candidates: Sequence[Near]
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, why, and all that the log keeps of it.

    `would_serve` says what `serve` mode would have done. `score` is None where there was nothing
    to score. `judge`: call upstream now, compare the answers afterwards. `barred` is why an entry
    may not be served even if it is good enough, `is_held_back` that it is. `told` is the reason in a word, for the
    caller: it tells of no other principal's question that he might not be served from.
    """

    action: Action
    reason: str
    told: str = ""
    barred: Bar = ""
    is_held_back: bool = False
    entry: str | None = None
    would_serve: bool = False
    score: float | None = None
    evidence: Evidence | None = None
    comparison: Comparison | None = None


def propose(lookup: Lookup, view: View) -> Decision:
    """The decision for one question; deterministic."""
    rules = view.rules
    if rules.mode == "off":
        return Decision(action="bypass", reason="the semantic layer is off here", told="off")
    if not lookup.is_first_turn:
        reason = "the request has a history: exact matches only"
        return Decision(action="bypass", reason=reason, told="history")
    if volatility_of(lookup.signature.plain) == "live":
        return Decision(action="bypass", reason="the answer changes by the minute", told="live")
    usable = [one for one in view.candidates if not one.is_stale and not one.is_quarantined]
    free = [one for one in usable if not _barred(lookup, one)]
    decision = _proposed(lookup, free, rules)
    if decision.would_serve or len(free) == len(usable):
        return decision
    # What is barred neither hides nor helps what may be served; it is compared, so that it may
    # be confirmed.
    whole = _proposed(lookup, usable, rules)
    return decision if whole.would_serve else replace(whole, told=decision.told)


def _barred(lookup: Lookup, candidate: Near) -> Bar:
    """Why a candidate may not be served to this principal, whatever its words."""
    if candidate.writer != lookup.writer and not candidate.is_shared:
        return "unconfirmed"
    return "" if candidate.is_admitted else "asked once"


def _proposed(lookup: Lookup, usable: Sequence[Near], rules: Rules) -> Decision:
    if not usable:
        return Decision(action="miss", reason="nothing is stored near this question", told=_NOTHING)
    is_near = usable[0].neighbour.cosine >= rules.near_min
    chosen, comparison = _nearest_unvetoed(lookup.signature, usable, rules)
    if chosen is None:
        return Decision(
            action="miss",
            reason=_told("vetoed", comparison),
            told=f"guard:{_guard(comparison)}" if is_near else _NOTHING,
            comparison=comparison,
        )
    evidence = evidence_of(chosen.neighbour, [one.neighbour for one in usable], comparison)
    decision = _decided(lookup, chosen, comparison, evidence, rules)
    return decision if is_near or decision.would_serve else replace(decision, told=_NOTHING)


def _nearest_unvetoed(
    question: Signature, candidates: Sequence[Near], rules: Rules
) -> tuple[Near | None, Comparison]:
    first: Comparison | None = None
    for candidate in candidates[:COMPARED]:
        comparison = compare(question, candidate.signature)
        if is_passed(comparison.vetoes, rules.scorer, is_veto_learnt=rules.is_veto_learnt):
            return candidate, comparison
        first = first or comparison
    assert first is not None  # noqa: S101 - there is a candidate
    return None, first


def score_of(evidence: Evidence, comparison: Comparison, scorer: Scorer | None) -> float:
    """The fitted score; without a scorer the cosine, less 1 where any doubt stands."""
    if scorer is not None:
        return scorer.score(evidence)
    return evidence.cosine - (0.0 if comparison.is_clear else 1.0)


def _decided(
    lookup: Lookup, chosen: Near, comparison: Comparison, evidence: Evidence, rules: Rules
) -> Decision:
    score = score_of(evidence, comparison, rules.scorer)
    reason, told = _verdict(comparison, evidence, score, rules)
    may_serve = not told
    barred = _barred(lookup, chosen)
    if chosen.writer != lookup.writer and not are_alike(
        lookup.signature, chosen.signature, comparison
    ):
        barred = "other words"
    is_held_back = may_serve and bool(barred)
    if barred and is_held_back:
        reason, may_serve = _BARRED[barred], False
    action: Action = "miss"
    if may_serve and rules.mode == "serve":
        action = "serve"
    elif may_serve or not told or evidence.cosine >= rules.near_min:
        action = "judge"
    if may_serve and rules.mode != "serve":
        reason = f"{rules.mode}: would serve, {reason}"
    return Decision(
        action=action,
        reason=reason,
        told=told or ("" if may_serve else _NOTHING),
        barred=barred,
        is_held_back=is_held_back,
        entry=chosen.neighbour.entry,
        would_serve=may_serve,
        score=score,
        evidence=evidence,
        comparison=comparison,
    )


def _verdict(
    comparison: Comparison, evidence: Evidence, score: float, rules: Rules
) -> tuple[str, str]:
    """The reason in a sentence, and in a word why not to serve; empty: serve."""
    is_seen = rules.scorer is not None or not comparison.is_vetoed  # labels may outweigh a veto
    if rules.threshold is not None and is_seen:
        said = f"score {score:.3f} of {rules.threshold:.3f} certified"
        return said, "" if score >= rules.threshold else "score"
    if not comparison.is_clear:
        verb = "vetoed" if comparison.is_vetoed else "doubted"
        return _told(verb, comparison), f"guard:{_guard(comparison)}"
    if evidence.cosine < rules.near_min:
        return f"cosine {evidence.cosine:.3f} is below {rules.near_min:.2f}", _NOTHING
    if 0 <= evidence.margin < rules.margin_min and evidence.features[2] < 1:
        return f"another answer is as near: margin {evidence.margin:.3f}", "two-answers"
    if not rules.is_uncertified_allowed:
        said = f"cosine {evidence.cosine:.3f} and no doubt, but nothing is certified"
        return said, "uncertified"
    return f"cosine {evidence.cosine:.3f} and no doubt; uncertified", ""


_BARRED = {
    "other words": "another principal wrote it, in other words",
    "unconfirmed": "another principal wrote it, and too few others were given the same answer",
    "asked once": "it was asked once only",
}


def _finding(comparison: Comparison) -> Finding:
    """The finding that counts: a veto before a doubt."""
    vetoes = [one for one in comparison.findings if one.kind == "veto"]
    return (vetoes or list(comparison.findings))[0]


def _guard(comparison: Comparison) -> str:
    return _finding(comparison).guard.replace(" ", "-")


def _told(verb: str, comparison: Comparison) -> str:
    found = _finding(comparison)
    return f"{verb} by {found.guard}: {found.detail}"
