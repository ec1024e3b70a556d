"""The exact cache through the whole engine: what is served again, what never is, what it books."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ASK = {
    "model": "gpt-4o",
    "temperature": 0,
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "How do I return an order?"},
    ],
}
ON = {"cache": {"mode": "on"}}
PRICE = Money.usd("0.0035")  # 1000 tokens in at $2.50, 100 out at $10 a million
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
DONE = b"data: [DONE]\n\n"


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps(HEAD | {"choices": [choice]} | more).encode() + b"\n\n"


def stream_of(*texts, finish="stop"):
    """A stream as it comes where usage was asked for."""
    ends = HEAD | {"choices": [], "usage": USAGE}
    return [
        chunk({"role": "assistant", "content": ""}, usage=None),
        *(chunk({"content": text}, usage=None) for text in texts),
        chunk({}, finish, usage=None),
        b"data: " + json.dumps(ends).encode() + b"\n\n",
        DONE,
    ]


def contents(body):
    """The text that a streamed answer amounts to."""
    events = [line[6:] for line in body.decode().split("\n") if line.startswith("data: {")]
    deltas = [c["delta"] for event in events for c in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_an_equal_call_is_served_again_without_reaching_a_provider(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER, headers=["x-request-id: req_1"])
        _, first, body = await gateway.post(CHAT, ASK)
        status, second, again = await gateway.post(CHAT, ASK)
        assert first["x-farthing-cache"] == "miss"
        assert second["x-farthing-cache"] == "hit-exact"
        assert status == 200
        assert len(provider.requests) == 1
        one, two = json.loads(body), json.loads(again)
        assert two["id"].startswith("chatcmpl-")
        assert two["id"] != one["id"]
        assert two["created"] > one["created"]
        assert {n: v for n, v in two.items() if n not in ("id", "created")} == {
            n: v for n, v in one.items() if n not in ("id", "created")
        }
        assert second["content-type"] == "application/json"
        assert "req_1" not in second.values()

    through(scenario, **ON)


def test_a_hit_has_no_attempts_and_books_what_it_saved_to_the_nanodollar(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK)
        _, headers, _ = await gateway.post(CHAT, ASK, {"x-farthing-feature": ""})
        paid, hit = await gateway.settled(2)
        assert (paid.cost, paid.baseline, paid.moves) == (PRICE, PRICE, ())
        assert (hit.status, hit.attempts, hit.cost) == (CallStatus.OK, (), Money(0))
        (move,) = hit.moves
        assert (move.lever, move.saved, move.spent) == ("exact-cache", PRICE, Money(0))
        assert hit.baseline - move.saved + move.spent == hit.cost
        assert hit.detail == f"served from the answer to {paid.call_id}, 0 s old"
        assert headers["x-farthing-cost"] == "0.00"
        assert headers["x-farthing-baseline"] == headers["x-farthing-saved"] == "0.0035"
        assert headers["x-farthing-model"] == "openai/gpt-4o"

    through(scenario, **ON)


def test_nothing_is_stored_or_told_unless_the_cache_is_switched_on(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(2):
            _, headers, _ = await gateway.post(CHAT, ASK)
            assert "x-farthing-cache" not in headers
        assert len(provider.requests) == 2
        assert not (tmp_path / "cache.sqlite").exists()

    through(scenario)


def test_shadow_counts_what_it_would_have_served_and_serves_nothing(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK)
        _, headers, _ = await gateway.post(CHAT, ASK)
        assert headers["x-farthing-cache"] == "miss; shadow would have hit"
        assert len(provider.requests) == 2
        assert all(not entry.moves for entry in gateway.journal.entries)

    through(scenario, cache={"mode": "shadow"})


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(dict(reversed(ASK.items()))).encode(),
        json.dumps(ASK, indent=3).encode(),
        json.dumps(ASK).replace("return", "r\\u0065turn").encode(),
        json.dumps(ASK | {"temperature": 0.0}).encode(),
        json.dumps(ASK | {"n": 1, "seed": None, "user": "u2", "metadata": {"a": "b"}}).encode(),
    ],
    ids=["key order", "whitespace", "escapes", "number form", "what changes no answer"],
)
def test_equal_encodings_of_a_call_hit(through, body):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK)
        _, headers, _ = await gateway.post(CHAT, body)
        assert headers["x-farthing-cache"] == "hit-exact"

    through(scenario, **ON)


def test_the_last_text_may_differ_in_what_does_not_matter_and_the_answer_says_so(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK)
        other = ASK | {
            "messages": [
                ASK["messages"][0],
                {"role": "user", "content": " how do I return  an order"},
            ]
        }
        _, headers, _ = await gateway.post(CHAT, other)
        assert headers["x-farthing-cache"] == "hit-exact; plain wording"
        _, headers, _ = await gateway.post(CHAT, other, {"x-farthing-cache": "exact"})
        assert headers["x-farthing-cache"] == "miss"

    through(scenario, **ON)


def test_a_stream_is_served_again_byte_for_byte_but_for_its_id_and_time(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Hel", "lo"))
        asked = ASK | {"stream": True, "stream_options": {"include_usage": True}}
        _, _, live = await gateway.post(CHAT, asked)
        _, headers, again = await gateway.post(CHAT, asked)
        assert headers["x-farthing-cache"] == "hit-exact"
        assert headers["content-type"].startswith("text/event-stream")
        new = json.loads(again.split(b"\n")[0][6:])
        restored = again.replace(new["id"].encode(), b"chatcmpl-1")
        assert restored.replace(b'"created": %d' % new["created"], b'"created": 1') == live
        assert headers["x-farthing-saved"] == "0.0035"

    through(scenario, **ON)


def test_a_client_that_did_not_ask_for_usage_gets_none_from_the_cache_either(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Hi"))
        _, _, live = await gateway.post(CHAT, ASK | {"stream": True})
        _, headers, again = await gateway.post(CHAT, ASK | {"stream": True})
        assert headers["x-farthing-cache"] == "hit-exact"
        assert b"usage" not in live
        assert b"usage" not in again
        assert json.loads(provider.requests[0][2])["stream_options"] == {"include_usage": True}
        assert contents(again) == contents(live) == "Hi"
        assert again.endswith(DONE)

    through(scenario, **ON)


def test_stream_and_whole_answer_share_one_entry_both_ways(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Hel", "lo!"))
        await gateway.post(CHAT, ASK | {"stream": True})
        _, headers, body = await gateway.post(CHAT, ASK)
        whole = json.loads(body)
        assert headers["x-farthing-cache"] == "hit-exact"
        assert whole["object"] == "chat.completion"
        assert whole["choices"][0]["message"]["content"] == "Hello!"
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert whole["usage"] == USAGE
        other = ASK | {"seed": 2}
        provider.scripts.clear()
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, other)
        _, headers, body = await gateway.post(CHAT, other | {"stream": True})
        assert headers["x-farthing-cache"] == "hit-exact"
        assert contents(body) == "Hello!"
        assert body.endswith(DONE)
        assert len(provider.requests) == 2

    through(scenario, **ON)


def test_a_stream_that_is_too_large_to_keep_passes_and_is_not_kept(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("x" * 3000))
        for _ in range(2):
            _, headers, body = await gateway.post(CHAT, ASK | {"stream": True})
            assert headers["x-farthing-cache"] == "miss"
            assert contents(body) == "x" * 3000

    through(scenario, cache={"mode": "on", "entry_bytes_max": 2000})


def test_a_hit_tells_its_own_call_and_cost_at_the_end_of_a_stream(through):
    async def scenario(gateway, provider):
        provider.answers_events(*stream_of("Hi"))
        tell = {"x-farthing-feature": "f"}
        _, first, _ = await gateway.post(CHAT, ASK | {"stream": True}, tell)
        _, second, body = await gateway.post(CHAT, ASK | {"stream": True}, tell)
        own = f": farthing call={second['x-farthing-call']} cost_usd=0.00\n\n".encode()
        assert body.endswith(DONE + own)
        assert first["x-farthing-call"].encode() not in body

    through(scenario, **ON)


def answered(**message):
    choice = CHAT_ANSWER["choices"][0]
    return CHAT_ANSWER | {
        "choices": [choice | {"message": choice["message"] | message.pop("message", {})} | message]
    }


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (answered(finish_reason="length"), 200),
        (answered(finish_reason="content_filter"), 200),
        (answered(message={"content": None, "refusal": "I can't."}), 200),
        (answered(message={"content": ""}), 200),
        (answered(content_filter_results={"hate": {"filtered": True}}), 200),
        (CHAT_ANSWER | {"choices": []}, 200),
        ({"error": {"message": "broken", "type": "server_error"}}, 200),
        (b"not JSON", 200),
        ({"error": {"message": "slow down"}}, 429),
        ({"error": {"message": "bad"}}, 400),
        (CHAT_ANSWER, 201),
    ],
    ids=[
        "truncated", "filtered", "refused", "empty", "flagged", "no choice",
        "error as 200", "unreadable", "429", "400", "201",
    ],
)  # fmt: skip
def test_only_whole_answers_are_stored(through, document, status):
    async def scenario(gateway, provider):
        provider.answers_json(document, status)
        for _ in range(2):
            _, headers, _ = await gateway.post(CHAT, ASK)
            assert headers["x-farthing-cache"] == "miss"
        assert len(provider.requests) == 2

    through(scenario, retry={"retries_max": 0}, **ON)


@pytest.mark.parametrize(
    ("events", "then"),
    [
        (stream_of("Hi", finish="length"), ()),
        (stream_of("Hi")[:-1], ()),
        (stream_of("Hi")[:3], (b"garbage",)),
        ([*stream_of("Hi")[:2], b'data: {"error": {"message": "overloaded"}}\n\n'], ()),
    ],
    ids=["truncated", "no last event", "cut", "error event"],
)
def test_only_whole_streams_are_stored(through, events, then):
    async def scenario(gateway, provider):
        provider.answers_events(*events, then=(*then, provider.CLOSE) if then else ())
        for _ in range(2):
            _, headers, _ = await gateway.post(CHAT, ASK | {"stream": True})
            assert headers["x-farthing-cache"] == "miss"
        assert len(provider.requests) == 2

    through(scenario, retry={"retries_max": 0}, **ON)


def test_a_stream_whose_client_goes_away_is_not_stored(through):
    async def scenario(gateway, provider):
        first, *rest = stream_of("Hi")
        gate = asyncio.Event()
        provider.answers_events(first, then=(gate,))
        from fakes import request

        reader, writer = await gateway.connect()
        writer.write(request(CHAT, ASK | {"stream": True}))
        await reader.readuntil(b"data: ")
        writer.close()
        await gateway.settled()
        provider.scripts.clear()
        provider.answers_events(first, *rest)
        _, headers, _ = await gateway.post(CHAT, ASK | {"stream": True})
        assert headers["x-farthing-cache"] == "miss"

    through(scenario, **ON)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"temperature": 0.7}, "sampled at temperature 0.7"),
        ({"temperature": None}, "sampled at temperature 1"),
        ({"n": 2}, "several choices are asked for"),
        ({"store": True}, "the provider is to store it"),
        (
            {"messages": [{"role": "user", "content": "What is the weather today?"}]},
            "the question is about now",
        ),
    ],
)
def test_what_must_differ_each_time_bypasses_the_cache_with_its_reason(through, more, reason):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        for _ in range(2):
            _, headers, _ = await gateway.post(CHAT, ASK | more)
            assert headers["x-farthing-cache"] == f"bypass; {reason}"
        assert len(provider.requests) == 2

    through(scenario, **ON)


def test_a_feature_has_rules_of_its_own(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        warm = ASK | {"temperature": 1}
        for expected in ("miss", "hit-exact"):
            _, headers, _ = await gateway.post(CHAT, warm, {"x-farthing-feature": "faq"})
            assert headers["x-farthing-cache"] == expected
        _, headers, _ = await gateway.post(CHAT, ASK, {"x-farthing-feature": "plain"})
        assert headers["x-farthing-cache"] == "bypass; off for this feature"

    through(scenario, cache={"features": {"faq": {"mode": "on", "temperature_max": 1}}})


@pytest.mark.parametrize(
    ("headers", "served", "kept"),
    [
        ({"x-farthing-cache": "off"}, "bypass; the caller said off", False),
        ({"x-farthing-cache": "refresh"}, "bypass; the caller said refresh", True),
        ({"x-farthing-cache": "nope"}, "bypass; x-farthing-cache: 'nope' is not known", False),
        ({"cache-control": "no-cache"}, "bypass; the caller said no-cache", True),
        ({"cache-control": "no-store"}, "miss", False),
    ],
)
def test_a_caller_asks_for_less(through, headers, served, kept):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, told, _ = await gateway.post(CHAT, ASK, headers)
        assert told["x-farthing-cache"] == served
        _, told, _ = await gateway.post(CHAT, ASK)
        assert told["x-farthing-cache"] == ("hit-exact" if kept else "miss")

    through(scenario, **ON)


def test_a_caller_may_ask_for_young_answers_and_for_stored_ones_only(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        only = {"cache-control": "only-if-cached"}
        status, _, body = await gateway.post(CHAT, ASK, only)
        assert (status, json.loads(body)["error"]["code"]) == (504, "not_cached")
        assert provider.requests == []
        await gateway.post(CHAT, ASK)
        gateway.clock.ahead_us += 60_000_000
        status, told, _ = await gateway.post(CHAT, ASK, only)
        assert (status, told["age"]) == (200, "60")
        _, told, _ = await gateway.post(CHAT, ASK, {"cache-control": "max-age=59"})
        assert told["x-farthing-cache"] == "miss"

    through(scenario, **ON)


def test_an_answer_expires(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK)
        gateway.clock.ahead_us += 101_000_000
        _, told, _ = await gateway.post(CHAT, ASK)
        assert told["x-farthing-cache"] == "miss"

    through(scenario, cache={"mode": "on", "ttl_s": 100})


def test_two_tenants_never_share_an_answer(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        keys = [
            gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant))[0]
            for tenant in ("acme", "globex", "acme")
        ]
        told = []
        for key in keys:
            _, headers, _ = await gateway.post(CHAT, ASK, {"authorization": f"Bearer {key}"})
            told.append(headers["x-farthing-cache"])
        assert told == ["miss", "miss", "hit-exact"]

    through(scenario, **ON)


def test_without_keys_of_ours_another_credential_is_another_tenant(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        told = []
        for key in ("one", "two", "one"):
            _, headers, _ = await gateway.post(CHAT, ASK, {"authorization": f"Bearer {key}"})
            told.append(headers["x-farthing-cache"])
        assert told == ["miss", "miss", "hit-exact"]

    through(scenario, **ON)


def test_where_users_do_not_share_each_has_answers_of_their_own(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        told = []
        for user in ("u1", "u2", "u1", ""):
            _, headers, _ = await gateway.post(CHAT, ASK, {"x-farthing-user": user})
            told.append(headers["x-farthing-cache"])
        assert told == ["miss", "miss", "hit-exact", "bypass; no user is named"]

    through(scenario, cache={"mode": "on", "share": "user"})


def test_embeddings_are_served_again(through):
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }

    async def scenario(gateway, provider):
        provider.answers_json(answer)
        asked = {"model": "text-embedding-3-small", "input": "return an order"}
        await gateway.post("/v1/embeddings", asked)
        _, headers, body = await gateway.post("/v1/embeddings", asked)
        assert headers["x-farthing-cache"] == "hit-exact"
        assert json.loads(body) == answer
        assert headers["x-farthing-saved"] == "0.0000001"

    through(scenario, **ON)


def test_an_answer_outlives_its_process_on_disk_and_is_unreadable_there(tmp_path):
    from fakes import FakeProvider, Gateway

    async def whole():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            async with Gateway(tmp_path, provider, **ON) as gateway:
                await gateway.post(CHAT, ASK)
            async with Gateway(tmp_path, provider, **ON) as gateway:
                _, headers, body = await gateway.post(CHAT, ASK)
                assert headers["x-farthing-cache"] == "hit-exact"
                assert json.loads(body)["choices"] == CHAT_ANSWER["choices"]

    asyncio.run(whole())
    for path in tmp_path.glob("cache.sqlite*"):
        assert b"Hello!" not in path.read_bytes()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "bypass; sampled at temperature 1"),
        ({"temperature": None}, "bypass; sampled at temperature 1"),
        ({"temperature": 0.7}, "bypass; sampled at temperature 0.7"),
        ({"temperature": 0.3}, "miss"),
        ({"temperature": 0, "extra": {"temperature": 2}}, "miss"),
        ({"temperature": 0, "user": '"temperature": 2'}, "miss"),
    ],
    ids=["none", "null", "high", "low", "another member's", "within a text"],
)
def test_a_sampled_call_is_told_by_its_own_temperature(through, members, expected):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        asked = {n: v for n, v in ASK.items() if n != "temperature"} | members
        _, headers, _ = await gateway.post(CHAT, asked)
        assert headers["x-farthing-cache"] == expected

    through(scenario, **ON)


async def says_bad(gateway, call):
    status, _, body = await gateway.post("/feedback", {"call": call, "score": "down"})
    return status, json.loads(body)


def test_a_thumbs_down_holds_though_more_waits_to_be_written_than_is_kept(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, paid, _ = await gateway.post(CHAT, ASK)
        answers, disk_is_slow = gateway.wired.caches.answers, threading.Event()
        answers.flush()
        answers.write(lambda _: disk_is_slow.wait(30))
        for _ in range(3_000):
            answers.write(lambda _: None)

        async def soon(_):
            asyncio.get_running_loop().call_soon(disk_is_slow.set)

        gateway.wired.feedback.acts.insert(0, soon)
        status, _ = await says_bad(gateway, paid["x-farthing-call"])
        assert status == 200
        answers.flush()
        _, headers, _ = await gateway.post(CHAT, ASK)
        assert headers["x-farthing-cache"] == "miss"

    through(scenario, **ON)


def set_version(path, version):
    with contextlib.closing(sqlite3.connect(path)) as other:
        (before,) = other.execute("PRAGMA user_version").fetchone()
        other.execute(f"PRAGMA user_version = {version:d}")
    return before


def test_a_thumbs_down_that_cannot_be_written_is_refused_and_may_be_sent_again(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        _, paid, _ = await gateway.post(CHAT, ASK)
        gateway.wired.caches.answers.flush()
        ours = set_version(tmp_path / "cache.sqlite", 99)
        status, body = await says_bad(gateway, paid["x-farthing-call"])
        assert (status, body["error"]["code"]) == (503, "not_taken_out")
        assert "may be served again" in body["error"]["message"]
        assert "Nothing was kept of the feedback" in body["error"]["message"]
        assert gateway.wired.evidence.store.feedback() == []
        set_version(tmp_path / "cache.sqlite", ours)
        status, _ = await says_bad(gateway, paid["x-farthing-call"])
        assert status == 200
        assert len(gateway.wired.evidence.store.feedback()) == 1
        _, headers, _ = await gateway.post(CHAT, ASK)
        assert headers["x-farthing-cache"] == "miss"

    through(scenario, **ON)
