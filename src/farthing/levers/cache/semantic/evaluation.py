"""What `farthing cache eval` finds: our default, the best global threshold, guards alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from farthing.levers.cache.semantic.certificate import Certifier, Stamp
from farthing.levers.cache.semantic.corpus import Labelled, Pair
from farthing.levers.cache.semantic.decision import Candidate, Lookup, Rules, View, propose
from farthing.levers.cache.semantic.embedder import Embedder, need_numpy
from farthing.levers.cache.semantic.eprocess import exact_bounds
from farthing.levers.cache.semantic.guards import Comparison
from farthing.levers.cache.semantic.neighbours import Neighbourhood
from farthing.levers.cache.semantic.scorer import Neighbour
from farthing.levers.cache.semantic.signature import sign
from farthing.levers.cache.semantic.stream import (
    Policy,
    Shadow,
    StreamResult,
    replay_certified,
    replay_threshold,
)
from farthing.levers.cache.semantic.variables import compare
from farthing.levers.cache.wording import plainly

__all__ = ["Compared", "evaluate_pairs", "evaluate_stream", "score_pairs"]

GUARDS_COSINE = 0.95
_ALPHA = 0.05
_HELD_SHARE = 0.95
_THRESHOLDS = tuple(number / 100 for number in range(72, 99))
_DEFAULT = Rules(mode="serve", is_uncertified_allowed=True)


@dataclass(frozen=True, slots=True)
class Compared:
    """One pair with its cosine (None without an embedder) and what each policy does with it."""

    pair: Pair
    cosine: float | None
    comparison: Comparison
    is_context_equal: bool
    is_served: bool
    reason: str

    @property
    def is_unvetoed(self) -> bool:
        """Whether the guards alone let it pass."""
        return self.is_context_equal and not self.comparison.is_vetoed


def score_pairs(pairs: Sequence[Pair], embedder: Embedder | None) -> list[Compared]:
    """Every pair as if `a` had been answered and `b` were asked."""
    cosines: list[float | None] = [None] * len(pairs)
    if embedder is not None and pairs:
        numpy = need_numpy("Comparing vectors")
        firsts = embedder.embed([pair.first for pair in pairs])
        seconds = embedder.embed([pair.second for pair in pairs])
        cosines = [float(value) for value in numpy.einsum("ij,ij->i", firsts, seconds)]
    return [_compared(pair, cosine) for pair, cosine in zip(pairs, cosines, strict=True)]


def _compared(pair: Pair, cosine: float | None) -> Compared:
    stored, asked = sign(pair.first), sign(pair.second)
    comparison = compare(asked, stored)
    is_equal = pair.first_context == pair.second_context
    if not is_equal:
        return Compared(
            pair,
            cosine,
            comparison,
            is_context_equal=False,
            is_served=False,
            reason="what stands before it differs",
        )
    if plainly(pair.first) == plainly(pair.second):
        return Compared(
            pair,
            cosine,
            comparison,
            is_context_equal=True,
            is_served=True,
            reason="the same text",
        )
    if cosine is None:
        return Compared(
            pair,
            cosine,
            comparison,
            is_context_equal=True,
            is_served=False,
            reason="other words, and no embedder",
        )
    candidate = Candidate(neighbour=Neighbour("a", "a", cosine), signature=stored)
    decision = propose(
        Lookup(signature=asked, is_first_turn=not pair.second_context),
        View(candidates=[candidate], rules=_DEFAULT),
    )
    is_served = decision.action == "serve"
    return Compared(
        pair,
        cosine,
        comparison,
        is_context_equal=True,
        is_served=is_served,
        reason=decision.reason,
    )


def evaluate_pairs(compared: Sequence[Compared], delta: float) -> dict[str, Any]:
    """The document of a pairs file; see docs/semantic-cache.md for each key."""
    halves = {"0": [one for one in compared if _half(one.pair) == 0],
              "1": [one for one in compared if _half(one.pair) == 1]}  # fmt: skip
    cosines = [(one.cosine, one.pair.is_same) for one in compared if one.cosine is not None]
    return {
        "delta": delta,
        "pairs": len(compared),
        "ours": _metrics(compared, lambda one: one.is_served),
        "best_global_threshold": _best_threshold(compared, delta),
        "guards_only": _metrics(
            compared,
            lambda one: one.is_unvetoed and one.cosine is not None and one.cosine >= GUARDS_COSINE,
            threshold=GUARDS_COSINE,
        ),
        "auc": _auc(cosines),
        "halves": {
            name: _metrics(half, lambda one: one.is_served) for name, half in halves.items()
        },
        "labels_needed": _blank(delta).labels_needed,
    }


def _blank(delta: float) -> Certifier:
    """A certifier without labels, for what it says that it needs."""
    stamp = Stamp(embedder="", guards="", scorer="", model="")
    return Certifier(stamp=stamp, delta=delta, thresholds=(1.0,))


def _half(pair: Pair) -> int:
    return hashlib.sha256(f"{pair.first}\0{pair.second}".encode()).digest()[0] % 2


def _metrics(
    compared: Sequence[Compared],
    serves: Callable[[Compared], bool],
    *,
    threshold: float | None = None,
) -> dict[str, Any]:
    served = [one for one in compared if serves(one)]
    same = sum(one.pair.is_same for one in compared)
    wrong = sum(not one.pair.is_same for one in served)
    found = _rates(lookups=len(compared), hits=len(served), wrong=wrong)
    found["hit_rate"] = (len(served) - wrong) / same if same else 0.0
    found["trap_acceptance"] = wrong / (len(compared) - same) if len(compared) > same else 0.0
    if threshold is not None:
        found["threshold"] = threshold
    return found


def _rates(*, lookups: int, hits: int, wrong: int) -> dict[str, Any]:
    return {
        "hit_rate": hits / lookups if lookups else 0.0,
        "wrong_hit_rate": wrong / lookups if lookups else 0.0,
        "wrong_hit_upper95": exact_bounds(wrong, lookups, _ALPHA)[1],
        "precision": (hits - wrong) / hits if hits else None,
        "served_error_upper95": exact_bounds(wrong, hits, _ALPHA)[1],
        "lookups": lookups,
        "hits": hits,
        "wrong_hits": wrong,
    }


def _best_threshold(compared: Sequence[Compared], delta: float) -> dict[str, Any]:
    """The threshold on the cosine alone that serves most with at most `delta` wrong among served.

    It sees the last message alone, as a global threshold does, and is chosen with hindsight.
    """
    ranked = sorted(
        ((one.cosine, one.pair.is_same) for one in compared if one.cosine is not None), reverse=True
    )
    best, wrong = None, 0
    for count, (cosine, is_same) in enumerate(ranked, 1):
        wrong += not is_same
        is_edge = count == len(ranked) or ranked[count][0] < cosine
        if is_edge and wrong <= delta * count:
            best = cosine
    found = _metrics(
        compared, lambda one: best is not None and one.cosine is not None and one.cosine >= best
    )
    return {**found, "threshold": best}


def _auc(scored: Sequence[tuple[float, bool]]) -> float | None:
    """The chance that a pair of one answer has a higher cosine than a pair of two."""
    rights = sum(is_same for _, is_same in scored)
    others = len(scored) - rights
    if not rights or not others:
        return None
    ordered = sorted(scored)
    total, at = 0.0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        total += sum(is_same for _, is_same in ordered[at:end]) * (at + 1 + end) / 2
        at = end
    return (total - rights * (rights + 1) / 2) / (rights * others)


def evaluate_stream(
    questions: Sequence[Labelled],
    embedder: Embedder,
    *,
    deltas: Sequence[float],
    length: int,
    seeds: int,
) -> dict[str, Any]:
    """Streams of `length` of these questions, `seeds` times in another order."""
    distinct = list({one.text: one for one in questions}.values())
    chosen = random.Random(0).sample(distinct, min(length, len(distinct)))  # noqa: S311 - which part
    vectors = embedder.embed([one.text for one in chosen])
    signatures = [sign(one.text) for one in chosen]
    hood = Neighbourhood(signatures, [one.answer for one in chosen], vectors)
    ours: dict[Policy, dict[float, list[StreamResult]]] = {
        policy: {delta: [] for delta in deltas} for policy in ("learnt", "stand", "plain")
    }
    plain: dict[float, list[StreamResult]] = {threshold: [] for threshold in _THRESHOLDS}
    guarded: list[StreamResult] = []
    for seed in range(seeds):
        order = random.Random(seed).sample(range(len(hood)), len(hood))  # noqa: S311 - an order
        for threshold, runs in plain.items():
            runs.append(replay_threshold(hood, order, threshold))
        guarded.append(replay_threshold(hood, order, GUARDS_COSINE, is_guarded=True))
        shadow = Shadow(hood, order)
        for policy, tried in ours.items():
            for delta, runs in tried.items():
                run = replay_certified(
                    hood, order, delta=delta, seed=seed, shadow=shadow, policy=policy
                )
                runs.append(run)
    return {
        "lookups": len(hood),
        "seeds": seeds,
        "auc": _nearest_auc(hood),
        "deltas": [
            {
                **_stream_row(delta, ours["learnt"][delta], plain),
                "vetoes_stand": _proven_row(delta, ours["stand"][delta], ours["learnt"][delta]),
                "certified_threshold": _proven_row(
                    delta, ours["plain"][delta], ours["learnt"][delta]
                ),
                "guards_only": _guarded_row(guarded),
            }
            for delta in deltas
        ],
    }


def _stream_row(
    delta: float, runs: Sequence[StreamResult], plain: Mapping[float, Sequence[StreamResult]]
) -> dict[str, Any]:
    holding = {
        threshold: tried for threshold, tried in plain.items() if _held(tried, delta) >= _HELD_SHARE
    }
    best = max(holding, key=lambda threshold: _hit_rate(holding[threshold]), default=None)
    rival = _summed(holding[best]) if best is not None else _rates(lookups=0, hits=0, wrong=0)
    certified = [run for run in runs if run.certified_after is not None]
    return {
        "delta": delta,
        "ours": {**_summed(runs), "seeds_held": _held(runs, delta)},
        "best_global_threshold": {**rival, "threshold": best},
        "ratio": _hit_rate(runs) / rival["hit_rate"] if rival["hit_rate"] else None,
        "seeds_certified": len(certified),
        "seeds_breached": sum(run.is_breached for run in runs),
        "labels": round(fmean(run.labels for run in runs)),
        "certified_after": round(fmean(run.certified_after or 0 for run in certified))
        if certified
        else None,
        "verdict": "certified" if len(certified) == len(runs) else
        f"cannot certify in {len(runs) - len(certified)} of {len(runs)} runs",
    }  # fmt: skip


def _proven_row(
    delta: float, runs: Sequence[StreamResult], ours: Sequence[StreamResult]
) -> dict[str, Any]:
    """Another policy that is proven from labels, as ours is; `ratio` is what ours serves to that."""
    served = _hit_rate(runs)
    return {
        **_summed(runs),
        "seeds_held": _held(runs, delta),
        "seeds_certified": sum(run.certified_after is not None for run in runs),
        "ratio": _hit_rate(ours) / served if served else None,
    }


def _guarded_row(runs: Sequence[StreamResult]) -> dict[str, Any]:
    return {**_summed(runs), "threshold": GUARDS_COSINE}


def _nearest_auc(hood: Neighbourhood) -> float | None:
    """Of the cosine to the nearest other question, for telling whether it has the same answer."""
    answers = hood.answers
    return _auc(
        [
            (cosines[0], answers[at] == answers[row[0]])
            for at, (row, cosines) in enumerate(zip(hood.rows, hood.row_cosines, strict=True))
            if row
        ]
    )


def _held(runs: Sequence[StreamResult], delta: float) -> float:
    return fmean(run.error <= delta for run in runs)


def _hit_rate(runs: Sequence[StreamResult]) -> float:
    return sum(run.hits for run in runs) / sum(run.lookups for run in runs)


def _summed(runs: Sequence[StreamResult]) -> dict[str, Any]:
    return _rates(
        lookups=sum(run.lookups for run in runs),
        hits=sum(run.hits for run in runs),
        wrong=sum(run.wrong for run in runs),
    )
