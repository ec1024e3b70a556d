"""What the labels of each class were like: its share, and how often its step escalated on them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from farthing.levers.routing.policy import Expected
from farthing.levers.routing.step import Agree, Step
from farthing.levers.routing.table import Bools, Ints, Table

__all__ = ["expected"]


def expected(table: Table, steps: Mapping[str, Step], labels: Ints) -> dict[str, Expected]:
    """Counts over these labels, by class; escalations of the steps that outcomes can replay."""
    place = {model: index for index, model in enumerate(table.models)}
    found: dict[str, Expected] = {}
    for index, name in enumerate(table.class_names):
        here = labels[table.classes[labels] == index]
        step = steps.get(name)
        escalated = None
        if isinstance(step, Agree):
            voters = [place[model] for model in step.models]
            escalated = int((~_agree(table, voters, here)).sum())
        found[name] = Expected(len(here), escalated)
    return found


def _agree(table: Table, voters: list[int], here: Ints) -> Bools:
    """Where any two of the voters gave the same answer."""
    agreed = np.zeros(len(here), dtype=np.bool_)
    for one, two in itertools.combinations(voters, 2):
        first, second = table.answers[one, here], table.answers[two, here]
        agreed |= (first == second) & (first >= 0)
    return agreed
