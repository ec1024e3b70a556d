"""Steps by a learned score through the whole engine, and what another encoder does to them."""

from __future__ import annotations

import pytest
from served_policies import CHEAP, STRONG, ask, line, policy

from farthing.levers.routing.encoder import Hashed, identity_of
from farthing.levers.routing.scorer import scorer_of
from farthing.levers.routing.serving import read_choice
from farthing.levers.routing.step import Route, Single

CHAT = "/v1/chat/completions"
NAME = f"learned:{CHEAP}:{STRONG}"
STEPS = {"easy": Route(NAME, 0.5, Single(CHEAP), Single(STRONG))}
ROWS = [
    {**line(1, {STRONG: (1, "42"), CHEAP: (1, "42")}), "prompt": "add 40 and 2"},
    {**line(2, {STRONG: (1, "7"), CHEAP: (0, "8")}), "prompt": "prove the theorem"},
]


def scored(identity=""):
    """1 for what speaks of a theorem, about 0 for all else."""
    weights = [0.0] * 257
    (place,) = set(Hashed().features("theorem")) - {256}
    weights[place] = 2.0
    return policy(STEPS, scores={NAME: scorer_of(identity or identity_of(Hashed()), 0.0, weights)})


@pytest.mark.parametrize(
    ("prompt", "model"), [("add 40 and 2", CHEAP), ("prove the theorem", STRONG)]
)
def test_the_score_of_the_prompt_decides_and_stands_in_the_entry(routed, prompt, model):
    async def scenario(gateway, provider, mark):
        status, _, _ = await gateway.post(CHAT, ask(prompt))
        assert status == 200
        assert provider.asked == [model]
        (entry,) = await gateway.settled()
        choice = read_choice(entry.detail)
        assert choice.arm == "policy"
        assert (choice.scores[NAME] < 0.5) == (model == CHEAP)

    routed(scenario, scored(), rows=ROWS)


def test_another_encoder_brings_back_the_incumbent_and_the_answer_says_so(routed):
    async def scenario(gateway, provider, mark):
        _, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        assert provider.asked == [STRONG]
        told = headers["x-farthing-route"]
        assert f"why=its certificate is void: the encoder of {NAME} was hashed#old" in told

    routed(scenario, scored("hashed#old"), rows=ROWS)


def test_a_score_that_the_policy_does_not_hold_goes_the_strong_way(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("add 40 and 2"))
        assert provider.asked == [STRONG]

    routed(scenario, policy(STEPS), rows=ROWS)
