"""What a served certificate stands on: when it falls, the incumbent serves, and everybody hears."""

from __future__ import annotations

import json

import msgspec
import pytest
from served_policies import (
    AGREED,
    CHEAP,
    OTHER,
    SINGLE,
    SPLIT,
    STRONG,
    VOTE,
    ask,
    file_policy,
    policy,
    pool,
)

from farthing.gateway.targets import Targets, card_of
from farthing.levers.routing.facts import price_mark
from farthing.levers.routing.serving import read_choice
from farthing.levers.routing.step import Single
from farthing.sim import Rule

CHAT = "/v1/chat/completions"
MODELS = (STRONG, CHEAP, OTHER)


def marks(gateway):
    """The marks of the cards that price the models now."""
    book = gateway.wired.book
    card = card_of(Targets(gateway.config), gateway.config.providers, book, gateway.clock.now_us())
    return {name: price_mark(card(name)) for name in MODELS}


async def refiled(gateway, directory, made):
    mark = file_policy(directory, made)
    await gateway.wired.routes.look()
    return mark


def why(headers):
    return headers["x-farthing-route"].partition("why=")[2]


def trail(directory):
    lines = (directory / "routing" / "trail.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_price_that_changed_voids_the_certificate_until_it_is_back(routed, tmp_path):
    async def scenario(gateway, provider, _):
        now = marks(gateway)
        await refiled(gateway, tmp_path, policy(SINGLE, prices=now))
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP]
        stale = policy(SINGLE, prices=now | {CHEAP: "openai/gpt-4o-mini#0123456789"})
        await refiled(gateway, tmp_path, stale)
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert provider.asked[-1] == STRONG
        assert why(headers).startswith("its certificate is void: the price of gpt-4o-mini was")

    routed(scenario)


def test_outcomes_with_costs_of_their_own_are_held_to_the_prices_at_first(routed, tmp_path):
    made = policy(SINGLE)

    async def first(gateway, provider, _):
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP]
        begun = [event for event in trail(tmp_path) if event["kind"] == "begun"]
        assert begun[0]["facts"] == marks(gateway)

    async def second(gateway, provider, _):
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [STRONG]
        assert "the price of gpt-4o-mini was outcomes" in why(headers)

    routed(first, made)
    dearer = [{"model": CHEAP, "provider": "openai", "input": "0.3", "output": "0.6"}]
    routed(second, price=dearer)


def test_a_snapshot_that_changed_voids_the_certificate_at_every_worker(routed, tmp_path):
    rules = (
        Rule(model=CHEAP, serves="gpt-4o-mini-2024-07-18", to_request=2),
        Rule(model=CHEAP, serves="gpt-4o-mini-2025-01-31", from_request=3),
    )

    async def scenario(gateway, provider, mark):
        for _ in range(3):
            await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP] * 3
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert provider.asked[-1] == STRONG
        told = "gpt-4o-mini was certified as gpt-4o-mini-2024-07-18"
        assert told in why(headers)
        kinds = [event["kind"] for event in trail(tmp_path)]
        assert kinds == ["begun", "seen", "stopped"]

    async def another(gateway, provider, _):
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [STRONG]

    routed(scenario, policy(SINGLE), rules=rules)
    routed(another)


def test_a_snapshot_that_changed_voids_every_policy_that_asks_the_model(routed, tmp_path):
    rules = (
        Rule(model=CHEAP, serves="gpt-4o-mini-2024-07-18", to_request=1),
        Rule(model=CHEAP, serves="gpt-4o-mini-2025-01-31", from_request=2),
    )

    async def scenario(gateway, provider, mark):
        for _ in range(2):
            await gateway.post(CHAT, ask("question 1"))
        await gateway.post(CHAT, ask("question 1", model="farthing/auto:easy@0.9"))
        assert provider.asked == [CHEAP, CHEAP, STRONG]

    file_policy(tmp_path, policy(SINGLE, floor=0.9), name="loose.json")
    routed(scenario, policy(SINGLE), rules=rules)


