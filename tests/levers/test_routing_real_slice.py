"""The routing claims on real outcomes: floors held, so much saved, truth known.

Read are scores, costs and which answers agree, of eight models of one time on GSM8K, CRUX and MATH.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from farthing.levers.routing import read_outcomes
from farthing.levers.routing.compiler import compile_ladder
from farthing.levers.routing.evaluate import evaluate
from farthing.levers.routing.table import make_table
from farthing.levers.routing.trial import Demand

OUTCOMES = Path(__file__).parents[3] / "shared/data/outcomes/zeroeval.dev.jsonl.gz"
BEST, OLD, DEAR = "claude-3-5-sonnet-20240620", "gpt-4o-2024-05-13", "claude-3-opus-20240229"
FLOORS = [0.95, 0.98, 1.0]
MODELS = frozenset(
    {
        BEST, OLD, DEAR, "claude-3-haiku-20240307", "gemini-1.5-flash", "gemini-1.5-pro",
        "gpt-3.5-turbo-0125", "gpt-4o-mini-2024-07-18",
    }
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    not OUTCOMES.exists(), reason="the real data folder ../shared/data is absent"
)


@cache
def outcomes():
    found = read_outcomes(OUTCOMES)
    return msgspec.structs.replace(found, prompts=only(found, MODELS))


def only(found, models):
    """The prompts with what these models made of them."""
    return tuple(
        msgspec.structs.replace(
            one, outcomes={m: r for m, r in one.outcomes.items() if m in models}
        )
        for one in found.prompts
    )


@pytest.mark.parametrize(
    ("reference", "cheaper"),
    [(BEST, (3.5, 1.7, 1.0)), (DEAR, (85, 75, 40))],
    ids=["beside the best model", "beside a dominated one"],
)
def test_floors_are_held_on_prompts_that_took_no_part_and_so_much_is_saved(reference, cheaper):
    table = make_table(outcomes(), reference)
    measured = evaluate(table, FLOORS, labels=1200, splits=30, seed=3)
    assert [row.floor for row in measured.floors] == FLOORS
    for row, least in zip(measured.floors, cheaper, strict=True):
        assert row.violation_rate <= 0.1  # of 30 splits; 5 % in the long run
        assert row.times_cheaper >= least


def test_where_only_dearer_models_are_offered_the_incumbent_stays():
    found = msgspec.structs.replace(outcomes(), prompts=only(outcomes(), {BEST, DEAR}))
    table = make_table(found, BEST)
    measured = evaluate(table, FLOORS, labels=1200, splits=5, seed=3)
    assert measured.verdict.startswith("No saving can be shown")
    assert [row.cost_ratio for row in measured.floors] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("floor", [0.98, 1.0])
def test_a_certificate_is_wrong_in_at_most_one_of_twenty_draws_from_known_traffic(floor):
    """These prompts are all the traffic there is; labels are drawn from it anew, so truth is known."""
    table = make_table(outcomes(), OLD)
    demand = Demand(floor=floor, confidence=0.95, horizon=10**9, class_floors={})
    everything, wrong, certified = np.arange(table.size), 0, 0
    for number in range(200):
        random = np.random.default_rng([7, number])
        compiled = compile_ladder(table, random.integers(0, table.size, 800), random)
        found = compiled.attempt(table, demand)
        certified += found.row is not None
        wrong += found.measured(table, everything).quality_ratio < floor
    assert wrong <= 16  # of 200, at 5 %: more come in 2 % of such tests
    assert certified >= 20
