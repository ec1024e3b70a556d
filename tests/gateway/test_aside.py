"""Work off the caller's path through the whole engine (A1 to A3)."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway.aside import AsideOver
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I return an order?"}]}
ON = {"evidence": {"mode": "on", "share": 1.0}}
PRICE = Money.usd("0.0035")  # 1000 tokens in at $2.50, 100 out at $10 a million
MINI = Money.usd("0.00021")  # the same at $0.15 and $0.60
MINI_ANSWER = CHAT_ANSWER | {"model": "gpt-4o-mini-2024-07-18"}


class Kept:
    """A stage's stand-in: keeps the calls that pass, to ask about them afterwards."""

    def __init__(self, gateway):
        self.inbounds = []
        engine = gateway.wired.engine
        serve = engine._serve

        async def keep(inbound):
            self.inbounds.append(inbound)
            return await serve(inbound)

        engine._serve = keep


def asking(inbound, answers, model="gpt-4o-mini", **more):
    async def job(asker):
        answers.append(
            await asker.ask(inbound, model, lever="routing", why="shadow of the answer", **more)
        )

    return job


def offered(gateway, job, feature=""):
    return gateway.wired.evidence.aside.offer(job, lever="routing", feature=feature)


async def first_call(gateway, provider, document=ASK, headers=None):
    kept = Kept(gateway)
    provider.answers_json(CHAT_ANSWER)
    await gateway.post(CHAT, document, headers)
    provider.scripts.clear()
    provider.answers_json(MINI_ANSWER)
    return kept.inbounds[0]


def test_an_aside_is_a_call_of_its_own_that_its_lever_pays_for(through):  # A2
    async def scenario(gateway, provider):
        headers = {"x-farthing-feature": "support", "x-farthing-tags": "team=care"}
        inbound = await first_call(gateway, provider, headers=headers)
        answers = []
        assert offered(gateway, asking(inbound, answers), "support")
        await gateway.wired.evidence.aside.settled()
        (answer,) = answers
        assert (answer.status, answer.text, answer.is_good) == (200, "Hello!", True)
        first, entry = gateway.journal.entries
        assert entry == answer.entry
        assert entry.call_id != first.call_id
        assert (entry.status, entry.cost, entry.baseline) == (CallStatus.OK, MINI, Money(0))
        (move,) = entry.moves
        assert (move.lever, move.saved, move.spent) == ("routing", Money(0), MINI)
        assert entry.attribution.feature == "support"
        assert entry.attribution.tags == {
            "team": "care",
            "farthing-lever": "routing",
            "farthing-for": first.call_id,
            "farthing-why": "shadow of the answer",
        }
        sent = json.loads(provider.requests[1][2])
        assert sent == ASK | {"model": "gpt-4o-mini"}
        assert gateway.wired.evidence.store.spent(gateway.clock.now_us()) == MINI

    through(scenario, **ON)


def test_what_stands_if_the_process_dies_is_the_levers_spending_too(through):  # A2
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        offered(gateway, asking(inbound, []))
        await gateway.wired.evidence.aside.settled()
        intent = gateway.journal.intents[-1]
        assert intent.status is CallStatus.INTERRUPTED
        assert (intent.baseline, intent.moves[0].spent) == (Money(0), intent.cost)

    through(scenario, **ON)


def test_a_streamed_call_is_asked_again_whole(through):
    async def scenario(gateway, provider):
        streamed = ASK | {"stream": True, "stream_options": {"include_usage": True}}
        inbound = await first_call(gateway, provider, streamed)
        answers = []
        offered(gateway, asking(inbound, answers))
        await gateway.wired.evidence.aside.settled()
        assert json.loads(provider.requests[1][2]) == ASK | {"model": "gpt-4o-mini"}
        assert answers[0].text == "Hello!"

    through(scenario, **ON)


def test_nothing_is_taken_unless_evidence_is_on(through):
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        assert not offered(gateway, asking(inbound, []))
        aside = gateway.wired.evidence.aside
        assert aside.counts == {"done": 0, "failed": 0, "dropped: off": 1}
        assert len(provider.requests) == 1

    through(scenario)


def test_it_may_be_on_for_one_feature_alone(through):
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        assert not offered(gateway, asking(inbound, []), "other")
        assert offered(gateway, asking(inbound, []), "support")
        await gateway.wired.evidence.aside.settled()

    through(scenario, evidence={"features": {"support": {"mode": "on"}}})


def test_what_is_over_the_queue_is_dropped_and_told_in_the_metrics(through):  # A1
    async def scenario(gateway, provider):
        aside = gateway.wired.evidence.aside
        go_on = asyncio.Event()

        async def waits(asker):
            await go_on.wait()

        taken = [offered(gateway, waits) for _ in range(6)]
        assert taken == [True, True, True, True, False, False]
        go_on.set()
        await aside.settled()
        assert aside.counts == {"done": 4, "failed": 0, "dropped: queue": 2}

    through(scenario, evidence={"mode": "on", "running_max": 2, "queue_max": 2})


def test_no_more_is_sent_than_the_days_own_money_allows(through):  # A3
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        answers = []
        for _ in range(3):
            offered(gateway, asking(inbound, answers))
            await gateway.wired.evidence.aside.settled()
        assert len(answers) == 1
        assert not offered(gateway, asking(inbound, answers))
        spent = gateway.wired.evidence.store.spent(gateway.clock.now_us())
        assert spent == MINI
        assert len(provider.requests) == 2
        refused = [e for e in gateway.journal.entries if e.status is CallStatus.REFUSED]
        assert [(e.cost, e.baseline) for e in refused] == [(Money(0), Money(0))]
        assert "usd_per_day" in refused[0].detail
        assert gateway.wired.evidence.aside.dropped["money"] == 3
        gateway.clock.ahead_us = 86_400_000_000
        assert offered(gateway, asking(inbound, answers))
        await gateway.wired.evidence.aside.settled()
        assert len(answers) == 2

    through(scenario, evidence={"mode": "on", "usd_per_day": "0.0025"})


