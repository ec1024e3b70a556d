"""Budgets as callers of the gateway meet them: in their own protocol, before anything is sent."""

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey
from farthing.money import Money

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn",
    "usage": {"input_tokens": 1000, "output_tokens": 100},
}  # fmt: skip
ANTHROPIC = {"anthropic-version": "2023-06-01"}
COST = Money.usd("0.0035")  # of CHAT_ANSWER: 1,000 tokens in at $2.5 and 100 out at $10 a million


def chat(most=100, **members):
    asked = [{"role": "user", "content": "x" * 1000}]
    return {"model": "gpt-4o", "messages": asked, "max_tokens": most, **members}


def message(most=100, **members):
    return chat(most) | {"model": "claude-sonnet-4-5", **members}


def budget(amount, scope="all", name="team", **more):
    return {"name": name, "scope": scope, "amount_usd": amount, "window": "month", **more}


def reserved(gateway):
    """What calls hold of all accounts."""
    return sum(holding.reserved for holding in gateway.wired.treasurer.purse)


@pytest.fixture
def within(through):
    """Run a scenario under budgets: `within(scenario, budget(...), ...)`."""

    def run(scenario, *budgets, **tables):
        return through(scenario, run="run-1", budget=list(budgets), **tables)

    return run


def test_a_call_beyond_the_budget_is_refused_with_its_arithmetic_and_costs_nothing(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        assert (await gateway.post(CHAT, chat()))[0] == 200
        status, headers, body = await gateway.post(CHAT, chat())
        assert status == 429
        assert headers["x-should-retry"] == "false"
        assert "retry-after" not in headers
        assert headers["x-farthing-budget"] == "0.0005"
        error = json.loads(body)["error"]
        assert error["code"] == "budget_exceeded"
        assert error["type"] == "rate_limit_error"
        assert (error["budget"], error["key"]) == ("team", "all")
        assert error["limit_usd"] == "0.004"
        assert error["spent_usd"] == "0.0035"
        gone = Money.usd(error["spent_usd"]) + Money.usd(error["needed_usd"])
        assert Money.usd(error["shortfall_usd"]) == gone - Money.usd("0.004")
        assert error["resets_at"] == "2026-10-01T00:00:00Z"
        assert len(provider.requests) == 1
        refused = gateway.journal.entries[-1]
        assert (refused.status.value, refused.cost, refused.attempts) == ("refused", Money(0), ())

    within(scenario, budget("0.004"))


def test_a_refusal_speaks_the_protocol_of_anthropic_to_its_callers(within):
    async def scenario(gateway, provider):
        status, headers, body = await gateway.post(MESSAGES, message(10_000), ANTHROPIC)
        assert (status, headers["x-should-retry"]) == (429, "false")
        told = json.loads(body)
        assert told["type"] == "error"
        assert told["error"]["type"] == "rate_limit_error"
        assert told["error"]["code"] == "budget_exceeded"
        assert told["error"]["limit_usd"] == "0.01"
        assert "Nothing was sent and nothing was charged" in told["error"]["message"]
        assert provider.requests == []

    within(scenario, budget("0.01"))


def test_embeddings_are_held_to_the_budget_too(within):
    async def scenario(gateway, provider):
        asked = {"model": "text-embedding-3-large", "input": "x" * 100_000}
        status, _, body = await gateway.post("/v1/embeddings", asked)
        assert (status, json.loads(body)["error"]["code"]) == (429, "budget_exceeded")
        assert provider.requests == []

    within(scenario, budget("0.001"))


def test_a_budget_that_downgrades_sends_the_call_to_its_cheaper_model(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        provider.answers_json(CHAT_ANSWER | {"model": "gpt-4o-mini"})
        await gateway.post(CHAT, chat())
        status, headers, _ = await gateway.post(CHAT, chat())
        assert status == 200
        assert headers["x-farthing-model"] == "openai/gpt-4o-mini"
        assert json.loads(provider.requests[1][2])["model"] == "gpt-4o-mini"
        assert reserved(gateway) == 0

    within(
        scenario,
        budget("0.004", "model=gpt-4o", at_limit="downgrade", downgrade_to="gpt-4o-mini"),
    )


def test_a_downgrade_leads_each_protocol_to_the_target_it_speaks(within):
    async def scenario(gateway, provider):
        provider.answers_json(MESSAGE | {"model": "claude-haiku-4-5"})
        status, headers, _ = await gateway.post(MESSAGES, message(1_000), ANTHROPIC)
        assert (status, headers["x-farthing-model"]) == (200, "anthropic/claude-haiku-4-5")

    within(
        scenario,
        budget("0.001", "model=claude-sonnet-*", at_limit="downgrade", downgrade_to="cheap"),
        models={"cheap": {"targets": ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]}},
    )


def test_a_downgraded_call_is_refused_where_the_cheaper_model_has_no_room_either(within):
    async def scenario(gateway, provider):
        status, _, body = await gateway.post(CHAT, chat(100_000))
        assert (status, json.loads(body)["error"]["code"]) == (429, "budget_exceeded")
        assert provider.requests == []

    within(scenario, budget("0.001", at_limit="downgrade", downgrade_to="gpt-4o-mini"))


def test_a_budget_that_throttles_names_a_wait_and_lets_sdks_try_again(within):
    async def scenario(gateway, provider):
        _, headers, _ = await gateway.post(CHAT, chat(100_000))
        assert headers["retry-after"] == "10"
        assert "x-should-retry" not in headers
        assert provider.requests == []

    within(scenario, budget("0.001", at_limit="throttle", window="24h"))


@pytest.mark.parametrize("rule", [{"mode": "shadow"}, {"at_limit": "notify"}], ids=str)
def test_a_budget_that_only_watches_lets_calls_pass_and_counts_them(within, rule):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(3):
            assert (await gateway.post(CHAT, chat()))[0] == 200
        await gateway.wired.treasurer.close()
        store = gateway.wired.treasurer.store
        (account,) = store.accounts(gateway.clock.now_us())
        assert account.passed_calls == 2  # the first one fitted
        assert account.passed == COST + COST

    within(scenario, budget("0.005", **rule))


def test_a_budget_in_shadow_mode_is_not_told_to_callers(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, headers, _ = await gateway.post(CHAT, chat())
        assert "x-farthing-budget" not in headers

    within(scenario, budget("5", mode="shadow"))


def test_the_header_tells_what_is_left_of_the_tightest_budget(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, headers, _ = await gateway.post(CHAT, chat())
        assert headers["x-farthing-budget"] == "0.0965"

    within(scenario, budget("5", name="wide"), budget("0.1", name="tight"))


def test_what_running_calls_hold_makes_a_budget_busy_not_exceeded(within):
    async def scenario(gateway, provider):
        may_answer = asyncio.Event()
        body = json.dumps(CHAT_ANSWER).encode()
        head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        provider.answers(may_answer, head % len(body) + body)
        first = asyncio.create_task(gateway.post(CHAT, chat()))
        while not provider.requests:
            await asyncio.sleep(0)
        gateway.wired.treasurer.wait_s = 0.05
        status, headers, told = await gateway.post(CHAT, chat())
        error = json.loads(told)["error"]
        assert (status, error["code"]) == (429, "budget_busy")
        assert error["spent_usd"] == "0.00"
        assert Money.usd(error["reserved_usd"]) > COST
        assert headers["retry-after"] == "1"
        assert headers["x-should-retry"] == "false"
        may_answer.set()
        assert (await first)[0] == 200
        assert (await gateway.post(CHAT, chat(10)))[0] == 200

    within(scenario, budget("0.007"))


def test_every_budget_that_counts_a_call_must_have_room_for_it(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        support = {"x-farthing-feature": "support"}
        assert (await gateway.post(CHAT, chat(), support))[0] == 200
        _, _, body = await gateway.post(CHAT, chat(), support)
        assert json.loads(body)["error"]["budget"] == "support"
        assert (await gateway.post(CHAT, chat(), {"x-farthing-feature": "search"}))[0] == 200
        assert gateway.journal.entries[0].charges == (
            "all/month 2026-09/all",
            "support/month 2026-09/feature=support",
        )
        assert reserved(gateway) == 0

    within(scenario, budget("5", name="all"), budget("0.004", "feature=support", name="support"))


@pytest.mark.parametrize("what", ["session", "trace", "user"])
def test_a_star_gives_each_value_a_budget_of_its_own(within, what):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for value, status in [("a", 200), ("a", 429), ("b", 200), ("b", 429)]:
            answer = await gateway.post(CHAT, chat(), {f"x-farthing-{what}": value})
            assert answer[0] == status
        assert json.loads(answer[2])["error"]["key"] == f"{what}=b"

    within(scenario, budget("0.004", f"{what}=*"))


def test_a_tenant_is_who_the_key_says_whatever_the_caller_claims(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        made = [gateway.ring.create(VirtualKey(id="", digest="", tenant=t)) for t in ("a", "b")]
        keys = [{"authorization": f"Bearer {secret}"} for secret, _ in made]
        claim = {"x-farthing-tenant": "b"}
        assert (await gateway.post(CHAT, chat(), keys[0]))[0] == 200
        status, _, body = await gateway.post(CHAT, chat(), keys[0] | claim)
        assert (status, json.loads(body)["error"]["key"]) == (429, "tenant=a")
        assert (await gateway.post(CHAT, chat(), keys[1]))[0] == 200

    within(scenario, budget("0.004", "tenant=*"))


def test_a_call_without_a_price_is_refused_under_a_budget_that_could_not_count_it(within):
    async def scenario(gateway, provider):
        status, _, body = await gateway.post(CHAT, chat(model="nobody-knows-1"))
        assert (status, json.loads(body)["error"]["code"]) == (400, "unpriced_under_budget")
        assert provider.requests == []

    within(scenario, budget("5"), pricing={"unknown": "allow"})


def test_a_chat_that_names_no_limit_is_given_one_so_that_its_cost_is_known(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        asked = chat()
        del asked["max_tokens"]
        assert (await gateway.post(CHAT, asked))[0] == 200
        sent = json.loads(provider.requests[0][2])
        assert sent == asked | {"max_completion_tokens": 500}

    within(scenario, budget("5"), gateway={"budget_output_tokens": 500})


def test_counting_tokens_costs_nothing_and_passes_a_budget_that_is_spent(within):
    async def scenario(gateway, provider):
        provider.answers_json({"input_tokens": 14})
        asked = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}
        answered = await gateway.post("/v1/messages/count_tokens", asked, ANTHROPIC)
        assert answered[0] == 200

    within(scenario, budget("0.000000001"))


def test_calls_that_no_budget_counts_pass_as_they_came(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        asked = json.dumps({"model": "gpt-4o", "messages": []}).encode()
        _, headers, _ = await gateway.post(CHAT, asked)
        assert provider.requests[0][2] == asked
        assert "x-farthing-budget" not in headers

    within(scenario, budget("0.001", "feature=other"))


@pytest.mark.parametrize("fault", [400, 429, 500])
def test_a_call_that_the_provider_refuses_gives_back_what_it_held(within, fault):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "no"}}, status=fault)
        assert (await gateway.post(CHAT, chat()))[0] == fault
        (holding,) = gateway.wired.treasurer.purse
        assert (holding.reserved, holding.spent) == (0, 0)

    within(scenario, budget("5"))


def test_a_retry_holds_its_worst_case_once(within):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "busy"}}, status=503)
        provider.answers_json(CHAT_ANSWER)
        assert (await gateway.post(CHAT, chat()))[0] == 200
        assert len(provider.requests) == 2
        (holding,) = gateway.wired.treasurer.purse
        assert (holding.reserved, holding.spent) == (0, COST.nanodollars)

    within(scenario, budget("0.007"), retry={"retries_max": 1})


def test_a_client_that_leaves_pays_for_what_ran_and_gives_back_the_rest(within):
    async def scenario(gateway, provider):
        provider.answers(asyncio.Event())
        _, writer = await gateway.connect()
        body = json.dumps(chat()).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        while not provider.requests:
            await asyncio.sleep(0)
        writer.close()
        (entry,) = await gateway.settled()
        (holding,) = gateway.wired.treasurer.purse
        assert entry.status.value == "cancelled"
        assert (holding.reserved, holding.spent) == (0, entry.cost.nanodollars)

    within(scenario, budget("5"))


def test_many_calls_at_once_never_take_a_budget_over_its_limit(within):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        answers = await asyncio.gather(*(gateway.post(CHAT, chat()) for _ in range(60)))
        served = sum(status == 200 for status, _, _ in answers)
        spent = sum(entry.cost.nanodollars for entry in gateway.journal.entries)
        assert spent == served * COST.nanodollars
        assert Money.usd("0.04").nanodollars <= spent <= Money.usd("0.05").nanodollars
        assert {status for status, _, _ in answers} == {200, 429}

    within(scenario, budget("0.05"))
