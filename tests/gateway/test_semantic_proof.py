"""What the semantic layer proves in use: certificates, breaches, judges, and what it earns."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from fakes import CHAT_ANSWER, FakeProvider, Gateway
from semantic_doubles import settled
from test_exact_cache import CHAT
from test_semantic_cache import FIRST, LIKE, RARE, answer, ask, layer, rows, told

from farthing.errors import ConfigError
from farthing.levers.cache.semantic_tables import LabelRow, SemanticTables
from farthing.money import Money

DELTA = {"delta": 0.05, "fit_labels": 0, "wait_ms_max": 5000}
CLEAR = (0.99, 0.1, 1.0, 0.1, 0.0, 0.0, 0.7, 0.0)


def certified(gateway, count, *, wrong=False, serving=False, propensity=1.0, **more):
    """Record so many labels for the one course that there is, as a worker does."""
    reader = gateway.wired.caches.semantic.desk.carrier.reader
    (course,) = reader.courses.rows
    label = LabelRow(
        course=course.course,
        tenant=course.tenant,
        features=more.get("features", CLEAR),
        vetoes=more.get("vetoes", ()),
        is_wrong=wrong,
        propensity=propensity,
        is_serving=serving,
        judge="cheap",
        at_us=gateway.clock.now_us(),
        call_id="call_x",
    )

    def write(answers):
        for _ in range(count):
            SemanticTables(answers).add_label(label)

    gateway.wired.caches.answers.write(write)


def test_enough_right_answers_let_it_serve_and_wrong_ones_end_that(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        certified(gateway, 99)
        await settled(gateway)
        assert await told(gateway, "How may I return my order?") == "miss"
        certified(gateway, 20)
        await settled(gateway)
        assert await told(gateway, LIKE) == "hit-semantic"
        certified(gateway, 30, wrong=True, serving=True, propensity=RARE)
        await settled(gateway)
        assert await told(gateway, LIKE) == "miss"  # not even by its wording: back in shadow

    through(scenario, **layer("serve", **DELTA))


@pytest.mark.parametrize(("vetoes", "served"), [("learnt", "hit-semantic"), ("stand", "miss")])
def test_labels_may_outweigh_a_veto_only_where_that_is_asked_for(through, tmp_path, vetoes, served):
    far = (0.82, 0.0, 0.2, 0.0, 0.6, 2.0, 0.2, 0.0)
    held_apart = (0.97, 0.1, 1.0, 0.1, 0.0, 0.0, 0.7, 1.0)

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, "How do I return 2 orders?")
        await told(gateway, "How do I return 3 orders?")
        compared = rows(tmp_path, "SELECT vetoes, is_wrong FROM labels")
        assert compared == ([('["numbers"]', 0)] if vetoes == "learnt" else [])
        certified(gateway, 60, features=held_apart, vetoes=("numbers",))
        certified(gateway, 30, features=far, wrong=True)
        certified(gateway, 120)
        certified(gateway, 600, features=held_apart, vetoes=("numbers",))
        for _ in range(9):  # labels are taken in piece by piece
            await settled(gateway)
        assert await told(gateway, "How do I return 4 orders?") == served

    through(scenario, **layer("serve", **DELTA | {"vetoes": vetoes, "fit_labels": 100}))


def test_a_certificate_stands_after_a_restart_and_is_void_under_other_terms(tmp_path):
    async def scenario():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            async with Gateway(tmp_path, provider, **layer("serve", **DELTA)) as gateway:
                await settled(gateway)
                await told(gateway, FIRST)
                certified(gateway, 120)
                await settled(gateway)
            async with Gateway(tmp_path, provider, **layer("serve", **DELTA)) as gateway:
                await settled(gateway)
                await told(
                    gateway, "Where is my lamp now?"
                )  # the course is read once it is asked in
                await told(gateway, "Who made the lamp?")
                assert await told(gateway, LIKE) == "hit-semantic"
            other = layer("serve", **DELTA | {"delta": 0.04})
            async with Gateway(tmp_path, provider, **other) as gateway:
                await settled(gateway)
                await told(gateway, "Who made the lamp?", {"x-farthing-cache": "refresh"})
                await told(gateway, "Who sold the lamp?")
                assert await told(gateway, "How can I return the order?") == "miss"

    asyncio.run(scenario())


def test_a_share_of_what_it_would_serve_goes_to_the_provider_and_is_compared(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        certified(gateway, 120)
        await settled(gateway)
        assert await told(gateway, LIKE) == "miss"
        assert len(provider.requests) == 2
        assert rows(tmp_path, "SELECT result, verdict FROM asked WHERE cosine > 0.9") == [
            ("checked", "same")
        ]
        (label,) = rows(
            tmp_path, "SELECT propensity, is_serving FROM labels WHERE call_id <> 'call_x'"
        )
        assert label == (1.0, 1)

    through(scenario, **layer("serve", **DELTA | {"sampling": 1.0}))


def spoken(*words):
    """A judge that says these words, one after the other, and notes what it was asked."""
    said = iter(words)
    asked = []

    class Asker:
        async def question(self, inbound, model, text, *, lever, why):
            del inbound, why
            asked.append((model, lever, text))
            return SimpleNamespace(text=next(said), is_good=True, entry=SimpleNamespace(cost=CHEAP))

    return Asker(), asked


LONG = "Open the list of your orders and choose return, then print the label. "
CHEAP = Money.usd("0.0001")


@pytest.mark.parametrize(
    ("words", "verdict", "is_wrong"),
    [
        (("SAME", "Same."), "same", 0),
        (("SAME", "DIFFERENT"), "different", 1),
        (("DIFFERENT",), "different", 1),
        (("I can't say",), "", None),
    ],
)
def test_a_judging_model_is_believed_only_in_both_orders(
    through, tmp_path, words, verdict, is_wrong
):
    async def scenario(gateway, provider):
        asker, asked = spoken(*words)
        jobs = []
        aside = gateway.wired.caches.semantic.after._aside
        aside.offer = lambda job, **_: jobs.append(job) or True
        provider.answers_json(answer(LONG * 2))
        provider.answers_json(answer(LONG * 2 + "It is free."))
        await settled(gateway)
        await told(gateway, FIRST)
        await told(gateway, LIKE)
        (job,) = jobs
        await job(asker)
        await settled(gateway)
        assert asked[0][:2] == ("gpt-4o-mini", "semantic-cache")
        assert FIRST in asked[0][2]
        assert LIKE in asked[0][2]
        assert rows(tmp_path, "SELECT verdict FROM asked WHERE cosine > 0.9") == [(verdict,)]
        labels = rows(tmp_path, "SELECT is_wrong FROM labels")
        assert labels == ([] if is_wrong is None else [(is_wrong,)])
        wordings = rows(tmp_path, "SELECT source FROM wordings")
        assert wordings == ([("gpt-4o-mini",)] if verdict == "same" else [])

    through(scenario, evidence={"mode": "on"}, **layer("assisted", judge_model="gpt-4o-mini"))


def test_the_judge_asks_through_the_ledger_and_books_what_it_costs(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(answer(LONG * 2))
        provider.answers_json(answer(LONG * 2 + "It is free."))
        provider.answers_json(answer("SAME"))
        await settled(gateway)
        await told(gateway, FIRST)
        await told(gateway, LIKE)
        await settled(gateway)
        judged = [entry for entry in gateway.journal.entries if entry.attribution.tags]
        assert [entry.attribution.tags["farthing-lever"] for entry in judged] == [
            "semantic-cache"
        ] * 2
        for entry in judged:
            (move,) = entry.moves
            assert (move.lever, move.spent, move.saved) == (
                "semantic-cache",
                entry.cost,
                entry.baseline,
            )
        spent = rows(tmp_path, "SELECT amount FROM accounts WHERE name = 'judge_nd'")
        assert spent == [(sum(entry.cost.nanodollars for entry in judged),)]

    through(scenario, evidence={"mode": "on"}, **layer("assisted", judge_model="gpt-4o-mini"))


def test_a_judge_that_may_not_be_asked_is_told_before_anything_starts(tmp_path):
    async def start():
        Gateway(tmp_path, SimpleNamespace(port=1), **layer("shadow", judge_model="gpt-4o-mini"))

    with pytest.raises(ConfigError, match=r'Set evidence.mode = "on"'):
        asyncio.run(start())


def test_it_stops_where_wrong_answers_cost_more_than_it_saves_and_says_so(through, caplog):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        certified(gateway, 120)
        await settled(gateway)
        assert await told(gateway, LIKE) == "hit-semantic"
        for number in range(40):  # each hit saves $0.0035; one in twenty may cost a dollar
            text = f"How can I return {'the ' * number}order?"
            await gateway.post(CHAT, ask(text))
        await settled(gateway)
        gateway.clock.ahead_us += 61_000_000
        await settled(gateway)
        await settled(gateway)
        assert "the semantic cache stops for feature unattributed" in caplog.text
        assert "and only 5.000% is certified" in caplog.text
        before = len(provider.requests)
        assert await told(gateway, "How do we return one order?") == "miss"
        assert len(provider.requests) == before + 1

    through(scenario, **layer("serve", loss_usd="1", **DELTA))


def test_one_switch_stops_it_with_all_other_levers(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        gateway.wired.evidence.board.is_stopped = True
        assert await told(gateway, LIKE) == "miss"
        gateway.wired.evidence.board.is_stopped = False
        assert await told(gateway, "How can we return an order?") == "hit-semantic"

    through(scenario, **layer("serve", is_uncertified_allowed=True, wait_ms_max=5000))


def test_feedback_over_http_takes_an_answer_out(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told(gateway, LIKE) == "hit-semantic"
        hit = gateway.journal.entries[-1]
        status, _, body = await gateway.send(
            "POST", "/feedback", {"call": hit.call_id, "score": "down"}
        )
        assert (status, json.loads(body)["score"]) == (200, 0.0)
        await settled(gateway)
        assert await told(gateway, FIRST) == "miss"

    through(scenario, **layer("serve", is_uncertified_allowed=True, wait_ms_max=5000))
