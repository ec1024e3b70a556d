"""The steps that could serve a class, replayed on every prompt at once.

`replay` gives, for each step, the score and the cost it would have had on each prompt; all that
is asked counts: every voter, every escalation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from farthing.levers.routing.step import Agree, Route, Single, Step, alone, arm_of
from farthing.levers.routing.table import Bools, Floats, Ints, Table

__all__ = ["Arms", "candidates", "replay"]

_VOTERS_SHARE: Final = 0.6  # voters that cost more of the incumbent than this save too little
_STRONG_TIMES: Final = 1.5  # an escalation is worth it only to a model this much dearer
_VOTE_LABELS: Final = 600  # below this many labels a third voter is chosen by luck


@dataclass(frozen=True, slots=True)
class Arms:
    """`scores`, `costs` (nanodollars) and `known` are steps x prompts; `steps[0]` the incumbent."""

    steps: tuple[Step, ...]
    scores: Floats
    costs: Ints
    known: Bools


def candidates(table: Table, models: Sequence[int], labels: Ints) -> list[Step]:
    """The steps worth trying with these models: each alone, and cascades on agreement.

    Costs are looked at on `labels` only. The incumbent alone comes first.
    """
    mean = table.costs[:, labels].mean(axis=1)
    names = table.models
    single = [table.reference, *(m for m in models if m != table.reference)]
    steps: list[Step] = [alone(names[m]) for m in single]
    if (table.answers[:, labels] >= 0).sum() == 0:
        return steps
    ranked = sorted(single, key=lambda m: float(mean[m]))
    # Voters are asked at their own effort, and a model that votes is not asked again at another.
    plain = [m for m in ranked if not alone(names[m]).effort]
    most = 3 if len(labels) >= _VOTE_LABELS else 2
    for count in range(2, most + 1):
        for voters in itertools.combinations(plain, count):
            if mean[list(voters)].sum() > _VOTERS_SHARE * mean[table.reference]:
                continue
            for strong in ranked:
                if mean[strong] > _STRONG_TIMES * mean[voters[-1]]:
                    chosen, last = tuple(names[m] for m in voters), alone(names[strong])
                    if last.model not in chosen:
                        steps.append(Agree(chosen, last))
    return steps


def replay(
    table: Table, steps: Sequence[Step], values: Mapping[str, Floats] = MappingProxyType({})
) -> Arms:
    """What each step would have scored and cost on every prompt.

    `values` are the learned scores of every prompt, by name.
    """
    place = {model: index for index, model in enumerate(table.models)}
    shape = (len(steps), table.size)
    scores, costs = np.empty(shape), np.empty(shape, dtype=np.int64)
    known = np.empty(shape, dtype=np.bool_)
    for row, step in enumerate(steps):
        scores[row], costs[row], known[row] = _replay_one(table, step, place, values)
    return Arms(tuple(steps), scores, costs, known)


def _replay_one(
    table: Table, step: Step, place: dict[str, int], values: Mapping[str, Floats]
) -> tuple[Floats, Ints, Bools]:
    if isinstance(step, Single):
        at = place[arm_of(step)]
        return table.scores[at], table.costs[at], table.known[at]
    if isinstance(step, Route) and step.score in values:
        is_cheap = values[step.score] < step.threshold
        cheap, strong = (
            _replay_one(table, way, place, values) for way in (step.cheap, step.strong)
        )
        return (
            np.where(is_cheap, cheap[0], strong[0]),
            np.where(is_cheap, cheap[1], strong[1]),
            np.where(is_cheap, cheap[2], strong[2]),
        )
    if not isinstance(step, Agree):
        raise TypeError(f"outcomes hold no facts to replay {type(step).__name__} with")
    voters = [place[model] for model in step.models]
    last = _replay_one(table, step.otherwise, place, values)
    open_ = np.ones(table.size, dtype=np.bool_)
    scores, costs = np.zeros(table.size), table.costs[voters[0]].copy()
    known = table.known[voters[0]].copy()
    for count, voter in enumerate(voters[1:], 2):
        costs += np.where(open_, table.costs[voter], 0)
        known &= ~open_ | table.known[voter]
        for first, second in _pairs(voters[:count]):
            same = (table.answers[first] == table.answers[second]) & (table.answers[first] >= 0)
            taken = open_ & same
            scores = np.where(taken, table.scores[first], scores)
            open_ &= ~same
    scores = np.where(open_, last[0], scores)
    costs += np.where(open_, last[1], 0)
    known &= ~open_ | last[2]
    return scores, costs, known


def _pairs(voters: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The newest voter with each before it, as `decide` looks for agreement."""
    for earlier in voters[:-1]:
        yield earlier, voters[-1]
