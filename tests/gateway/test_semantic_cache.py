"""The semantic layer through the whole engine: what it looks at, serves, learns and forgets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from types import SimpleNamespace

import pytest
from fakes import CHAT_ANSWER, FakeProvider, Gateway
from semantic_doubles import settled
from test_exact_cache import CHAT, PRICE, contents, stream_of

from farthing.errors import ConfigError
from farthing.gateway.quarantine import Quarantine
from farthing.ledger import CallStatus
from farthing.money import Money

FIRST, LIKE, OTHER = "How do I return an order?", "How can I return an order?", "Where is my lamp?"
RARE = 1e-9  # a share that is never drawn


def ask(text, **more):
    system = {"role": "system", "content": more.pop("system", "Be kind.")}
    before = more.pop("before", [])
    messages = [system, *before, {"role": "user", "content": text}]
    return {"model": "gpt-4o", "temperature": 0, "messages": messages} | more


def answer(text, **more):
    choice = CHAT_ANSWER["choices"][0] | {"message": {"role": "assistant", "content": text}}
    return CHAT_ANSWER | {"choices": [choice]} | more


def layer(mode, **settings):
    semantic = {"mode": mode, "embedder": "semantic_doubles:embedder", "sampling": RARE}
    semantic["runs_in"] = (
        "thread"  # where tests can reach it; test_semantic_process.py has the other
    )
    return {"cache": {"mode": "on", "semantic": semantic | settings}}


SERVING = layer("serve", is_uncertified_allowed=True, wait_ms_max=5000)


async def told_whole(gateway, text, headers=None, **more):
    """What the response says of the cache, once all that the call set off is done."""
    _, found, _ = await gateway.post(CHAT, ask(text, **more), headers)
    await settled(gateway)
    return found.get("x-farthing-cache", "")


async def told(gateway, text, headers=None, **more):
    """The same without the reason."""
    return (await told_whole(gateway, text, headers, **more)).partition(";")[0]


def rows(tmp_path, what):
    with sqlite3.connect(tmp_path / "cache.sqlite") as db:
        found = db.execute(what).fetchall()
    db.close()
    return found


def test_a_like_question_is_served_and_its_wording_from_then_on_found_at_once(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        assert await told(gateway, FIRST) == "miss"
        assert await told(gateway, LIKE) == "hit-semantic"
        assert await told(gateway, LIKE) == "hit-alias"
        assert len(provider.requests) == 1
        paid, semantic, alias = await gateway.settled(3)
        for hit in (semantic, alias):
            assert (hit.status, hit.attempts, hit.cost) == (CallStatus.OK, (), Money(0))
            (move,) = hit.moves
            assert (move.lever, move.saved, move.spent) == ("semantic-cache", PRICE, Money(0))
            assert hit.baseline - move.saved + move.spent == hit.cost
            assert hit.detail.startswith(f"served from the answer to {paid.call_id}")

    through(scenario, **SERVING)


def test_its_thread_gives_way_to_the_event_loop_while_it_runs(through):
    before = sys.getswitchinterval()
    found = []

    async def scenario(gateway, provider):
        del provider
        await settled(gateway)
        found.append(sys.getswitchinterval())

    through(scenario, **SERVING)
    assert found == [pytest.approx(0.0001)]
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize("mode", ["off", "shadow", "assisted", "serve"])
def test_without_a_certificate_nothing_is_served_in_any_mode(through, mode):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        if gateway.wired.caches.semantic is not None:
            await settled(gateway)
            assert await told(gateway, FIRST) == "miss"
            assert await told(gateway, LIKE) == "miss"
        else:
            assert mode == "off"
            await gateway.post(CHAT, ask(FIRST))
            await gateway.post(CHAT, ask(LIKE))
        assert len(provider.requests) == 2

    through(scenario, **layer(mode))


def test_a_call_in_shadow_waits_for_no_look_up(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        semantic = gateway.wired.caches.semantic
        release = threading.Event()
        semantic.desk.carrier.later(lambda: release.wait(10))
        _, headers, _ = await gateway.post(CHAT, ask(LIKE))  # answered while the thread is busy
        assert headers["x-farthing-cache"] == "miss; semantic=shadow"
        assert not release.is_set()
        release.set()
        await settled(gateway)

    through(scenario, **layer("shadow"))


def test_a_look_up_that_takes_too_long_is_a_miss(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        release = threading.Event()
        gateway.wired.caches.semantic.desk.carrier.later(lambda: release.wait(10))
        _, headers, _ = await gateway.post(CHAT, ask(LIKE))
        assert headers["x-farthing-cache"] == "miss; semantic=too-slow"
        release.set()
        await settled(gateway)
        assert len(provider.requests) == 2

    through(scenario, **layer("serve", is_uncertified_allowed=True, wait_ms_max=1))


def test_an_embedder_that_raises_is_a_miss(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        gateway.wired.caches.semantic.desk.carrier.reader._embedder = SimpleNamespace(
            identity="broken"
        )
        assert await told(gateway, FIRST) == "miss"

    through(scenario, **SERVING)


@pytest.mark.parametrize(
    "second",
    [
        {"system": "Be rude."},
        {"before": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
        {"model": "gpt-4o-mini"},
        {"max_tokens": 7},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"a_member_of_next_year": 1},
        {"seed": 3},
    ],
    ids=lambda second: next(iter(second)),
)
def test_whatever_else_differs_a_like_question_never_gets_the_answer(through, second):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told(gateway, LIKE, **second) == "miss"
        assert await told(gateway, LIKE) == "hit-semantic"

    through(scenario, **SERVING)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        # zilliztech/GPTCache #694, vllm-project/semantic-router #2691
        ("How do I turn on dark mode?", "How do I turn off dark mode?"),
        # vllm-project/semantic-router #36, ankit373/hydra #945
        ("What does --max-cost do here?", "What does --max-heads do here?"),
        ("Can I return it within 14 days?", "Can I return it within 30 days?"),
        ("Is the export allowed?", "Is the export not allowed?"),
        ("How do I fly from Rome to Paris?", "How do I fly from Paris to Rome?"),
        ("Can I pay $50 for an order?", "Can I pay €50 for an order?"),
    ],
    ids=["opposite", "flags", "numbers", "negation", "direction", "currency"],
)
def test_near_misses_that_other_caches_served_are_misses(through, stored, asked):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, stored)
        assert await told(gateway, asked) == "miss"
        assert len(provider.requests) == 2

    through(scenario, **SERVING)


def test_two_tenants_never_share_an_answer(through, tmp_path):
    from farthing.gateway import VirtualKey

    async def scenario(gateway, provider):
        keys = [
            gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant))[0]
            for tenant in ("a", "b")
        ]
        gateway.ring.refresh()
        one, other = ({"authorization": f"Bearer {key}"} for key in keys)
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        assert await told(gateway, FIRST, one) == "miss"
        assert await told(gateway, LIKE, other) == "miss"
        assert await told(gateway, LIKE, one) == "hit-semantic"

    through(scenario, **SERVING)


@pytest.mark.parametrize("wish", ["off", "refresh", "exact", "nonsense"])
def test_a_caller_can_only_ask_for_less(through, wish):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        said = await told(gateway, LIKE, {"x-farthing-cache": wish})
        assert not said.startswith("hit")
        assert await told(gateway, "How can I return one order?", {"x-farthing-cache": "semantic"})
        assert len(provider.requests) == 3

    through(scenario, **SERVING)


def test_an_answer_that_is_too_old_for_the_caller_is_not_served(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        gateway.clock.ahead_us += 120_000_000
        assert await told(gateway, LIKE, {"cache-control": "max-age=60"}) == "miss"

    through(scenario, **SERVING)


@pytest.mark.parametrize(
    "document",
    [
        answer("Cut", choices=[CHAT_ANSWER["choices"][0] | {"finish_reason": "length"}]),
        answer("No", choices=[CHAT_ANSWER["choices"][0] | {"finish_reason": "content_filter"}]),
        {"error": {"message": "no", "type": "x"}},
    ],
    ids=["length", "filter", "an error as 200"],
)
def test_what_is_not_a_whole_answer_is_never_served(through, tmp_path, document):
    async def scenario(gateway, provider):
        provider.answers_json(document)
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told(gateway, LIKE) == "miss"
        assert rows(tmp_path, "SELECT * FROM questions") == []

    through(scenario, **SERVING)


def test_an_answer_that_calls_tools_is_never_served_to_other_words(through, tmp_path):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
    }

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER | {"choices": [choice]})
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told(gateway, LIKE) == "miss"
        assert rows(tmp_path, "SELECT * FROM questions") == []

    through(scenario, **SERVING)


def test_a_streamed_answer_is_served_whole_and_streamed_to_a_like_question(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Send", " it back."))
        await settled(gateway)
        await gateway.post(CHAT, ask(FIRST, stream=True))
        await settled(gateway)
        _, headers, body = await gateway.post(CHAT, ask(LIKE))
        assert headers["x-farthing-cache"] == "hit-semantic"
        assert json.loads(body)["choices"][0]["message"]["content"] == "Send it back."
        _, headers, body = await gateway.post(CHAT, ask(LIKE, stream=True))
        assert headers["x-farthing-cache"] == "hit-alias"
        assert contents(body) == "Send it back."

    through(scenario, **SERVING)


def test_a_feature_has_its_own_mode(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        for feature, expected in (("faq", "hit-semantic"), ("chat", "miss")):
            headers = {"x-farthing-feature": feature}
            await told(gateway, FIRST, headers)
            assert await told(gateway, LIKE, headers) == expected

    serving = {"mode": "serve", "is_uncertified_allowed": True}
    through(scenario, **layer("shadow", features={"faq": serving}, wait_ms_max=5000))


def test_variables_of_a_template_must_be_equal(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, "Order A-1: How do I return an order?")
        assert await told(gateway, "Order A-2: How can I return an order?") == "miss"
        assert await told(gateway, "Order A-1: How can I return an order?") == "hit-semantic"

    template = {"order": "Order {number:id}: {question:free_text}"}
    through(scenario, **layer(
        "serve", is_uncertified_allowed=True, wait_ms_max=5000, templates=template
    ))  # fmt: skip


def test_the_answers_of_a_pair_are_compared_and_an_approved_wording_outlives_its_own_answer(
    through, tmp_path
):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        assert await told(gateway, FIRST) == "miss"
        assert await told(gateway, LIKE) == "miss"
        assert rows(tmp_path, "SELECT verdict, judge FROM asked WHERE cosine > 0.9") == [
            ("same", "cheap")
        ]
        assert rows(tmp_path, "SELECT source FROM wordings") == [("cheap",)]
        assert await told(gateway, LIKE) == "hit-exact"  # its own answer is nearer than any other's
        gateway.clock.ahead_us += 20 * 3_600_000_000
        refreshed = {"x-farthing-cache": "refresh"}
        await told(gateway, FIRST, refreshed)
        gateway.clock.ahead_us += 20 * 3_600_000_000  # a day is over for the second answer alone
        assert await told(gateway, LIKE) == "hit-alias"

    through(scenario, **layer("assisted"))


def test_answers_that_differ_keep_a_pair_apart_for_good(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(answer("42"))
        provider.answers_json(answer("43"))
        await settled(gateway)
        await told(gateway, FIRST)
        await told(gateway, LIKE, {"x-farthing-cache": "off"})
        provider.answers_json(answer("43"))
        assert await told(gateway, LIKE) == "miss"
        assert rows(tmp_path, "SELECT verdict FROM asked WHERE cosine > 0.9") == [("different",)]
        assert rows(tmp_path, "SELECT COUNT(*) FROM apart") == [(1,)]
        assert rows(tmp_path, "SELECT is_wrong, judge FROM labels") == [(1, "cheap")]
        assert rows(tmp_path, "SELECT COUNT(*) FROM wordings") == [(0,)]

    through(scenario, **layer("assisted"))


def test_an_answer_that_nobody_could_compare_counts_as_wrong(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(answer("Go to your orders and choose return. " * 3))
        provider.answers_json(answer("Open the list of orders, then press the button. " * 3))
        await settled(gateway)
        await told(gateway, FIRST)
        await told(gateway, LIKE)
        assert rows(tmp_path, "SELECT is_wrong, judge FROM labels") == [(1, "nobody")]
        assert rows(tmp_path, "SELECT verdict FROM asked WHERE cosine > 0.9") == [
            ("nobody could tell",)
        ]
        assert rows(tmp_path, "SELECT COUNT(*) FROM apart") == [(0,)]

    through(scenario, **layer("assisted"))


def test_thumbs_down_takes_the_answer_and_its_wordings_out(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        await told(gateway, LIKE)
        assert await told(gateway, LIKE) == "hit-alias"
        hit = (await gateway.settled(3))[-1]
        down = Quarantine(gateway.wired.caches.answers, gateway.clock)
        await down(SimpleNamespace(tenant="", score=1.0, entry=hit))
        assert await told(gateway, LIKE) == "hit-alias"
        await down(SimpleNamespace(tenant="", score=0.0, entry=hit))
        await settled(gateway)
        assert rows(tmp_path, "SELECT COUNT(*) FROM wordings") == [(0,)]
        assert await told(gateway, LIKE) == "miss"
        assert await told(gateway, FIRST) == "hit-semantic"  # from the new answer to the other

    through(scenario, **SERVING)


def test_texts_and_vectors_stand_sealed_and_go_with_the_tenants_key(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, "How do I return a zebrawood table?")
        await told(gateway, "How can I return a zebrawood table?")
        await gateway.wired.caches.semantic.close()
        found = b"".join(path.read_bytes() for path in tmp_path.glob("cache.sqlite*"))
        assert b"zebrawood" not in found

    through(scenario, **layer("shadow"))


def test_a_restart_finds_what_was_stored_without_a_call(tmp_path):
    async def scenario():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            async with Gateway(tmp_path, provider, **SERVING) as gateway:
                await settled(gateway)
                await told(gateway, FIRST)
            async with Gateway(tmp_path, provider, **SERVING) as gateway:
                await settled(gateway)
                assert await told(gateway, LIKE) == "hit-semantic"
                assert len(provider.requests) == 1

    asyncio.run(scenario())


def test_a_calls_answer_at_one_worker_is_found_by_another_within_a_second(tmp_path):
    async def scenario():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            async with (
                Gateway(tmp_path, provider, **SERVING) as one,
                Gateway(tmp_path, provider, **SERVING) as other,
            ):
                await settled(one)
                await settled(other)
                await told(other, OTHER)  # it knows the space, and must hear of what is new in it
                await told(one, FIRST)
                await settled(other)
                assert await told(other, LIKE) == "hit-semantic"

    asyncio.run(scenario())


def test_what_it_needs_is_told_before_anything_starts(tmp_path):
    async def start(**cache):
        provider = SimpleNamespace(port=1)
        with pytest.raises(ConfigError) as told_:
            Gateway(tmp_path, provider, cache=cache)
        return str(told_.value)

    semantic = {"mode": "shadow"}
    off = asyncio.run(start(mode="off", semantic=semantic))
    assert "cache.mode" in off
    memory = asyncio.run(start(mode="on", store="memory", semantic=semantic))
    assert 'cache.store = "sqlite"' in memory
    nowhere = asyncio.run(start(mode="on", semantic=semantic | {"embedder": "no.such:thing"}))
    assert "cache.semantic.embedder is 'no.such:thing'" in nowhere
    loss = asyncio.run(
        start(
            mode="on",
            semantic=semantic | {"loss_usd": "much", "embedder": "semantic_doubles:embedder"},
        )
    )
    assert "loss_usd" in loss


def test_a_missing_extra_names_the_command(tmp_path, monkeypatch):
    import importlib.util

    from farthing.config import load_config
    from farthing.levers.cache.semantic_extra import check_semantic

    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else known(name)
    )
    config = load_config({"cache": {"mode": "on", "semantic": {"mode": "shadow"}}}, {})
    with pytest.raises(ConfigError, match=r"pip install 'farthing\[cache,semantic\]'"):
        check_semantic(config.cache)


def test_the_log_keeps_look_ups_for_as_long_as_is_set(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        gateway.clock.ahead_us += 2 * 86_400_000_000
        await told(gateway, "Where is the museum?")
        assert len(rows(tmp_path, "SELECT id FROM asked")) == 2
        gateway.clock.ahead_us += 86_400_000_000 + 1
        await told(gateway, "What is a museum?")
        gateway.wired.caches.answers.flush()
        assert len(rows(tmp_path, "SELECT id FROM asked")) == 2  # the first is gone

    through(scenario, **layer("shadow", log_days=3))
