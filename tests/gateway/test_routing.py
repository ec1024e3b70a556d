"""Routing through the whole engine: which model serves, by what right, and what it is booked as."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import Gateway
from served_policies import (
    CHEAP,
    OTHER,
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

from farthing.call import AttemptStatus
from farthing.gateway import VirtualKey
from farthing.ledger import CallStatus
from farthing.levers.routing.serving import read_choice
from farthing.levers.routing.step import Single, Verify
from farthing.money import Money
from farthing.sim import Rule

CHAT = "/v1/chat/completions"
STRONG_COST = Money.usd("0.0035")  # 1000 in at $2.50, 100 out at $10 a million
CHEAP_COST = Money.usd("0.00021")
OTHER_COST = Money.usd("0.00065")
ZERO = Money(0)


def answered(body):
    return json.loads(body)["choices"][0]["message"]["content"].rpartition("Answer: ")[2]


def test_a_virtual_model_is_served_by_the_class_s_certified_model(routed):
    async def scenario(gateway, provider, mark):
        status, headers, body = await gateway.post(CHAT, ask("question 1"))
        assert (status, answered(body)) == (200, "42")
        assert provider.asked == [CHEAP]
        assert headers["x-farthing-model"] == f"openai/{CHEAP}"
        assert headers["x-farthing-route"] == (
            f"pool=auto; class=easy; served={CHEAP}; arm=policy; policy={mark}; floor=0.98"
        )
        (entry,) = await gateway.settled()
        assert entry.model == "farthing/auto:easy"
        assert entry.attribution.feature == "easy"
        (move,) = entry.moves
        assert (move.lever, move.saved, move.spent) == ("routing", STRONG_COST - CHEAP_COST, ZERO)
        assert entry.baseline == STRONG_COST
        assert entry.baseline - move.saved + move.spent == entry.cost == CHEAP_COST

    routed(scenario, policy(SINGLE))


def test_voters_are_attempts_of_one_call_and_their_cost_is_spent(routed):
    async def scenario(gateway, provider, mark):
        _, headers, body = await gateway.post(CHAT, ask("question 1"))
        assert answered(body) == "42"
        assert sorted(provider.asked) == sorted([CHEAP, OTHER])
        assert headers["x-farthing-model"] == f"openai/{CHEAP}"
        (entry,) = await gateway.settled()
        assert sorted(a.number for a in entry.attempts) == [1, 2]
        (move,) = entry.moves
        assert move.saved == STRONG_COST - CHEAP_COST
        assert move.spent == OTHER_COST
        assert entry.cost == CHEAP_COST + OTHER_COST == entry.baseline - move.saved + move.spent

    routed(scenario, policy(VOTE))


def test_voters_that_differ_escalate_and_the_incumbent_s_own_cost_is_the_baseline(routed):
    async def scenario(gateway, provider, mark):
        _, _, body = await gateway.post(CHAT, ask("question 2"))
        assert answered(body) == "7"
        assert provider.asked[-1] == STRONG
        (entry,) = await gateway.settled()
        assert [a.number for a in entry.attempts][-1] == 3
        assert entry.baseline == STRONG_COST
        (move,) = entry.moves
        assert (move.saved, move.spent) == (ZERO, CHEAP_COST + OTHER_COST)
        assert read_choice(entry.detail).escalated

    routed(scenario, policy(VOTE))


@pytest.mark.parametrize("prompt", ["question 1", "question 2"])
def test_a_stream_holds_back_voters_and_is_whole(routed, prompt):
    async def scenario(gateway, provider, mark):
        asked = ask(prompt, stream=True, stream_options={"include_usage": True})
        _, headers, body = await gateway.post(CHAT, asked)
        assert headers["content-type"].startswith("text/event-stream")
        events = [json.loads(e[6:]) for e in body.decode().split("\n\n") if e.startswith("data: {")]
        said = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        assert said.endswith("Answer: " + {"question 1": "42", "question 2": "7"}[prompt])
        assert body.rstrip().endswith(b"data: [DONE]")
        wrong = said.count("Answer: 8") + said.count("Answer: 9")
        assert wrong == 0
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.OK
        (move,) = entry.moves
        assert entry.baseline - move.saved + move.spent == entry.cost
        model = {"question 1": CHEAP, "question 2": STRONG}[prompt]
        assert headers["x-farthing-model"] == f"openai/{model}"

    routed(scenario, policy(VOTE))


def test_a_single_step_streams_as_it_comes_and_is_booked_when_it_closes(routed):
    async def scenario(gateway, provider, mark):
        _, headers, body = await gateway.post(CHAT, ask("question 1", stream=True))
        assert headers["transfer-encoding"] == "chunked"
        assert headers["x-farthing-model"] == f"openai/{CHEAP}"
        assert b"Answer: 42" in body.replace(b'"}', b"") or b"[DONE]" in body
        (entry,) = await gateway.settled()
        assert entry.moves[0].saved == STRONG_COST - CHEAP_COST

    routed(scenario, policy(SINGLE))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("farthing/auto:hard", "the policy does not know the class hard"),
        ("farthing/auto", "the policy does not know the class unknown"),
        ("farthing/auto:easy@0.99", "there is no policy certified for a floor of 0.99"),
    ],
)
def test_what_is_not_certified_goes_to_the_incumbent_and_says_so(routed, model, why):
    async def scenario(gateway, provider, mark):
        _, headers, _ = await gateway.post(CHAT, ask("question 1", model))
        assert provider.asked == [STRONG]
        assert headers["x-farthing-route"].endswith(f"why={why}")
        (entry,) = await gateway.settled()
        assert (entry.moves, entry.baseline) == ((), entry.cost)
        assert read_choice(entry.detail).reason == why

    routed(scenario, policy(SINGLE))


def test_the_floor_in_the_header_chooses_among_policies(routed, tmp_path):
    file_policy(tmp_path, policy({"easy": Single(OTHER)}, floor=0.95), name="loose.json")

    async def scenario(gateway, provider, mark):
        for floor in ("0.9", "0.95", "0.97", "0.98", "0.985"):
            await gateway.post(CHAT, ask("question 1"), {"x-farthing-quality": floor})
        assert provider.asked == [OTHER, OTHER, CHEAP, CHEAP, STRONG]
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked[-1] == CHEAP
        status, _, body = await gateway.post(CHAT, ask("q"), {"x-farthing-quality": "high"})
        assert status == 400
        assert b"invalid_quality" in body

    routed(scenario, policy(SINGLE))


def test_the_client_s_own_model_is_left_alone_unless_the_pool_overrides_it(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1", STRONG), {"x-farthing-feature": "easy"})
        assert provider.asked == [STRONG]

    async def overridden(gateway, provider, mark):
        _, headers, _ = await gateway.post(
            CHAT, ask("question 1", STRONG), {"x-farthing-feature": "easy"}
        )
        assert provider.asked == [CHEAP]
        assert headers["x-farthing-model"] == f"openai/{CHEAP}"

    routed(scenario, policy(SINGLE))
    routed(overridden, pools={"auto": pool(overrides_incumbent=True)})


def test_shadow_decides_and_changes_nothing(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [STRONG]
        (entry,) = await gateway.settled()
        choice = read_choice(entry.detail)
        assert (choice.arm, choice.would, choice.policy) == ("incumbent", CHEAP, mark)

    routed(scenario, policy(SINGLE), pools={"auto": pool(mode="shadow")})


def test_a_canary_keeps_each_user_on_one_side_and_records_the_propensity(routed):
    async def scenario(gateway, provider, mark):
        sides = {}
        for user in [f"user-{n}" for n in range(40)] * 2:
            await gateway.post(CHAT, ask("question 1"), {"x-farthing-user": user})
            sides.setdefault(user, set()).add(provider.asked[-1])
        assert all(len(models) == 1 for models in sides.values())
        cheap = sum(models == {CHEAP} for models in sides.values())
        assert 3 <= cheap <= 20
        entries = await gateway.settled(80)
        told = {read_choice(entry.detail).propensity for entry in entries}
        assert told == {0.25, 0.75}

    routed(scenario, policy(SINGLE), pools={"auto": pool(mode="canary", canary_share=0.25)})


@pytest.mark.parametrize(
    ("facts", "more", "why"),
    [
        ({"context_tokens": 2000}, {"max_tokens": 1999}, "more than its 2,000 tokens"),
        (
            {"has_tools": False},
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            "it calls no tools",
        ),
        (
            {"has_schema": False},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}},
                }
            },
            "it keeps to no JSON schema",
        ),
    ],
    ids=["context", "tools", "schema"],
)
def test_a_model_that_lacks_what_a_call_needs_does_not_serve_it(routed, facts, more, why):
    async def scenario(gateway, provider, mark):
        _, headers, _ = await gateway.post(CHAT, ask("question 1", **more))
        assert provider.asked == [STRONG]
        assert why in headers["x-farthing-route"]
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked[-1] == (STRONG if "max_tokens" in more else CHEAP)

    routed(scenario, policy(SINGLE), routing={"models": {CHEAP: facts}})


def test_pictures_go_to_models_that_take_them(routed):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    async def scenario(gateway, provider, mark):
        asked = ask([{"type": "text", "text": "question 1"}, picture])
        _, headers, _ = await gateway.post(CHAT, asked)
        assert "it takes no pictures" in headers["x-farthing-route"]

    routed(scenario, policy(SINGLE), routing={"models": {CHEAP: {"has_images": False}}})


def test_a_key_gets_no_model_that_it_may_not_use(routed, tmp_path):
    async def scenario(gateway, provider, mark):
        allowed = ((STRONG,), ("gpt-4o*",), ("farthing/*",), ("claude-*",))
        keys = [VirtualKey(id="", digest="", models=models) for models in allowed]
        statuses = []
        for key, _ in map(gateway.ring.create, keys):
            headers = {"authorization": f"Bearer {key}"}
            status, _, _ = await gateway.post(CHAT, ask("question 1"), headers)
            statuses.append(status)
        assert statuses == [200, 200, 200, 403]
        assert provider.asked == [STRONG, CHEAP, CHEAP]

    routed(scenario, policy(SINGLE))


def test_a_model_that_fails_is_replaced_by_the_incumbent(routed):
    async def scenario(gateway, provider, mark):
        status, headers, body = await gateway.post(CHAT, ask("question 1"))
        assert (status, answered(body)) == (200, "42")
        assert headers["x-farthing-route"].endswith(
            f"why={CHEAP} answered with status 400; the incumbent serves"
        )
        (entry,) = await gateway.settled()
        assert [a.status for a in entry.attempts] == [AttemptStatus.ERROR, AttemptStatus.OK]
        assert (entry.cost, entry.baseline) == (STRONG_COST, STRONG_COST)

    routed(scenario, policy(SINGLE), rules=(Rule(model=CHEAP, fault="400"),))


def test_a_voter_that_fails_agrees_with_nobody(routed):
    async def scenario(gateway, provider, mark):
        status, _, body = await gateway.post(CHAT, ask("question 1"))
        assert (status, answered(body)) == (200, "42")
        assert provider.asked[-1] == STRONG

    routed(scenario, policy(VOTE), rules=(Rule(model=OTHER, fault="400"),))


def test_a_provider_that_is_out_is_not_chosen(routed):
    async def scenario(gateway, provider, mark):
        breaker = gateway.wired.upstreams["openai"].breaker
        for _ in range(5):
            breaker.failed(gateway.clock.monotonic_us())
        await gateway.post(CHAT, ask("question 1"))
        (entry,) = await gateway.settled()
        assert read_choice(entry.detail).reason == f"{CHEAP} can't serve it: its providers are out"

    routed(scenario, policy(SINGLE))


def test_a_verified_answer_is_taken_if_it_passes_and_else_escalated(routed):
    step = Verify(CHEAP, ("json",), Single(STRONG))

    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        assert provider.asked == [CHEAP, STRONG]
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
        await gateway.post(CHAT, ask("question 1", response_format=form))
        assert provider.asked[2:] == [CHEAP]

    routed(scenario, policy({"easy": step}))


def test_a_tool_loop_stays_with_the_model_that_began_it(routed, tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def loop(steps):
        messages = [{"role": "user", "content": "question 2"}]
        for _ in range(steps):
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": "c1", "content": "done"})
        return {"model": "farthing/auto:easy", "messages": messages}

    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, loop(0))
        assert provider.asked[-1] == STRONG  # the voters differ
        count = len(provider.asked)
        _, headers, _ = await gateway.post(CHAT, loop(1))
        assert provider.asked[count:] == [STRONG]
        assert "arm=pinned" in headers["x-farthing-route"]

    routed(scenario, policy(VOTE), rows=[SPLIT])


def test_a_router_s_fault_is_the_incumbent_s_call(routed):
    async def scenario(gateway, provider, mark):
        board = gateway.wired.routes
        board.pools["auto"].standing = None  # not callable
        status, headers, _ = await gateway.post(CHAT, ask("question 1"))
        assert status == 200
        assert provider.asked == [STRONG]
        assert "why=the router failed: TypeError" in headers["x-farthing-route"]

    routed(scenario, policy(SINGLE))


def test_a_key_that_always_escalates_pays_for_the_incumbent_alone(routed):
    async def scenario(gateway, provider, mark):
        for _ in range(60):
            await gateway.post(CHAT, ask("question 2"))
        last = provider.asked[-1:]
        assert last == [STRONG]
        entries = await gateway.settled(60)
        assert len(entries[0].attempts) == 3
        assert len(entries[-1].attempts) == 1
        assert "over its cap" in read_choice(entries[-1].detail).reason

    routed(scenario, policy(VOTE), pools={"auto": pool(escalation_share_max=0.5)})


def test_voters_within_a_budget_hold_and_settle_their_own_money(routed):
    budget = [{"name": "all", "scope": "all", "amount_usd": "1", "window": "month"}]

    async def scenario(gateway, provider, mark):
        for prompt in ("question 1", "question 2"):
            status, _, body = await gateway.post(CHAT, ask(prompt, max_tokens=200))
            assert status == 200, body
        one, two = await gateway.settled(2)
        assert two.cost == CHEAP_COST + OTHER_COST + STRONG_COST
        assert one.charges == two.charges != ()
        (holding,) = gateway.wired.treasurer.purse
        assert (holding.reserved, holding.spent) == (0, (one.cost + two.cost).nanodollars)

    routed(scenario, policy(VOTE), budget=budget, run="run-1")


def test_a_budget_without_room_for_the_voters_refuses_the_call_and_keeps_nothing(routed):
    budget = [{"name": "all", "scope": "all", "amount_usd": "0.0003", "window": "month"}]

    async def scenario(gateway, provider, mark):
        gateway.clock.ahead_us += 2_000_000  # a purse forgets what is done with, at its next look
        status, _, _ = await gateway.post(CHAT, ask("question 1", max_tokens=2000))
        assert status == 429
        assert provider.asked == []
        (entry,) = await gateway.settled()
        assert entry.cost == ZERO
        treasurer = gateway.wired.treasurer
        assert sum(one.reserved + one.spent + one.free for one in treasurer.purse) == 0
        (account,) = treasurer.store.accounts(gateway.clock.now_us())
        assert (account.committed, account.leased) == (ZERO, ZERO)

    routed(scenario, policy(VOTE), budget=budget, run="run-1")


def test_a_crash_while_voters_run_leaves_every_one_of_them_in_the_journal(routed):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask("question 1"))
        both = [i for i in gateway.journal.intents if len(i.attempts) == 2]
        (intent,) = both
        assert sorted(a.number for a in intent.attempts) == [1, 2]
        assert {a.status for a in intent.attempts} == {AttemptStatus.INTERRUPTED}
        assert {a.model for a in intent.attempts} == {CHEAP, OTHER}

    routed(scenario, policy(VOTE))


def test_virtual_models_are_listed_and_unknown_pools_named(routed):
    async def scenario(gateway, provider, mark):
        _, _, body = await gateway.get("/v1/models", {"authorization": "Bearer x"})
        names = [model["id"] for model in json.loads(body)["data"]]
        assert names[:2] == ["farthing/auto", "farthing/support"]
        assert CHEAP in names
        status, _, body = await gateway.post(CHAT, ask("q", "farthing/nobody"))
        assert status == 404
        assert b"farthing/support" in body

    routed(scenario, pools={"auto": pool(), "support": pool()})


def test_without_a_pool_a_virtual_model_is_refused_and_nothing_is_sent(routed, tmp_path):
    async def whole():
        async with RecordedProvider(tmp_path) as provider, Gateway(tmp_path, provider) as gateway:
            status, _, body = await gateway.post(CHAT, ask("question 1"))
            assert (status, provider.asked) == (404, [])
            assert b"[routing.pools.auto]" in body

    asyncio.run(whole())


LABEL = "Classify the sentiment of this review as positive, negative or neutral.\n\nI loved it."
POEM = "Write a long poem about the sea and explain your choice of words."


@pytest.mark.parametrize(
    ("mode", "prompt", "model", "would"),
    [
        ("shadow", LABEL, STRONG, CHEAP),
        ("on", LABEL, CHEAP, ""),
        ("on", POEM, STRONG, ""),
    ],
)
def test_on_the_first_day_small_models_get_labels_and_full_models_prose(
    routed, mode, prompt, model, would
):
    async def scenario(gateway, provider, mark):
        await gateway.post(CHAT, ask(prompt, "farthing/auto"))
        assert provider.asked == [model]
        (entry,) = await gateway.settled()
        assert read_choice(entry.detail).would == would
        await gateway.post(CHAT, ask(prompt, "farthing/auto@0.9"))
        assert provider.asked[-1] == STRONG  # a floor that is asked for needs proof

    routed(scenario, pools={"auto": pool(mode="shadow", small=CHEAP, day_one=mode)})


def test_the_session_s_lost_prompt_cache_is_charged_to_the_switch(routed):
    long = {
        "id": "q9",
        "task": "easy",
        "prompt": "long question",
        "outcomes": {
            model: {"score": 1, "answer": "1", "input_tokens": 2000, "output_tokens": 100}
            for model in (STRONG, CHEAP, OTHER)
        },
    }
    price = [
        {
            "model": STRONG,
            "provider": "openai",
            "input": "2.5",
            "output": "10",
            "cache_read": "1.25",
        },
        {"model": CHEAP, "provider": "openai", "input": "0.15", "output": "0.6"},
    ]

    async def scenario(gateway, provider, mark):
        for _ in range(2):
            await gateway.post(CHAT, ask("long question"), {"x-farthing-session": "s"})
        first, second = await gateway.settled(2)
        assert provider.asked == [CHEAP, CHEAP]
        assert first.baseline == Money.usd("0.006")  # 2000 in at $2.50, 100 out at $10 a million
        assert second.baseline == Money.usd("0.0036")  # 1920 of them from the cache at $1.25

    routed(scenario, policy(SINGLE), rows=[long], price=price)