def test_another_model_that_answers_is_an_alarm_and_voids_the_certificate(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP, STRONG]
        counts = gateway.wired.routes.pools["auto"].counts
        assert (counts["served_other"], counts["stops"]) == (1, 1)

    routed(scenario, policy(SINGLE), rules=(Rule(model=CHEAP, serves="gpt-4.1-nano"),))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"incumbent": OTHER}, "the policy is for the incumbent"),
        ({"steps": {"easy": Single("gpt-9")}}, "the policy asks gpt-9, which is not in the pool"),
        ({"certificate": None}, "the policy has no certificate"),
    ],
    ids=["incumbent", "outside", "uncertified"],
)
def test_a_policy_that_does_not_fit_its_pool_is_not_used(routed, change, told):
    made = msgspec.structs.replace(policy(SINGLE), **change)

    async def scenario(gateway, provider, mark):
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [STRONG]
        assert why(headers).startswith(told)

    routed(scenario, made)


def test_a_policy_that_was_edited_is_not_used(routed, tmp_path, caplog):
    async def scenario(gateway, provider, mark):
        path = tmp_path / "routing" / "auto" / "policy.json"
        path.write_text(path.read_text().replace(CHEAP, OTHER))
        await gateway.wired.routes.look()
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [STRONG]
        assert "was changed since it was signed" in caplog.text

    routed(scenario, policy(SINGLE))


def test_a_policy_that_is_replaced_while_the_gateway_runs_serves_at_the_next_look(routed, tmp_path):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        await refiled(gateway, tmp_path, policy({"easy": Single(OTHER)}))
        await gateway.post(CHAT, ask("question 1"))
        (tmp_path / "routing" / "auto" / "policy.json").unlink()
        await gateway.wired.routes.look()
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP, OTHER, STRONG]

    routed(scenario, policy(SINGLE))


def test_a_voter_that_breaks_midway_is_noticed_by_its_escalations(routed, tmp_path):
    rules = (Rule(model=OTHER, accuracy=0, from_request=101),)
    made = policy(VOTE, expected={"easy": (1000, 20)})

    async def scenario(gateway, provider, mark):
        for _ in range(100):
            await gateway.post(CHAT, ask("question 1"))
        assert STRONG not in provider.asked
        for _ in range(60):
            await gateway.post(CHAT, ask("question 1"))
        entries = await gateway.settled(160)
        choices = [read_choice(entry.detail) for entry in entries]
        broken = [choice for choice in choices[100:] if choice.arm == "policy"]
        assert 3 <= len(broken) <= 12
        assert choices[-1].reason.startswith("drift: escalations of easy have risen")
        assert entries[-1].cost == entries[-1].baseline
        assert trail(tmp_path)[-1]["kind"] == "stopped"

    routed(scenario, made, rules=rules, rows=[AGREED])


def test_a_drift_that_is_only_told_stops_nothing(routed, tmp_path):
    made = policy(VOTE, expected={"easy": (1000, 20)})

    async def scenario(gateway, provider, mark):
        for _ in range(40):
            await gateway.post(CHAT, ask("question 2"))
        counts = gateway.wired.routes.pools["auto"].counts
        assert counts["drift_alarms"] >= 1
        assert counts["stops"] == 0
        assert {event["kind"] for event in trail(tmp_path)} == {"begun", "told"}

    pools = {"auto": pool(drift="tell", escalation_share_max=1.0)}
    routed(scenario, made, rows=[SPLIT], pools=pools)


@pytest.mark.parametrize(("act", "model"), [("tell", CHEAP), ("incumbent", STRONG)])
def test_traffic_of_another_mix_is_told_of_or_goes_back_to_the_incumbent(
    routed, tmp_path, act, model
):
    made = policy(
        {"easy": Single(CHEAP), "rare": Single(CHEAP)}, expected={"easy": (950,), "rare": (50,)}
    )

    async def scenario(gateway, provider, mark):
        for _ in range(60):
            await gateway.post(CHAT, ask("question 1", "farthing/auto:rare"))
        assert provider.asked[0] == CHEAP
        assert provider.asked[-1] == model
        told = [event["told"] for event in trail(tmp_path) if event["kind"] != "begun"]
        assert told[0].startswith("drift: the share of class easy has fallen to 0.0% over")
        assert len(told) == len({event.partition(" to ")[0] for event in told})  # each once

    routed(scenario, made, pools={"auto": pool(mix_drift=act)})
