"""Routing by evidence: what is compared, how a class climbs, and what is shown to lose is stopped."""

from __future__ import annotations

import re

import msgspec
import pytest
from served_policies import (
    AGREED,
    CHEAP,
    OTHER,
    SINGLE,
    STRONG,
    VOTE,
    ask,
    file_policy,
    line,
    policy,
    pool,
)

from farthing.evidence import Mode
from farthing.levers.routing import Single
from farthing.levers.routing.serving import read_choice
from farthing.money import Money
from farthing.sim import Rule

CHAT = "/v1/chat/completions"
LEVER = "routing:auto@0.98"
LABEL = "Classify the sentiment of this review as positive, negative or neutral.\n\nI loved it."
ALL = {
    "mode": "on",
    "share": 1.0,
    "repeat_share": 0.0,
    "judge": "numeric",
    "usd_per_day": "1",
    "canary_comparisons": 5,
}


async def asked_often(gateway, count, prompt="question 1", **headers):
    for _ in range(count):
        await gateway.post(CHAT, ask(prompt), headers)
        await gateway.wired.evidence.aside.settled()
        await gateway.wired.evidence.board.refresh()


def state(gateway, scope="easy", lever=LEVER):
    return gateway.wired.evidence.board.state(lever, scope)


def own_calls(gateway):
    """The entries of callers, without what was asked aside."""
    return [e for e in gateway.journal.entries if "farthing-lever" not in e.attribution.tags]


def test_a_class_climbs_from_shadow_to_on_by_what_is_shown(routed):
    async def scenario(gateway, provider, mark):
        await asked_often(gateway, 400)
        models = [entry.attempts[-1].model for entry in own_calls(gateway)]
        assert models[0] == STRONG
        assert state(gateway).mode is Mode.ON
        assert models[-1] == CHEAP
        aside = [e for e in gateway.journal.entries if "farthing-lever" in e.attribution.tags]
        assert {e.baseline for e in aside} == {Money(0)}
        assert {e.moves[0].lever for e in aside} == {"routing"}

    routed(
        scenario, policy(SINGLE), pools={"auto": pool(mode="evidence")}, evidence=ALL, rows=[AGREED]
    )


@pytest.mark.parametrize("mode", ["on", "evidence"])
def test_a_model_alone_that_breaks_midway_is_noticed_and_the_incumbent_serves(routed, mode):
    count = 250

    async def scenario(gateway, provider, mark):
        await asked_often(gateway, count)
        choices = [read_choice(entry.detail) for entry in own_calls(gateway)]
        broken = [c for c in choices if c.served == CHEAP]
        assert choices[-1].served == STRONG
        if mode == "on":
            assert 100 < len(broken) < 180
            assert "unsafe" in choices[-1].reason or "evidence" in choices[-1].reason
            told = state(gateway).reason
            lost = int(re.search(r"about (\d+) of them worse", told).group(1))
            assert "while its own settings let it serve" in told
            assert lost == pytest.approx(len(broken) - 100, abs=5)  # the last ones are on their way

    rule = Rule(model=CHEAP, accuracy=0, from_request=101)
    pools = {"auto": pool(mode=mode)}
    routed(scenario, policy(SINGLE), pools=pools, evidence=ALL, rows=[AGREED], rules=(rule,))


def test_one_switch_stops_all_routing(routed):
    async def scenario(gateway, provider, mark):
        await asked_often(gateway, 1)
        assert provider.asked[0] == CHEAP
        gateway.wired.evidence.store.stop(
            is_stopped=True, now_us=gateway.clock.now_us(), actor="me", reason="a test"
        )
        await gateway.wired.evidence.board.refresh()
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert headers["x-farthing-route"].endswith("why=all levers are stopped")

    routed(scenario, policy(SINGLE), evidence=ALL)


def test_a_vote_has_no_shadow_and_begins_at_one_per_cent(routed):
    async def scenario(gateway, provider, mark):
        entries = []
        for number in range(300):
            await gateway.post(CHAT, ask("question 1"), {"x-farthing-user": f"user-{number}"})
        entries = own_calls(gateway)
        voted = [e for e in entries if read_choice(e.detail).arm == "policy"]
        assert 1 <= len(voted) <= 15
        assert {read_choice(e.detail).propensity for e in voted} == {0.01}
        assert OTHER in provider.asked

    evidence = ALL | {"share": 0.0001}
    pools = {"auto": pool(mode="evidence")}
    routed(scenario, policy(VOTE), pools=pools, evidence=evidence)


