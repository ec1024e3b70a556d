"""What is compared of the caches, and what people's own word decides."""

from __future__ import annotations

import json

import pytest
from fakes import CHAT_ANSWER

from farthing.evidence import Mode
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT = "/v1/chat/completions"
MINI = "gpt-4o-mini"
FEATURE = {"x-farthing-feature": "support"}
ASK = {
    "model": "gpt-4o",
    "temperature": 0,
    "messages": [{"role": "user", "content": "How do I return an order?"}],
}
CACHED = {
    "cache": {"mode": "on"},
    "evidence": {"mode": "on", "share": 1.0, "exact_cache": True, "repeat_share": 0.5,
                 "usd_per_day": "100", "judge": "exact"},
}  # fmt: skip
HEARD = {
    "evidence": {"mode": "on", "candidate": MINI, "judge": "feedback", "usd_per_day": "100",
                 "canary_comparisons": 5, "floor": 0.9},
}  # fmt: skip


def said(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return CHAT_ANSWER | {"choices": [choice]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_hit_is_compared_with_a_fresh_answer_that_nobody_waits_for(through, stream):
    async def scenario(gateway, provider):
        provider.answers_json(said("Within 30 days."))
        provider.answers_json(said("Within 14 days."))
        await gateway.post(CHAT, ASK, FEATURE)
        _, headers, _ = await gateway.post(CHAT, ASK | {"stream": stream}, FEATURE)
        assert headers["x-farthing-cache"] == "hit-exact"
        await gateway.wired.evidence.aside.settled()
        (found,) = gateway.wired.evidence.store.comparisons("exact-cache", "support")
        assert (found.evidence.score, found.evidence.reference) == (0.0, 1.0)
        hit = next(e for e in gateway.journal.entries if not e.attempts)
        fresh = next(e for e in gateway.journal.entries if e.call_id == found.reference_call)
        assert (found.evidence.call, fresh.moves[0].lever) == (hit.call_id, "exact-cache")
        assert fresh.moves[0].spent == fresh.cost == Money.usd("0.0035")

    through(scenario, **CACHED)


def test_hits_that_are_shown_to_be_stale_are_no_longer_served(through):
    async def scenario(gateway, provider):
        provider.answers_json(said("Within 30 days."))
        provider.answers_json(said("Within 14 days."))
        await gateway.post(CHAT, ASK, FEATURE)
        for _ in range(200):
            _, headers, _ = await gateway.post(CHAT, ASK, FEATURE)
            await gateway.wired.evidence.aside.settled()
            if headers["x-farthing-cache"] != "hit-exact":
                break
        assert headers["x-farthing-cache"] == "miss; shadow would have hit"
        change = gateway.wired.evidence.store.trail()[0]
        assert (change.before, change.after) == ("on", "shadow")

    through(scenario, **CACHED)


def test_hits_are_not_paid_for_twice_unless_that_is_asked_for(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(3):
            await gateway.post(CHAT, ASK, FEATURE)
        await gateway.wired.evidence.aside.settled()
        assert len(provider.requests) == 1

    through(scenario, cache={"mode": "on"}, evidence={"mode": "on", "share": 1.0})


async def by_hand(gateway, mode):
    evidence = gateway.wired.evidence
    await evidence.aside.settled()

    def how(state):
        import msgspec

        return msgspec.structs.replace(state, mode=mode, since_us=1, reason="by hand")

    evidence.store.change("candidate", "support", how, "person")
    await evidence.board.refresh()


async def answered(gateway, number, **headers):
    named = FEATURE | headers
    _, told, _ = await gateway.post(CHAT, ASK, {"x-farthing-trace": f"t{number}"} | named)
    return told["x-farthing-call"]


def test_where_people_judge_no_second_answer_is_made_and_their_word_moves_the_lever(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await answered(gateway, 0)
        for number in range(30):
            call = await answered(gateway, number)
            await gateway.post("/feedback", {"call": call, "score": "up"})
        await by_hand(gateway, Mode.CANARY_50)
        for number in range(400):
            call = await answered(gateway, number)
            by_mini = b'"gpt-4o-mini"' in provider.requests[-1][2]
            score = "down" if by_mini else "up"
            await gateway.post("/feedback", {"call": call, "score": score})
            await gateway.wired.evidence.aside.settled()
            if gateway.wired.evidence.board.mode("candidate", "support") is Mode.SHADOW:
                break
        change = gateway.wired.evidence.store.trail()[0]
        assert (change.before, change.after) == ("canary-50", "shadow")
        assert len(provider.requests) == len(gateway.journal.entries)
        assert all("farthing-for" not in e.attribution.tags for e in gateway.journal.entries)

    through(scenario, **HEARD)


def test_a_question_asked_again_counts_against_its_first_answer_and_one_passed_for_it(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        session = FEATURE | {"x-farthing-session": "s"}
        turns = [{"role": "user", "content": "Hi"}]
        first = (await gateway.post(CHAT, {"model": "gpt-4o", "messages": turns}, session))[1]
        again = (await gateway.post(CHAT, {"model": "gpt-4o", "messages": turns}, session))[1]
        turns += [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "More"}]
        await gateway.post(CHAT, {"model": "gpt-4o", "messages": turns}, session)
        await gateway.wired.evidence.aside.settled()
        found = gateway.wired.evidence.store.comparisons("a/a", "support")
        # They are noted side by side, in either order.
        assert {one.evidence.call: one.evidence.score for one in found} == {
            first["x-farthing-call"]: 0.0,
            again["x-farthing-call"]: 1.0,
        }
        assert len(found) == 2

    through(scenario, **HEARD)


def test_the_reference_is_asked_at_half_price_where_that_is_configured_and_had(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        provider.answers_json({"error": {"message": "no flex here"}}, status=400)
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK, FEATURE)
        await gateway.wired.evidence.aside.settled()
        bodies = [json.loads(body) for _, _, body in provider.requests]
        assert [body.get("service_tier") for body in bodies] == [None, "flex", None]
        assert [body["model"] for body in bodies] == ["gpt-4o", MINI, MINI]
        assert len(gateway.wired.evidence.store.comparisons("candidate", "support")) == 1
        statuses = [entry.status for entry in gateway.journal.entries]
        assert statuses == [CallStatus.OK, CallStatus.ERROR, CallStatus.OK]

    through(
        scenario,
        evidence={"mode": "on", "share": 1.0, "candidate": MINI, "service_tier": "flex",
                  "repeat_share": 0.0},
    )  # fmt: skip


JUDGED = {
    "evidence": {
        "mode": "on", "share": 1.0, "candidate": MINI, "repeat_share": 0.0, "judge": "careful",
        "judges": {"careful": {"kind": "model", "model": "anthropic/claude-haiku-4-5-20251001"}},
    }
}  # fmt: skip


def word(text):
    return {
        "type": "message",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 300, "output_tokens": 1},
    }


def test_a_model_of_another_provider_judges_and_its_questions_are_on_the_account(through):
    async def scenario(gateway, provider):
        for document in (said("Within 30 days."), said("In 30 days."), word("A"), word("B")):
            provider.answers_json(document)
        await gateway.post(CHAT, ASK, FEATURE)
        await gateway.wired.evidence.aside.settled()
        (found,) = gateway.wired.evidence.store.comparisons("candidate", "support")
        assert (found.evidence.score, found.reason) == (1.0, "candidate in both orders")
        lines = [line for line, _, _ in provider.requests]
        assert [line.split()[1] for line in lines[2:]] == ["/v1/messages"] * 2
        levers = [e.moves[0].lever if e.moves else "" for e in gateway.journal.entries]
        assert levers == ["", "candidate", "evidence", "evidence"]
        spent = [e.cost for e in gateway.journal.entries[1:]]
        assert found.evidence.cost == sum(spent[1:], spent[0])

    through(scenario, **JUDGED)


def test_a_judge_of_the_candidates_family_asks_nothing_and_is_told_in_the_log(through, caplog):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK, FEATURE)
        await gateway.wired.evidence.aside.settled()
        assert len(provider.requests) == 1
        assert gateway.wired.evidence.aside.counts["failed"] == 1
        assert "of the family 'gpt'" in caplog.text

    own = {"careful": {"kind": "model", "model": "gpt-4.1"}}
    through(scenario, evidence=JUDGED["evidence"] | {"judges": own})
