"""Whole calls through the engine, between a real client socket and a scripted provider."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from fakes import CHAT_ANSWER, FakeProvider, request
from packing import zstd

from farthing.call import AttemptStatus, Pricing
from farthing.gateway import VirtualKey
from farthing.ledger import CallStatus
from farthing.money import Money

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
RETRIED = {"retry": {"retries_max": 2, "backoff_s": 0.0}}


def event(document):
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def delta(text, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "model": "gpt-4o",
            "choices": [choice],
            **more,
        }
    )


USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("model", ["gpt\n4o\x1b[31m", "g" * 70_000], ids=["two lines", "long"])
def test_an_odd_model_name_does_not_cost_the_caller_its_answer(through, model):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        status, headers, body = await gateway.post(CHAT, {**ASK, "model": model})
        assert (status, json.loads(body)) == (200, CHAT_ANSWER)
        assert headers["x-farthing-model"].startswith("openai/g")
        assert len(headers["x-farthing-model"]) <= 256

    through(scenario)


def test_an_answer_passes_byte_for_byte_and_is_priced_to_the_nanodollar(through):
    body = json.dumps(CHAT_ANSWER, indent=3).encode()

    async def scenario(gateway, provider):
        provider.answers_json(body, headers=["x-request-id: req_1", "openai-processing-ms: 12"])
        status, headers, got = await gateway.post(CHAT, ASK, {"x-farthing-feature": "support"})
        assert (status, got) == (200, body)
        assert headers["x-request-id"] == "req_1"
        assert headers["openai-processing-ms"] == "12"
        (entry,) = gateway.journal.entries
        assert entry.call_id == headers["x-farthing-call"]
        # gpt-4o-2024-08-06: $2.50 in and $10 out per million tokens.
        assert entry.cost == Money.usd("0.0035")
        assert headers["x-farthing-cost"] == "0.0035"
        assert headers["x-farthing-model"] == "openai/gpt-4o"
        assert entry.attribution.feature == "support"
        assert entry.attempts[0].request_id == "req_1"
        assert entry.attempts[0].card_id in gateway.journal.cards

    through(scenario)


def test_the_provider_gets_the_clients_bytes_and_our_key(through):
    body = b'{ "model":"gpt-4o", "messages":[],  "temperature":1.0, "x_unknown":{"a":1e5} }'

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT + "?beta=1", body, {"authorization": "Bearer client", "x-a": "b"})
        line, headers, sent = provider.requests[0]
        assert line == "POST /v1/chat/completions?beta=1 HTTP/1.1"
        assert sent == body
        assert headers["authorization"] == "bearer sk-upstream"
        assert headers["x-a"] == "b"

    through(scenario)


def test_an_intent_is_journaled_before_the_call_is_sent(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK | {"max_tokens": 50})
        (intent,) = gateway.journal.intents
        assert intent.status is CallStatus.INTERRUPTED
        assert intent.attempts[0].usage.output == 50
        assert intent.attempts[0].usage.is_estimated
        assert intent.cost > Money(0)
        assert intent.call_id == gateway.journal.entries[0].call_id

    through(scenario)


def test_usage_is_asked_for_in_streams_and_hidden_from_clients_that_did_not_ask(through):
    shown = [delta("Hel"), delta("lo"), DONE]
    sent = [
        delta("Hel", usage=None),
        delta("lo", usage=None),
        event({"id": "c", "model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE}),
        DONE,
    ]

    async def scenario(gateway, provider):
        provider.answers_events(*sent)
        _, _, got = await gateway.post(CHAT, ASK | {"stream": True})
        asked = json.loads(provider.requests[0][2])
        assert asked["stream_options"] == {"include_usage": True}
        assert got.replace(b" ", b"") == b"".join(shown).replace(b" ", b"")
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.OK
        assert entry.cost == Money.usd("0.0035")

    through(scenario)


def test_a_stream_tells_its_cost_at_the_end_to_clients_that_know_farthing(through):
    async def scenario(gateway, provider):
        ends = event({"id": "c", "model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE})
        provider.answers_events(delta("Hi"), ends, DONE)
        asked = ASK | {"stream": True, "stream_options": {"include_usage": True}}
        _, _, plain = await gateway.post(CHAT, asked)
        assert plain == delta("Hi") + ends + DONE
        _, headers, told = await gateway.post(CHAT, asked, {"x-farthing-feature": "f"})
        call = headers["x-farthing-call"].encode()
        assert told == plain + b": farthing call=" + call + b" cost_usd=0.0035\n\n"

    through(scenario)


def test_a_busy_provider_is_tried_again_after_the_time_it_asks_for(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {}}, 429, ["retry-after-ms: 1"])
        provider.answers_json(CHAT_ANSWER)
        status, _, _ = await gateway.post(CHAT, ASK)
        assert status == 200
        (entry,) = gateway.journal.entries
        assert [a.status for a in entry.attempts] == [AttemptStatus.ERROR, AttemptStatus.OK]
        assert [a.number for a in entry.attempts] == [1, 2]
        assert entry.attempts[0].cost == Money(0)
        assert entry.cost == Money.usd("0.0035")

    through(scenario, **RETRIED)


def test_a_wait_too_long_for_us_is_left_to_the_client(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"message": "slow down"}}, 429, ["retry-after: 60"])
        status, headers, body = await gateway.post(CHAT, ASK)
        assert (status, json.loads(body)) == (429, {"error": {"message": "slow down"}})
        assert headers["retry-after"] == "60"
        assert "x-should-retry" not in headers
        assert len(provider.requests) == 1

    through(scenario, **RETRIED)


def test_given_up_retries_tell_the_sdk_not_to_add_its_own(through):
    async def scenario(gateway, provider):
        provider.answers_json(b'{"error":{"message":"oops"}}', 500)
        status, headers, body = await gateway.post(CHAT, ASK)
        assert (status, body) == (500, b'{"error":{"message":"oops"}}')
        assert headers["x-should-retry"] == "false"
        assert len(provider.requests) == 3

    through(scenario, **RETRIED)


@pytest.mark.parametrize("told", ["retry-after: 1", "x-should-retry: true"])
def test_given_up_retries_are_not_multiplied_by_what_the_provider_told_us(through, told):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {}}, 529, [told, "retry-after-ms: 1"])
        status, headers, _ = await gateway.post(CHAT, ASK)
        assert (status, headers["x-should-retry"]) == (529, "false")
        assert len(provider.requests) == 3

    through(scenario, **RETRIED)


def test_a_quota_that_is_used_up_is_not_asked_again_but_the_next_target_is(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {"code": "insufficient_quota"}}, 429)
        provider.answers_json(CHAT_ANSWER)
        status, _, _ = await gateway.post(CHAT, ASK | {"model": "fast"})
        assert status == 200
        sent = [json.loads(body)["model"] for _, _, body in provider.requests]
        assert sent == ["gpt-4.1", "gpt-4o"]

    through(scenario, models={"fast": {"targets": ["openai/gpt-4.1", "openai/gpt-4o"]}}, **RETRIED)


def test_a_client_that_stops_at_the_last_event_has_had_its_answer(through):
    async def scenario(gateway, provider):
        ends = event({"id": "c", "model": "gpt-4o-2024-08-06", "choices": [], "usage": USAGE})
        provider.answers_events(delta("Hi"), ends, DONE, then=(asyncio.Event(),))
        reader, writer = await gateway.connect()
        writer.write(request(CHAT, ASK | {"stream": True}))
        await asyncio.wait_for(reader.readuntil(b"[DONE]"), 10)
        writer.transport.abort()
        await asyncio.wait_for(provider.gone.wait(), 10)
        (entry,) = await gateway.settled()
        assert (entry.status, entry.detail) == (CallStatus.OK, "")
        assert entry.attempts[0].status is AttemptStatus.OK
        assert entry.cost == Money.usd("0.0035")

    through(scenario)


@pytest.mark.parametrize("name", ["model", "max_tokens", "stream"])
def test_a_member_that_decides_money_and_stands_twice_reaches_nobody(through, name):
    async def scenario(gateway, provider):
        first = json.dumps(ASK | {"max_tokens": 5, "stream": False}).encode()
        again = {"model": "gpt-4.1", "max_tokens": 9000, "stream": True}[name]
        twice = first[:-1] + f', "{name}": {json.dumps(again)}}}'.encode()
        status, _, body = await gateway.post(CHAT, twice)
        assert (status, json.loads(body)["error"]["param"]) == (400, name)
        assert provider.requests == []

    through(scenario)


def test_the_clients_own_mistakes_go_back_untouched_and_are_not_repeated(through):
    async def scenario(gateway, provider):
        provider.answers_json(b'{"error":{"code":"bad"}}', 400)
        for _ in range(7):
            status, headers, body = await gateway.post(CHAT, ASK)
            assert (status, body) == (400, b'{"error":{"code":"bad"}}')
            assert "x-should-retry" not in headers
        assert len(provider.requests) == 7  # the breaker never opened
        assert {e.status for e in gateway.journal.entries} == {CallStatus.ERROR}
        assert {e.cost for e in gateway.journal.entries} == {Money(0)}

    through(scenario, **RETRIED)


def test_the_next_target_serves_when_the_first_one_fails(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {}}, 503)
        provider.answers_json(CHAT_ANSWER)
        status, headers, _ = await gateway.post(CHAT, ASK | {"model": "fast"})
        assert status == 200
        assert headers["x-farthing-model"] == "openai/gpt-4o"
        sent = [json.loads(body)["model"] for _, _, body in provider.requests]
        assert sent == ["gpt-4.1", "gpt-4o"]
        assert [a.model for a in gateway.journal.entries[0].attempts] == sent

    through(
        scenario,
        retry={"retries_max": 0},
        models={"fast": {"targets": ["openai/gpt-4.1", "openai/gpt-4o"]}},
    )


def test_a_provider_that_cannot_be_reached_costs_nothing(through):
    async def scenario(gateway, provider):
        status, headers, body = await gateway.post(CHAT, ASK | {"model": "nowhere/gpt-4o"})
        assert status == 502
        assert json.loads(body)["error"]["code"] == "connect_failed"
        assert headers["x-should-retry"] == "false"
        (entry,) = gateway.journal.entries
        assert {a.status for a in entry.attempts} == {AttemptStatus.UNREACHABLE}
        assert entry.cost == Money(0)
        assert len(entry.attempts) == 3

    through(scenario, providers={"nowhere": {"base_url": "http://127.0.0.1:1/v1"}}, **RETRIED)


def test_a_provider_that_never_answers_is_given_up_and_its_input_booked(through):
    async def scenario(gateway, provider):
        provider.answers(asyncio.Event())
        status, _, body = await gateway.post(CHAT, ASK)
        assert status == 504
        assert json.loads(body)["error"]["code"] == "first_byte_timeout"
        (entry,) = gateway.journal.entries
        (attempt,) = entry.attempts  # it may have run: not sent twice
        assert attempt.status is AttemptStatus.TIMEOUT
        assert attempt.usage.is_estimated
        assert attempt.usage.output == 0
        assert attempt.cost > Money(0)

    through(scenario, timeouts={"first_byte_s": 0.05}, **RETRIED)


def test_a_client_that_leaves_before_the_answer_cancels_the_provider_and_is_settled_once(through):
    async def scenario(gateway, provider):
        provider.answers(asyncio.Event())
        _, writer = await gateway.connect()
        writer.write(request(CHAT, ASK))
        while not provider.requests:
            await asyncio.sleep(0)
        writer.transport.abort()
        await asyncio.wait_for(provider.gone.wait(), 10)
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.CANCELLED
        assert entry.attempts[0].status is AttemptStatus.CANCELLED
        assert gateway.wired.desk.running == 0

    through(scenario)


def test_a_client_that_leaves_mid_stream_cancels_the_provider_and_pays_for_what_flowed(through):
    async def scenario(gateway, provider):
        provider.answers_events(delta("word " * 40), then=(asyncio.Event(),))
        reader, writer = await gateway.connect()
        writer.write(request(CHAT, ASK | {"stream": True}))
        await asyncio.wait_for(reader.readuntil(b"word"), 10)
        writer.transport.abort()
        await asyncio.wait_for(provider.gone.wait(), 10)
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.CANCELLED
        (attempt,) = entry.attempts
        assert attempt.usage.is_estimated
        assert 20 <= attempt.usage.output <= 100
        assert attempt.usage.input > 0
        assert attempt.cost > Money(0)

    through(scenario)


@pytest.mark.parametrize(
    "then", [(FakeProvider.CLOSE,), (b"0\r\n\r\n",)], ids=["cut", "silent end"]
)
def test_a_stream_that_breaks_off_ends_in_an_error_event_and_never_as_if_complete(through, then):
    async def scenario(gateway, provider):
        provider.answers_events(delta("Hel"), then=then)
        status, _, got = await gateway.post(CHAT, ASK | {"stream": True})
        assert status == 200
        assert b"[DONE]" not in got
        last = json.loads(got.strip().rsplit(b"data: ", 1)[1])
        assert last["error"]["code"] == "upstream_cut"
        (entry,) = await gateway.settled()
        assert entry.status is CallStatus.ERROR
        assert entry.attempts[0].status is AttemptStatus.CUT
        assert entry.attempts[0].usage.is_estimated

    through(scenario)


def test_a_stream_with_an_event_that_cannot_be_read_still_tells_that_it_broke_off(through):
    async def scenario(gateway, provider):
        cut = (FakeProvider.CLOSE,)
        provider.answers_events(delta("Hel"), b"data: {oops\n\n", then=cut)
        _, _, got = await gateway.post(CHAT, ASK | {"stream": True})
        last = json.loads(got.strip().rsplit(b"data: ", 1)[1])
        assert last["error"]["code"] == "upstream_cut"
        (entry,) = await gateway.settled()
        assert entry.attempts[0].status is AttemptStatus.CUT

    through(scenario)


@pytest.mark.parametrize("ends", [b"", DONE], ids=["then the end", "then [DONE]"])
def test_an_error_event_makes_the_call_one_that_failed(through, ends):
    told = event({"error": {"message": "No room.", "code": 502}})

    async def scenario(gateway, provider):
        provider.answers_events(delta("Hel"), told, ends)
        _, _, got = await gateway.post(CHAT, ASK | {"stream": True})
        assert got.endswith(told + ends)
        (entry,) = await gateway.settled()
        assert (entry.status, entry.detail) == (CallStatus.ERROR, "No room.")
        assert entry.attempts[0].status is AttemptStatus.ERROR

    through(scenario)


ERROR = {"message": "No room.", "type": "server_error"}


@pytest.mark.parametrize(
    ("path", "ask", "answer"),
    [
        (CHAT, ASK, {"error": ERROR, "choices": []}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}, {"error": ERROR}),
        (
            "/v1/messages",
            ASK | {"model": "claude-sonnet-4-5", "max_tokens": 9},
            {"type": "error", "error": ERROR},
        ),
    ],
    ids=["chat", "embeddings", "messages"],
)
def test_an_error_under_status_200_passes_and_is_booked_as_one_and_not_kept(
    through, path, ask, answer
):
    async def scenario(gateway, provider):
        provider.answers_json(answer)
        for _ in range(2):
            status, _, got = await gateway.post(path, ask)
            assert (status, json.loads(got)) == (200, answer)
        assert len(provider.requests) == 2
        for entry in await gateway.settled(2):
            assert entry.status is CallStatus.ERROR
            assert entry.attempts[0].status is AttemptStatus.ERROR
            assert "No room." in entry.attempts[0].detail

    through(scenario, cache={"mode": "on"})


def test_a_cut_anthropic_stream_ends_in_its_own_error_event(through):
    start = {
        "type": "message_start",
        "message": {
            "id": "m",
            "model": "claude-sonnet-4-5",
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    }

    async def scenario(gateway, provider):
        events = b"event: message_start\ndata: " + json.dumps(start).encode() + b"\n\n"
        provider.answers_events(events, then=(FakeProvider.CLOSE,))
        asked = ASK | {"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": True}
        _, _, got = await gateway.post("/v1/messages", asked)
        assert got.startswith(events)
        assert got[len(events) :].startswith(b"event: error\ndata: ")
        (entry,) = await gateway.settled()
        assert entry.attempts[0].usage.input == 9

    through(scenario)


def test_repeated_failures_take_a_provider_out_until_a_probe_succeeds(through):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {}}, 500)
        for _ in range(2):
            await gateway.post(CHAT, ASK)
        status, _, body = await gateway.post(CHAT, ASK)
        assert (status, json.loads(body)["error"]["code"]) == (503, "providers_unavailable")
        assert len(provider.requests) == 2
        gateway.clock.ahead_us += 60_000_000
        provider.scripts.clear()
        provider.answers_json(CHAT_ANSWER)
        assert (await gateway.post(CHAT, ASK))[0] == 200
        assert (await gateway.post(CHAT, ASK))[0] == 200

    through(scenario, retry={"retries_max": 0}, breaker={"failures": 2, "open_s": 60.0})


def test_with_keys_only_their_holders_get_in(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        secret, _ = gateway.ring.create(
            VirtualKey(id="", digest="", tenant="acme", feature="support", models=("gpt-4o*",))
        )
        status, headers, body = await gateway.post(CHAT, ASK, {"authorization": "Bearer nope"})
        assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
        assert headers["x-should-retry"] == "false"
        status, _, body = await gateway.post("/v1/messages", ASK | {"max_tokens": 5})
        assert (status, json.loads(body)["error"]["type"]) == (401, "authentication_error")
        for header in (
            {"authorization": f"Bearer {secret}"},
            {"x-api-key": secret},
            {"api-key": secret},
        ):
            assert (await gateway.post(CHAT, ASK, header))[0] == 200
        status, _, body = await gateway.post(CHAT, ASK | {"model": "o3"}, {"x-api-key": secret})
        assert (status, json.loads(body)["error"]["code"]) == (403, "model_not_allowed")
        assert len(provider.requests) == 3
        assert {e.attribution.tenant for e in gateway.journal.entries} == {"acme"}
        refused = gateway.journal.entries[-1]
        assert (refused.status, refused.attempts) == (CallStatus.REFUSED, ())

    through(scenario)


def test_without_any_key_of_ours_the_clients_own_goes_to_the_provider(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASK, {"authorization": "Bearer sk-mine"})
        assert provider.requests[0][1]["authorization"] == "bearer sk-mine"

    through(scenario, keyless=True)


def test_an_unknown_price_is_flagged_refused_or_estimated_but_never_zero(through):
    ask = ASK | {"model": "house-model"}
    answer = CHAT_ANSWER | {"model": "house-model"}

    async def allowed(gateway, provider):
        provider.answers_json(answer)
        _, headers, _ = await gateway.post(CHAT, ask)
        (entry,) = gateway.journal.entries
        assert (entry.unpriced, entry.baseline) == (1, None)
        assert entry.attempts[0].pricing is Pricing.UNPRICED_MODEL
        assert headers["x-farthing-cost"] == "unpriced"

    async def refused(gateway, provider):
        status, _, body = await gateway.post(CHAT, ask)
        assert (status, json.loads(body)["error"]["code"]) == (400, "unknown_price")
        assert provider.requests == []
        assert gateway.journal.entries[0].status is CallStatus.REFUSED

    async def estimated(gateway, provider):
        provider.answers_json(answer)
        await gateway.post(CHAT, ask)
        (entry,) = gateway.journal.entries
        assert entry.attempts[0].pricing is Pricing.ESTIMATED
        assert entry.cost > Money(0)

    through(allowed)
    through(refused, pricing={"unknown": "refuse"})
    through(estimated, pricing={"unknown": "estimate"})


def test_a_provider_that_tells_its_own_cost_is_believed_and_ours_stands_beside_it(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER | {"usage": USAGE | {"cost": 0.00123}})
        await gateway.post(CHAT, ASK)
        (attempt,) = gateway.journal.entries[0].attempts
        assert attempt.pricing is Pricing.PROVIDER
        assert attempt.cost == attempt.provider_cost == Money.usd("0.00123")
        assert attempt.card_cost == Money.usd("0.0035")

    through(scenario)


def test_the_model_that_served_is_priced_not_the_one_asked_for(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER | {"model": "gpt-4o-mini-2024-07-18"})
        await gateway.post(CHAT, ASK)
        (attempt,) = gateway.journal.entries[0].attempts
        assert attempt.model_served == "gpt-4o-mini-2024-07-18"
        assert attempt.cost == Money.usd("0.00021")  # $0.15 in and $0.60 out per million

    through(scenario)


@pytest.mark.parametrize(
    ("pack", "named"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, "GZIP"),
        (gzip.compress, "x-gzip"),
        (zlib.compress, "deflate"),
        (zstd.compress, "zstd"),
        (bytes, "identity"),
    ],
)
def test_a_compressed_request_body_is_read_and_its_json_goes_on(through, pack, named):
    plain = json.dumps(ASK).encode()

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        status, _, _ = await gateway.post(CHAT, pack(plain), {"content-encoding": named})
        assert status == 200
        _, headers, sent = provider.requests[0]
        assert sent == plain
        assert headers["content-length"] == str(len(plain))
        assert headers.get("content-encoding", "identity") == "identity"
        assert gateway.journal.entries[0].cost == Money.usd("0.0035")

    through(scenario)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (gzip.compress(b"{}", mtime=0)[:-3], "gzip"),
        (zstd.compress(b"{}")[:-3], "zstd"),
        (gzip.compress(b"{}", mtime=0) + b"{}", "gzip"),
        (b"{}", "br"),
        (b"{}", "gzip"),
        (b"{}", "gzip, zstd"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused_and_nothing_is_sent(through, body, named):
    async def scenario(gateway, provider):
        status, headers, got = await gateway.post(CHAT, body, {"content-encoding": named})
        assert (status, headers["x-should-retry"]) == (415, "false")
        error = json.loads(got)["error"]
        assert error["code"] == "unsupported_content_encoding"
        assert "Nothing was sent" in error["message"]
        assert provider.requests == []

    through(scenario)


@pytest.mark.parametrize(("pack", "named"), [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
def test_a_decompression_bomb_is_refused(through, pack, named):
    bomb = pack(b"[" * 5_000_000)

    async def scenario(gateway, provider):
        status, _, body = await gateway.post(CHAT, bomb, {"content-encoding": named})
        assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")

    through(scenario, gateway={"body_bytes_max": 1_000_000})


@pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, b"{not json"), (CHAT, b'{"messages":[]}'), ("/v1/messages", b"[]")],
)
def test_what_we_cannot_read_the_provider_judges_in_its_own_words(through, path, body):
    async def scenario(gateway, provider):
        provider.answers_json(b'{"error":{"message":"what is this?"}}', 400)
        status, _, got = await gateway.post(path, body)
        assert (status, got) == (400, b'{"error":{"message":"what is this?"}}')
        assert provider.requests[0][2] == body
        (entry,) = gateway.journal.entries
        assert (entry.status, entry.cost) == (CallStatus.ERROR, Money(0))

    through(scenario)


def test_an_unreadable_call_that_is_answered_after_all_is_metered_by_its_answer(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, b"{'model': 'gpt-4o'}")
        assert gateway.journal.entries[0].cost == Money.usd("0.0035")

    through(scenario)


def test_a_limited_key_gets_nothing_through_that_we_cannot_read(through):
    async def scenario(gateway, provider):
        wanted = VirtualKey(id="", digest="", tenant="acme", models=("gpt-4o",))
        secret, _ = gateway.ring.create(wanted)
        for path, kind in (
            (CHAT, "invalid_request_error"),
            ("/v1/messages", "invalid_request_error"),
        ):
            status, _, got = await gateway.post(path, b"{not json", {"x-api-key": secret})
            assert (status, json.loads(got)["error"]["type"]) == (400, kind)
        assert provider.requests == []

    through(scenario)


def test_no_path_reaches_a_provider_unmetered(through):
    async def scenario(gateway, provider):
        for path in ("/v1/audio/speech", "/v1/files", "/", "/v1/chat/completions/x"):
            status, _, body = await gateway.post(path, ASK)
            assert (status, json.loads(body)["error"]["code"]) == (404, "not_found")
        assert provider.requests == []

    through(scenario)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/openai/chat/completions", "/v1/chat/completions"),
    ],
)
def test_a_base_url_with_a_v1_too_many_or_too_few_is_noticed(through, path, meant):
    async def scenario(gateway, provider):
        status, _, body = await gateway.post(path, ASK)
        assert status == 404
        assert f"Did you mean POST {meant}?" in json.loads(body)["error"]["message"]
        assert provider.requests == []

    through(scenario)


def test_what_the_server_cannot_take_is_told_in_whole_sentences(through):
    async def scenario(gateway, provider):
        status, _, body = await gateway.post(CHAT, ASK, {"x-long": "a" * 70_000})
        error = json.loads(body)["error"]
        assert (status, error["type"]) == (431, "invalid_request_error")
        assert error["message"] == (
            "The request's head is larger than 65536 bytes. "
            "Nothing was sent to a provider and nothing was charged."
        )

    through(scenario)


def test_a_fault_after_the_call_was_sent_does_not_say_that_nothing_was_charged(through):
    async def scenario(gateway, provider):
        reply = gateway.wired.engine.refuse(500, "the server failed to handle this request", CHAT)
        assert json.loads(reply.body)["error"]["message"] == (
            "The server failed to handle this request. "
            "What was sent to a provider is in the ledger."
        )

    through(scenario)


def test_anthropic_calls_carry_their_key_and_version(through):
    answer = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "stop_reason": "end_turn",
        "content": [],
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }

    async def scenario(gateway, provider):
        provider.answers_json(answer)
        ask = ASK | {"model": "claude-sonnet-4-5", "max_tokens": 10}
        headers = {"x-api-key": "client", "anthropic-version": "2023-06-01"}
        status, told, _ = await gateway.post("/anthropic/v1/messages", ask, headers)
        assert status == 200
        line, sent, _ = provider.requests[0]
        assert line == "POST /v1/messages HTTP/1.1"
        assert sent["x-api-key"] == "sk-ant-upstream"
        assert sent["anthropic-version"] == "2023-06-01"
        assert told["x-farthing-cost"] == "0.0045"  # $3 in and $15 out per million

    through(scenario)


@pytest.mark.parametrize("year_us", [0, 4_102_444_800_000_000], ids=["1970", "2100"])
def test_a_clock_that_is_far_off_keeps_no_call_from_being_served_and_priced(through, year_us):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        gateway.clock.now_us = lambda: year_us
        status, headers, _ = await gateway.post(CHAT, ASK)
        assert status == 200
        (entry,) = gateway.journal.entries
        assert entry.started_us == year_us
        assert entry.cost == Money.usd("0.0035")
        assert headers["x-farthing-cost"] == "0.0035"

    through(scenario)


@pytest.mark.parametrize(("year_us", "want"), [(0, 429), (4_102_444_800_000_000, 200)])
def test_a_date_to_retry_after_is_no_endless_wait_where_the_clock_is_far_off(
    through, year_us, want
):
    async def scenario(gateway, provider):
        provider.answers_json({"error": {}}, 429, ["retry-after: Wed, 25 Nov 2026 12:00:00 GMT"])
        provider.answers_json(CHAT_ANSWER)
        gateway.clock.now_us = lambda: year_us
        status, _, _ = await gateway.post(CHAT, ASK)
        assert status == want  # a wait of decades is left to the client

    through(scenario, **RETRIED)
