"""Answers of routed calls: found again by the right they were made by, and by no other."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from fakes import Gateway
from hypothesis import given, settings
from hypothesis import strategies as st
from served_policies import (
    AGREED,
    CHEAP,
    OTHER,
    PRICE,
    SINGLE,
    SPLIT,
    STRONG,
    VOTE,
    RecordedProvider,
    ask,
    file_policy,
    policy,
    pool,
)
from test_exact_cache import contents
from test_routing import CHEAP_COST, OTHER_COST, STRONG_COST, ZERO, answered

from farthing.levers.routing.step import Agree, Route, Single
from farthing.sim import Rule

CHAT = "/v1/chat/completions"
CACHED = {"cache": {"mode": "on", "temperature_max": 1.0}}
ASKED = ask("question 1")


def pool_of(gateway):
    return gateway.wired.routes.pools["auto"]


def refile(gateway, folder, made):
    """Put another policy in the place of the one that counts."""
    for path in (folder / "routing" / "auto").glob("*.json"):
        path.unlink()
    mark = file_policy(folder, made) if made is not None else ""
    pool_of(gateway).look()
    pool_of(gateway).stand(gateway.clock.now_us())
    return mark


def cached(headers):
    return headers["x-farthing-cache"]


def test_a_routed_answer_is_served_again_and_saves_what_the_policy_s_model_costs(routed):
    async def scenario(gateway, provider, mark):
        _, first, _ = await gateway.post(CHAT, ASKED)
        _, second, body = await gateway.post(CHAT, ASKED)
        assert (cached(first), cached(second)) == ("miss", "hit-exact")
        assert (provider.asked, answered(body)) == ([CHEAP], "42")
        assert second["x-farthing-model"] == f"openai/{CHEAP}"
        paid, hit = await gateway.settled(2)
        assert paid.cost == CHEAP_COST
        assert [(m.lever, m.saved, m.spent) for m in hit.moves] == [
            ("exact-cache", CHEAP_COST, ZERO)
        ]
        assert (hit.baseline, hit.cost) == (CHEAP_COST, ZERO)

    routed(scenario, policy(SINGLE), **CACHED)


def test_once_the_policy_is_stopped_its_answers_are_not_served_and_the_incumbent_s_are(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        pool_of(gateway).stop(mark, "somebody said so", gateway.clock.now_us())
        told = [cached((await gateway.post(CHAT, ASKED))[1]) for _ in range(2)]
        assert told == ["miss", "hit-exact"]
        assert provider.asked == [CHEAP, STRONG]

    routed(scenario, policy(SINGLE), **CACHED)


def test_a_stricter_floor_is_not_served_by_an_answer_of_a_looser_one(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        _, headers, _ = await gateway.post(CHAT, ASKED, {"x-farthing-quality": "0.99"})
        assert cached(headers) == "miss"
        assert provider.asked == [CHEAP, STRONG]

    routed(scenario, policy(SINGLE), **CACHED)


@pytest.mark.parametrize(
    ("steps", "snapshots", "is_found"),
    [
        (SINGLE, None, True),
        ({"easy": Single(OTHER)}, None, False),
        ({"easy": Single(CHEAP, "low")}, None, False),
        (VOTE, None, False),
        ({}, None, False),
        (SINGLE, {CHEAP: f"{CHEAP}-2024-07-18"}, False),
    ],
    ids=["the same step", "another model", "another effort", "a vote", "no step", "a snapshot"],
)
def test_another_policy_serves_what_it_would_make_itself(
    routed, tmp_path, steps, snapshots, is_found
):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        names = {name: name for name in (STRONG, CHEAP, OTHER)} | (snapshots or {})
        assert refile(gateway, tmp_path, policy(steps, floor=0.97, snapshots=names)) != mark
        _, headers, _ = await gateway.post(CHAT, ASKED)
        assert (cached(headers) == "hit-exact") is is_found

    routed(scenario, policy(SINGLE), **CACHED)


def test_where_a_score_decides_another_policy_is_another_right(routed, tmp_path):
    by_score = {"easy": Route("input_tokens", 10_000.0, Single(CHEAP), Single(STRONG))}

    async def scenario(gateway, provider, mark):
        told = [cached((await gateway.post(CHAT, ASKED))[1]) for _ in range(2)]
        refile(gateway, tmp_path, policy(by_score, floor=0.97))
        told.append(cached((await gateway.post(CHAT, ASKED))[1]))
        assert told == ["miss", "hit-exact", "miss"]
        assert provider.asked == [CHEAP, CHEAP]

    routed(scenario, policy(by_score), **CACHED)


def test_the_incumbent_s_answer_serves_a_routed_call_and_saves_what_that_would_have_cost(
    routed, tmp_path
):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        for made, saved in ((policy(SINGLE), CHEAP_COST), (policy(VOTE), CHEAP_COST + OTHER_COST)):
            refile(gateway, tmp_path, made)
            _, headers, _ = await gateway.post(CHAT, ASKED)
            assert cached(headers) == "hit-exact"
            assert headers["x-farthing-model"] == f"openai/{STRONG}"
            (move,) = gateway.journal.entries[-1].moves
            assert (move.lever, move.saved) == ("exact-cache", saved)
        assert provider.asked == [STRONG]

    routed(scenario, None, **CACHED)


@pytest.mark.parametrize(
    ("prompt", "answer", "by", "cost"),
    [
        ("question 1", "42", CHEAP, CHEAP_COST + OTHER_COST),
        ("question 2", "7", STRONG, CHEAP_COST + OTHER_COST + STRONG_COST),
    ],
    ids=["agreed", "escalated"],
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_a_vote_s_answer_is_served_again_in_both_forms(
    routed, prompt, answer, by, cost, is_streamed
):
    async def scenario(gateway, provider, mark):
        _, _, live = await gateway.post(CHAT, ask(prompt, stream=is_streamed))
        assert b'"usage"' not in live or not is_streamed
        _, headers, body = await gateway.post(CHAT, ask(prompt))
        _, _, events = await gateway.post(CHAT, ask(prompt, stream=True))
        assert cached(headers) == "hit-exact"
        assert headers["x-farthing-model"] == f"openai/{by}"
        assert answered(body) == contents(events).rpartition("Answer: ")[2] == answer
        assert json.loads(body)["usage"]["prompt_tokens"] == 1000
        assert b'"usage"' not in events
        (move,) = gateway.journal.entries[-1].moves
        assert (move.saved, gateway.journal.entries[0].cost) == (cost, cost)
        assert len(provider.asked) == len(gateway.journal.entries[0].attempts)

    routed(scenario, policy(VOTE), **CACHED)


def test_the_answer_that_shows_another_snapshot_is_not_kept(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        gateway.wired.routes.pools["auto"].stand(gateway.clock.now_us())
        _, headers, _ = await gateway.post(CHAT, ASKED)
        assert cached(headers) == "miss"
        assert provider.asked == [CHEAP, STRONG]
        assert [e.attempts[0].model_served for e in gateway.journal.entries] == ["other", STRONG]

    routed(scenario, policy(SINGLE), rules=(Rule(model=CHEAP, serves="other"),), **CACHED)


def test_where_the_policy_s_model_fails_the_incumbent_s_answer_is_kept_as_its_own(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        pool_of(gateway).stop(mark, "somebody said so", gateway.clock.now_us())
        _, headers, _ = await gateway.post(CHAT, ASKED)
        assert cached(headers) == "hit-exact"
        assert headers["x-farthing-model"] == f"openai/{STRONG}"
        (move,) = gateway.journal.entries[-1].moves
        assert move.saved == STRONG_COST

    failing = Rule(model=CHEAP, fault="status:400", probability=1.0)
    routed(scenario, policy(SINGLE), rules=(failing,), retry={"retries_max": 0}, **CACHED)


def test_in_shadow_an_answer_of_the_policy_s_model_does_not_take_the_incumbent_s_place(
    routed, tmp_path
):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ASKED)
        refile(gateway, tmp_path, policy(SINGLE))
        _, headers, _ = await gateway.post(CHAT, ASKED)
        assert cached(headers) == "miss; shadow would have hit"
        gateway.wired.caches.answers.flush()
        refile(gateway, tmp_path, None)
        tables = {"routing": {"pools": {"auto": pool()}}, "price": PRICE, **CACHED}
        async with Gateway(tmp_path, provider, **tables) as serving:
            _, headers, _ = await serving.post(CHAT, ASKED)
        assert cached(headers) == "hit-exact"
        assert headers["x-farthing-model"] == f"openai/{STRONG}"
        assert provider.asked == [STRONG, CHEAP]

    routed(scenario, None, cache={"mode": "shadow", "temperature_max": 1.0})


def test_a_policy_that_overrides_the_incumbent_s_own_name_counts_too(routed):
    async def scenario(gateway, provider, mark):
        asked = ask("question 1", STRONG)
        named = {"x-farthing-feature": "easy"}
        told = [cached((await gateway.post(CHAT, asked, named))[1]) for _ in range(2)]
        pool_of(gateway).stop(mark, "somebody said so", gateway.clock.now_us())
        told.append(cached((await gateway.post(CHAT, asked, named))[1]))
        assert told == ["miss", "hit-exact", "miss"]
        assert provider.asked == [CHEAP, STRONG]

    routed(scenario, policy(SINGLE), pools={"auto": pool(overrides_incumbent=True)}, **CACHED)


def test_calls_that_are_routed_otherwise_do_not_share_one_in_flight(routed):
    async def scenario(gateway, provider, mark):
        floors = [{}, {"x-farthing-quality": "0.99"}]
        calls = [asyncio.create_task(gateway.post(CHAT, ASKED, named)) for named in floors]
        await asyncio.gather(*calls)
        assert sorted(provider.asked) == sorted([CHEAP, STRONG])

    routed(scenario, policy(SINGLE), coalesce={"mode": "on", "temperature_max": 1.0})


STEPS = st.sampled_from(
    [None, Single(CHEAP), Single(OTHER), Agree((CHEAP, OTHER), Single(STRONG)), Single(STRONG)]
)


@settings(max_examples=25)
@given(turns=st.lists(st.tuples(STEPS, st.booleans(), st.booleans()), min_size=2, max_size=8))
def test_no_hit_is_ever_of_a_model_that_the_policy_of_the_moment_would_not_serve_by(turns):
    async def scenario(gateway, folder):
        made_by = {}
        for number, (step, is_streamed, is_strict) in enumerate(turns, 1):
            made = None if step is None else policy({"easy": step})
            refile(gateway, folder, made)
            named = {"x-farthing-quality": "0.99"} if is_strict else {}
            asked = ask("question 2", stream=is_streamed)
            _, headers, _ = await gateway.post(CHAT, asked, named)
            entry = (await gateway.settled(number))[-1]
            now = Single(STRONG) if step is None or is_strict else step
            if cached(headers).startswith("miss"):
                made_by[entry.call_id] = now
                continue
            source = entry.detail.split(" ")[5].rstrip(",")
            assert made_by[source] in (now, Single(STRONG))
            assert entry.baseline - entry.moves[0].saved == entry.cost == ZERO

    async def whole(folder):
        async with RecordedProvider(folder, rows=(AGREED, SPLIT)) as provider:
            tables = {"routing": {"pools": {"auto": pool()}}, "price": PRICE, **CACHED}
            async with Gateway(folder, provider, **tables) as gateway, asyncio.timeout(30):
                await scenario(gateway, folder)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(Path(folder)))
