"""Sessions that run away are told of, or stopped, before they cost more."""

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER

from farthing.budgets.alerts import Outbox
from farthing.ledger import SqliteStore
from farthing.ledger.layout import Layout

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ALERTS = [{"name": "ops", "kind": "webhook", "url": "https://ops.example/hook"}]


def asked(text):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "max_tokens": 100}


def of(session):
    return {"x-farthing-session": session}


@pytest.mark.parametrize("header", ["x-farthing-session", "x-farthing-trace"])
def test_a_session_in_a_loop_is_stopped_with_the_evidence(through, header):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for number in range(3):
            told = await gateway.post(CHAT, asked(f"error in line {number}"), {header: "s1"})
            assert told[0] == 200
        status, headers, body = await gateway.post(CHAT, asked("error in line 9"), {header: "s1"})
        error = json.loads(body)["error"]
        assert (status, headers["x-should-retry"]) == (429, "false")
        assert (error["code"], error["reason"]) == ("session_stopped", "loop")
        assert (error["equal_calls"], error["spent_usd"]) == (4, "0.0105")
        assert "free again once the gateway has restarted" in error["message"]
        assert len(provider.requests) == 3
        assert (await gateway.post(CHAT, asked("else"), {header: "s1"}))[0] == 429
        assert (await gateway.post(CHAT, asked("error in line 9"), {header: "s2"}))[0] == 200

    through(scenario, runaway={"loop_stop": 4})


def test_a_session_of_too_many_steps_is_stopped_in_the_protocol_of_its_caller(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for text in ("a", "b"):
            await gateway.post(CHAT, asked(text), of("s"))
        status, _, body = await gateway.post(MESSAGES, asked("c"), of("s"))
        told = json.loads(body)
        assert (status, told["type"], told["error"]["reason"]) == (429, "error", "steps")

    through(scenario, runaway={"steps_stop": 3})


def test_a_session_that_burns_money_is_stopped(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        answers = [await gateway.post(CHAT, asked("x" * n), of("s")) for n in range(12)]
        stopped = [json.loads(body)["error"]["reason"] for s, _, body in answers if s == 429]
        assert stopped
        assert set(stopped) == {"spend_rate"}

    through(scenario, runaway={"spend_usd_per_hour_stop": "0.1", "spend_window_s": 600})


def test_calls_of_no_session_are_nobodys_loop(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(6):
            assert (await gateway.post(CHAT, asked("same")))[0] == 200

    through(scenario, runaway={"loop_stop": 3})


def test_a_session_that_is_noticed_is_alerted_once_and_goes_on(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(5):
            assert (await gateway.post(CHAT, asked("same"), of("s")))[0] == 200
        store = SqliteStore(Layout(tmp_path).store)
        outbox = Outbox(store.transaction)
        async with asyncio.timeout(20):
            while not outbox.spread(lambda _: ["ops"]):
                await asyncio.sleep(0.05)  # else the writer finds no gap
        found = outbox.claim(10**18)
        store.close()
        return found

    (delivery,) = through(scenario, runaway={"loop_notify": 3}, alert=ALERTS)
    event = delivery.event
    assert (event.kind, event.key, event.window) == ("anomaly", "session=s", "loop notify")