def test_a_model_without_a_price_is_not_asked_for_nobody_could_count_it(through):  # A3
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        raised = []

        async def job(asker):
            try:
                await asker.ask(inbound, "nobodys-model", lever="routing", why="")
            except AsideOver as error:
                raised.append(str(error))

        offered(gateway, job)
        await gateway.wired.evidence.aside.settled()
        assert "No price is known for 'nobodys-model'" in raised[0]
        assert len(provider.requests) == 1

    through(scenario, **ON)


def test_a_budget_holds_an_aside_as_it_holds_a_call(through, tmp_path):  # A3
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider, headers={"x-farthing-feature": "support"})
        answers = []
        offered(gateway, asking(inbound, answers, "gpt-4o"), "support")
        await gateway.wired.evidence.aside.settled()
        assert answers[0].status == 429
        assert len(provider.requests) == 1
        assert gateway.journal.entries[-1].status is CallStatus.REFUSED

    budget = {"name": "b", "scope": "feature=support", "amount_usd": "0.165", "window": "day"}
    through(scenario, run="run-1", budget=[budget], **ON)


def test_one_switch_stops_all_of_it(through):
    async def scenario(gateway, provider):
        evidence = gateway.wired.evidence
        evidence.store.stop(is_stopped=True, now_us=1, actor="person", reason="")
        await evidence.board.refresh()
        inbound = await first_call(gateway, provider)
        assert not offered(gateway, asking(inbound, []))
        assert evidence.aside.dropped == {"stopped": 1}

    through(scenario, **ON)


def test_a_job_that_fails_is_counted_and_hurts_nobody(through, caplog):
    async def scenario(gateway, provider):
        async def fails(asker):
            raise KeyError("a bug")

        offered(gateway, fails)
        await gateway.wired.evidence.aside.settled()
        assert gateway.wired.evidence.aside.counts == {"done": 0, "failed": 1}
        status, _, _ = await gateway.post(CHAT, ASK)
        assert status == 200

    def with_answer(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        return scenario(gateway, provider)

    through(with_answer, **ON)
    assert "failed in Farthing" in caplog.text


def test_a_provider_that_fails_gives_an_answer_without_text(through):
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        provider.scripts.clear()
        provider.answers_json({"error": {"message": "no"}}, status=400)
        answers = []
        offered(gateway, asking(inbound, answers))
        await gateway.wired.evidence.aside.settled()
        assert (answers[0].status, answers[0].text, answers[0].is_good) == (400, "", False)
        assert answers[0].entry.status is CallStatus.ERROR
        assert gateway.wired.evidence.store.spent(gateway.clock.now_us()) == Money(0)

    through(scenario, **ON)


def test_what_runs_at_the_end_is_cancelled_and_settled_once(through):
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider)
        provider.scripts.clear()
        never = asyncio.Event()
        provider.answers(never)
        for _ in range(6):
            offered(gateway, asking(inbound, []))
        while len(provider.requests) < 3:
            await asyncio.sleep(0)
        await gateway.wired.evidence.aside.close()
        asides = [e for e in gateway.journal.entries if e.moves]
        assert [e.status for e in asides] == [CallStatus.CANCELLED] * 2
        assert len({e.call_id for e in asides}) == 2
        assert all(e.baseline == Money(0) and e.moves[0].spent == e.cost for e in asides)
        assert gateway.wired.desk.running == 0
        assert gateway.wired.evidence.aside.dropped["stopped"] == 4
        assert not offered(gateway, asking(inbound, []))

    through(scenario, evidence={"mode": "on", "running_max": 2, "drain_s": 0})


def test_a_judge_of_another_protocol_never_gets_the_callers_own_credential(through):
    async def scenario(gateway, provider):
        kept = Kept(gateway)
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK, {"authorization": "Bearer sk-of-the-caller"})
        message = {
            "type": "message",
            "model": "claude-haiku-4-5-20251001",
            "content": [{"type": "text", "text": "SAME"}],
            "usage": {"input_tokens": 10, "output_tokens": 1},
        }
        provider.scripts.clear()
        provider.answers_json(message)
        answers = []

        async def job(asker):
            answers.append(
                await asker.question(
                    kept.inbounds[0],
                    "anthropic/claude-haiku-4-5",
                    "Which is better?",
                    lever="evidence",
                    why="judge",
                )
            )

        offered(gateway, job)
        await gateway.wired.evidence.aside.settled()
        line, headers, body = provider.requests[1]
        assert line == "POST /v1/messages HTTP/1.1"
        assert "sk-of-the-caller" not in str(headers)
        assert json.loads(body)["messages"] == [{"role": "user", "content": "Which is better?"}]
        assert answers[0].text == "SAME"

    through(scenario, keyless=True, **ON)


@pytest.mark.parametrize("name", ["idempotency-key"])
def test_headers_that_would_make_two_calls_one_are_left_out(through, name):
    async def scenario(gateway, provider):
        inbound = await first_call(gateway, provider, headers={name: "same"})
        offered(gateway, asking(inbound, []))
        await gateway.wired.evidence.aside.settled()
        assert provider.requests[0][1][name] == "same"
        assert name not in provider.requests[1][1]

    through(scenario, **ON)