def test_an_effort_has_no_shadow_and_begins_at_one_per_cent(routed):
    async def scenario(gateway, provider, mark):
        for number in range(300):
            await gateway.post(CHAT, ask("question 1"), {"x-farthing-user": f"user-{number}"})
        served = [read_choice(e.detail) for e in own_calls(gateway)]
        assert 1 <= sum(one.arm == "policy" for one in served) <= 15

    made = policy({"easy": Single(CHEAP, "low")})
    evidence = ALL | {"share": 0.0001}
    routed(scenario, made, pools={"auto": pool(mode="evidence")}, evidence=evidence)


def test_a_stream_is_compared_once_its_caller_has_it_all(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1", stream=True))
        await gateway.settled()
        await gateway.wired.evidence.aside.settled()
        assert provider.asked == [CHEAP, STRONG]
        (compared,) = gateway.wired.evidence.store.comparisons(LEVER, "easy")
        assert (compared.evidence.score, compared.version) == (1.0, mark)

    routed(scenario, policy(SINGLE), evidence=ALL)


def test_policies_of_two_floors_each_stand_by_what_was_shown_of_themselves(routed, tmp_path):
    async def scenario(gateway, provider, mark):
        await asked_often(gateway, 150)
        assert "unsafe" in state(gateway).reason
        for _ in range(20):  # a caller who asks for less changes nothing of that
            await gateway.post(CHAT, ask("question 1", model="farthing/auto:easy@0.9"))
            await gateway.wired.evidence.aside.settled()
            await gateway.wired.evidence.board.refresh()
        _, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert headers["x-farthing-model"].endswith(STRONG)
        assert "unsafe" in headers["x-farthing-route"] or "evidence" in headers["x-farthing-route"]
        looser = gateway.wired.evidence.store.comparisons("routing:auto@0.9", "easy")
        assert len(looser) == 20

    file_policy(tmp_path, policy({"easy": Single(OTHER)}, floor=0.9), name="loose.json")
    rule = Rule(model=CHEAP, accuracy=0)
    routed(scenario, policy(SINGLE), evidence=ALL, rows=[AGREED], rules=(rule,))


def test_a_class_that_no_policy_knows_is_not_watched_whatever_callers_name(routed):
    async def scenario(gateway, provider, mark):
        for name in ("a", "b", "c"):
            await gateway.post(CHAT, ask("question 1", model=f"farthing/auto:{name}"))
            await gateway.wired.evidence.aside.settled()
        assert gateway.wired.evidence.store.scopes() == []

    routed(scenario, policy(SINGLE), evidence=ALL)


def test_feedback_counts_for_the_policy_that_served_the_call(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        await gateway.wired.evidence.aside.settled()
        await gateway.wired.evidence.board.refresh()
        call = gateway.journal.entries[-1].call_id
        await gateway.post("/feedback", {"call": call, "score": "down"})
        await gateway.wired.evidence.aside.settled()
        (compared,) = gateway.wired.evidence.store.comparisons(LEVER, "easy")
        assert (compared.evidence.score, compared.version) == (0.0, mark)

    judged = ALL | {"judge": "feedback"}
    routed(scenario, policy(SINGLE), evidence=judged, rows=[AGREED])


def test_feedback_on_a_policy_that_was_replaced_says_nothing_of_the_new_one(routed, tmp_path):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        call = gateway.journal.entries[-1].call_id
        evidence = gateway.wired.evidence
        await evidence.aside.settled()
        evidence.store.change(
            LEVER, "easy", lambda before: msgspec.structs.replace(before, version="newer"), "ladder"
        )
        await evidence.board.refresh()
        await gateway.post("/feedback", {"call": call, "score": "down"})
        await evidence.aside.settled()
        assert evidence.store.comparisons(LEVER, "easy") == []

    judged = ALL | {"judge": "feedback"}
    routed(scenario, policy(SINGLE), evidence=judged, rows=[AGREED])


def test_a_small_model_of_the_first_day_that_is_shown_to_lose_is_stopped_too(routed):
    async def scenario(gateway, provider, mark):
        for _ in range(150):
            await gateway.post(CHAT, ask(LABEL, model="farthing/auto"))
            await gateway.wired.evidence.aside.settled()
            await gateway.wired.evidence.board.refresh()
        choices = [read_choice(entry.detail) for entry in own_calls(gateway)]
        assert choices[0].served == CHEAP
        assert choices[-1].served == STRONG
        assert "unsafe" in choices[-1].reason

    rows = [line(1, {STRONG: (1, "42"), CHEAP: (0, "41")}) | {"prompt": LABEL}]
    pools = {"auto": pool(small=CHEAP, day_one="on")}
    routed(scenario, pools=pools, evidence=ALL, rows=rows)
