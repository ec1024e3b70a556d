"""Exploring through the whole engine: certified steps alone, the propensity in each entry."""

from __future__ import annotations

from collections import Counter

from served_policies import CHEAP, OTHER, SINGLE, STRONG, ask, policy, pool

from farthing.levers.routing.explorer import Drawn, weighted
from farthing.levers.routing.serving import read_choice
from farthing.levers.routing.step import Single

CHAT = "/v1/chat/completions"
# The dearer step is the policy's own; the cheap one is certified beside it.
DEARER = policy({"easy": Single(OTHER)}, further={"easy": (Single(CHEAP),)})


async def asked_often(gateway, count):
    for _ in range(count):
        status, _, _ = await gateway.post(CHAT, ask("question 1"))
        assert status == 200
    return await gateway.settled()


def test_a_pool_that_explores_comes_to_the_cheapest_certified_step(routed):
    async def scenario(gateway, provider, mark):
        entries = await asked_often(gateway, 240)
        assert STRONG not in provider.asked
        late = Counter(provider.asked[-60:])
        assert late[CHEAP] >= 35  # 45 are expected
        choices = [read_choice(entry.detail) for entry in entries]
        assert all(0.25 <= choice.propensity <= 0.75 for choice in choices)
        assert {choice.propensity for choice in choices[:5]} == {0.5}  # nothing is known yet
        assert all(choice.explores and choice.policy == mark for choice in choices)
        drawn = [
            Drawn(choice.step, choice.propensity, entry.cost)
            for choice, entry in zip(choices, entries, strict=True)
        ]
        assert [one.step for one in weighted(drawn)] == [CHEAP, OTHER]

    routed(scenario, DEARER, pools={"auto": pool(explore_share=0.5)})


def test_without_a_share_the_policy_s_own_step_serves_alone(routed):
    async def scenario(gateway, provider, mark):
        entries = await asked_often(gateway, 20)
        assert set(provider.asked) == {OTHER}
        assert not any(read_choice(entry.detail).explores for entry in entries)

    routed(scenario, DEARER)


def test_a_policy_that_certifies_nothing_beside_its_own_steps_is_not_explored(routed):
    async def scenario(gateway, provider, mark):
        await asked_often(gateway, 20)
        assert set(provider.asked) == {CHEAP}

    routed(scenario, policy(SINGLE), pools={"auto": pool(explore_share=1.0)})


def test_a_policy_with_a_step_outside_the_pool_is_not_used(routed):
    async def scenario(gateway, provider, mark):
        await asked_often(gateway, 3)
        assert set(provider.asked) == {STRONG}

    made = policy(SINGLE, further={"easy": (Single("gpt-5"),)})
    routed(scenario, made, pools={"auto": pool(explore_share=1.0)})
