"""Identical calls share one upstream call though one wants a stream and the other a whole answer."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from fakes import CHAT_ANSWER, FakeProvider, Gateway, answer, request
from hypothesis import given, settings
from hypothesis import strategies as st
from test_coalescing import ON, events_after, in_flight, json_bytes
from test_exact_cache import ASK, CHAT, DONE, PRICE, USAGE, contents, stream_of

from farthing.gateway.coalescing import Coalesce
from farthing.ledger import CallStatus
from farthing.money import Money

STREAMED = ASK | {"stream": True}
LONG_US = 60_000_000
HOUR_US = 3_600_000_000


def coalesce_of(gateway):
    (found,) = (s for s in gateway.wired.caches.stages if isinstance(s, Coalesce))
    return found


def has_seen(gateway, *, first_us, whole_us, feature="unattributed"):
    """As after calls that took so long: to a stream's first bytes, and whole."""
    for _ in range(8):
        coalesce_of(gateway).pace.note((feature, "gpt-4o"), first_us, is_streamed=True)
        coalesce_of(gateway).pace.note((feature, "gpt-4o"), whole_us, is_streamed=False)


async def turns(count=60):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_call_for_a_whole_answer_shares_the_stream_under_way(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        provider.answers(*events_after(gate, *stream_of("Hel", "lo")))
        streamed = asyncio.create_task(gateway.post(CHAT, STREAMED))
        await in_flight(gateway, provider, 1)
        whole = asyncio.create_task(gateway.post(CHAT, ASK))
        await in_flight(gateway, provider, 2)
        gate.set()
        status, headers, body = await whole
        _, _, live = await streamed
        assert len(provider.requests) == 1
        assert (status, headers["content-type"]) == (200, "application/json")
        assert headers["x-farthing-cache"] == "miss; coalesced"
        assert headers["x-farthing-saved"] == "0.0035"
        told = json.loads(body)
        assert told["object"] == "chat.completion"
        assert told["choices"][0]["message"]["content"] == contents(live) == "Hello"
        assert told["usage"] == USAGE
        assert b"usage" not in live
        leader, follower = sorted(await gateway.settled(2), key=lambda entry: not entry.attempts)
        assert (leader.cost, leader.moves) == (PRICE, ())
        assert (follower.cost, follower.baseline, follower.attempts) == (Money(0), PRICE, ())
        assert follower.detail == f"shared the answer to {leader.call_id}"

    through(scenario, **ON)


def test_a_call_for_a_stream_shares_the_whole_answer_that_is_expected_in_time(through):
    async def scenario(gateway, provider):
        has_seen(gateway, first_us=LONG_US, whole_us=LONG_US, feature="f")
        named = {"x-farthing-feature": "f"}
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        whole = asyncio.create_task(gateway.post(CHAT, ASK, named))
        await in_flight(gateway, provider, 1)
        streamed = asyncio.create_task(gateway.post(CHAT, STREAMED, named))
        await in_flight(gateway, provider, 2)
        gate.set()
        _, headers, body = await streamed
        assert json.loads((await whole)[2]) == CHAT_ANSWER
        assert len(provider.requests) == 1
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["x-farthing-cache"] == "miss; coalesced"
        assert contents(body) == "Hello!"
        assert b"usage" not in body
        assert body.count(DONE) == 1
        assert body.count(b"farthing call=" + headers["x-farthing-call"].encode()) == 1
        entries = await gateway.settled(2)
        assert sorted((e.cost, e.baseline) for e in entries) == [(Money(0), PRICE), (PRICE, PRICE)]

    through(scenario, **ON)


@pytest.mark.parametrize(
    "seen",
    [None, {"first_us": 1_000_000, "whole_us": LONG_US}],
    ids=["nothing is known", "a stream of its own begins sooner"],
)
def test_a_call_for_a_stream_goes_by_itself_where_the_whole_answer_would_come_later(through, seen):
    async def scenario(gateway, provider):
        if seen:
            has_seen(gateway, **seen)
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        provider.answers_events(*stream_of("Hi"))
        whole = asyncio.create_task(gateway.post(CHAT, ASK))
        await in_flight(gateway, provider, 1)
        _, headers, body = await gateway.post(CHAT, STREAMED)
        assert "x-farthing-cache" not in headers
        assert contents(body) == "Hi"
        gate.set()
        assert (await whole)[0] == 200

    through(scenario, **ON)


def test_a_call_for_a_stream_waits_no_longer_than_a_stream_of_its_own_takes_to_begin(through):
    async def scenario(gateway, provider):
        has_seen(gateway, first_us=1, whole_us=1)  # so the answer is due, and does not come
        gate = asyncio.Event()
        provider.answers(gate, json_bytes(CHAT_ANSWER))
        provider.answers_events(*stream_of("Hi"))
        whole = asyncio.create_task(gateway.post(CHAT, ASK))
        await in_flight(gateway, provider, 1)
        _, _, body = await gateway.post(CHAT, STREAMED)
        assert contents(body) == "Hi"
        assert not whole.done()
        gate.set()
        assert json.loads((await whole)[2]) == CHAT_ANSWER
        assert len(provider.requests) == 2
        assert [entry.cost for entry in await gateway.settled(2)] == [PRICE, PRICE]

    through(scenario, **ON)


def test_a_whole_answer_is_asked_for_anew_where_the_stream_breaks_off(through):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        *broken, _ = events_after(gate, *stream_of("Hi")[:3])
        provider.answers(*broken, provider.CLOSE)
        provider.answers_json(CHAT_ANSWER)
        streamed = asyncio.create_task(gateway.post(CHAT, STREAMED))
        await in_flight(gateway, provider, 1)
        whole = asyncio.create_task(gateway.post(CHAT, ASK))
        await in_flight(gateway, provider, 2)
        gate.set()
        assert json.loads((await whole)[2]) == CHAT_ANSWER
        assert b"upstream_cut" in (await streamed)[2]
        by_status = {entry.status: entry for entry in await gateway.settled(2)}
        assert by_status[CallStatus.OK].cost == PRICE
        assert all(not entry.moves for entry in by_status.values())

    through(scenario, **ON)


def test_a_stream_is_asked_for_anew_where_the_whole_answer_fails(through):
    async def scenario(gateway, provider):
        has_seen(gateway, first_us=LONG_US, whole_us=LONG_US)
        gate = asyncio.Event()
        provider.answers(gate, json_bytes({"error": {"message": "overloaded"}}, 503))
        provider.answers_events(*stream_of("Hi"))
        whole = asyncio.create_task(gateway.post(CHAT, ASK))
        await in_flight(gateway, provider, 1)
        streamed = asyncio.create_task(gateway.post(CHAT, STREAMED))
        await in_flight(gateway, provider, 2)
        gate.set()
        assert (await whole)[0] == 503
        assert contents((await streamed)[2]) == "Hi"

    through(scenario, retry={"retries_max": 0}, **ON)


@pytest.mark.parametrize("is_leader_streamed", [True, False], ids=["streamed", "whole"])
def test_when_a_leader_of_the_other_form_leaves_the_call_is_seen_to_its_end(
    through, is_leader_streamed
):
    async def scenario(gateway, provider):
        has_seen(gateway, first_us=LONG_US, whole_us=LONG_US)
        gate = asyncio.Event()
        if is_leader_streamed:
            provider.answers(*events_after(gate, *stream_of("Hello!")))
        else:
            provider.answers(gate, json_bytes(CHAT_ANSWER))
        _, leader = await gateway.connect()
        leader.write(request(CHAT, STREAMED if is_leader_streamed else ASK))
        await in_flight(gateway, provider, 1)
        follower = asyncio.create_task(gateway.post(CHAT, ASK if is_leader_streamed else STREAMED))
        await in_flight(gateway, provider, 2)
        leader.close()
        await leader.wait_closed()
        await turns()
        gate.set()
        _, _, body = await follower
        assert text_of(body) == "Hello!"
        assert len(provider.requests) == 1
        entries = await gateway.settled(2)
        assert sorted((e.cost, e.baseline) for e in entries) == [(Money(0), PRICE), (PRICE, PRICE)]

    through(scenario, **ON)


@pytest.mark.parametrize("is_leader_streamed", [True, False], ids=["streamed", "whole"])
def test_when_both_forms_have_left_the_upstream_call_is_dropped(through, is_leader_streamed):
    async def scenario(gateway, provider):
        has_seen(gateway, first_us=LONG_US, whole_us=LONG_US)
        never = asyncio.Event()
        if is_leader_streamed:
            provider.answers(*events_after(never, *stream_of("Hi")))
        else:
            provider.answers(never)
        writers = []
        for count, is_streamed in ((1, is_leader_streamed), (2, not is_leader_streamed)):
            _, writer = await gateway.connect()
            writer.write(request(CHAT, STREAMED if is_streamed else ASK))
            writers.append(writer)
            await in_flight(gateway, provider, count)
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            await provider.gone.wait()
        entries = await gateway.settled(2)
        assert {entry.status for entry in entries} == {CallStatus.CANCELLED}
        assert all(not entry.moves for entry in entries)

    through(scenario, **ON)


class AnyForm(FakeProvider):
    """Answers each request in its form once its gate is opened: well, with an error, or broken."""

    def __init__(self):
        super().__init__()
        self.gates = []
        self.fates = []

    def open_next(self, fate):
        at = len(self.fates)
        self.fates.append(fate)
        if at < len(self.gates):
            self.gates[at].set()

    def script_for(self, body):
        at = len(self.gates)
        gate = asyncio.Event()
        self.gates.append(gate)
        if at < len(self.fates):
            gate.set()
        return self._steps(at, gate, is_streamed=b'"stream": true' in body)

    def _steps(self, at, gate, *, is_streamed):
        """Each step as it is due; what becomes of the call is known once its gate is open."""
        if is_streamed:
            *begun, _, second, third, fourth, fifth, end = events_after(gate, *stream_of("Hello!"))
            yield from begun
            yield gate
            if self.fates[at] != "well":
                yield self.CLOSE
            yield from (second, third, fourth, fifth, end)
            return
        yield gate
        if self.fates[at] == "well":
            yield json_bytes(CHAT_ANSWER)
        else:
            yield json_bytes({"error": {"message": "overloaded"}}, 503)


def text_of(body):
    if body.startswith(b"{"):
        return json.loads(body)["choices"][0]["message"]["content"]
    assert body.count(DONE) == 1
    return contents(body)


STEPS = st.one_of(
    st.tuples(st.just("call"), st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.just("open"), st.sampled_from(["well", "well", "badly"])),
)


async def walked(gateway, provider, steps):
    """The callers after all steps, and the numbers of those that went away."""
    callers, gone = [], set()
    for step, detail in steps:
        if step == "call":
            reader, writer = await gateway.connect()
            writer.write(request(CHAT, STREAMED if detail else ASK))
            callers.append((reader, writer))
            async with asyncio.timeout(10):
                while gateway.wired.desk.opened < len(callers):
                    await asyncio.sleep(0)
        elif step == "leave" and detail < len(callers):
            callers[detail][1].close()
            gone.add(detail)
        elif step == "open":
            provider.open_next(detail)
        await turns()
    for _ in range(len(callers) + 2):
        provider.open_next("well")
    return callers, gone


def is_right(status, body, *, may_fail):
    """Whole, or an error that says so where the provider may have failed."""
    has_failed = status != 200 or b"upstream_cut" in body
    return may_fail if has_failed else text_of(body) == "Hello!"


@settings(max_examples=60)
@given(steps=st.lists(STEPS, min_size=3, max_size=12), is_patient=st.booleans())
def test_whatever_comes_and_goes_each_caller_has_a_whole_answer_and_an_entry_of_its_own(
    steps, is_patient
):
    async def scenario(gateway, provider):
        if is_patient:
            has_seen(gateway, first_us=LONG_US, whole_us=LONG_US)
        callers, gone = await walked(gateway, provider, steps)
        staying = [reader for at, (reader, _) in enumerate(callers) if at not in gone]
        answers = [await asyncio.wait_for(answer(reader), 10) for reader in staying]
        for _, writer in callers:
            writer.close()
        entries = await gateway.settled(len(callers))
        has_failures = "badly" in provider.fates[: len(provider.requests)]
        assert all(is_right(s, body, may_fail=has_failures) for s, _, body in answers)
        assert len(entries) == len({entry.call_id for entry in entries}) == len(callers)
        for entry in entries:
            assert entry.baseline - sum((m.saved for m in entry.moves), Money(0)) == entry.cost
        assert sum(len(entry.attempts) for entry in entries) == len(provider.requests)
        forms = {detail for step, detail in steps if step == "call"}
        is_undisturbed = not gone and "open" not in [step for step, _ in steps]
        assert not is_undisturbed or len(provider.requests) <= len(forms)
        assert coalesce_of(gateway).is_idle

    async def whole(folder):
        async with AnyForm() as provider:
            tables = ON | {"retry": {"retries_max": 0}}
            async with Gateway(folder, provider, **tables) as gateway, asyncio.timeout(30):
                await scenario(gateway, provider)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(Path(folder)))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("is_leader_streamed", [False, True], ids=["of a whole", "of a stream"])
def test_what_a_follower_waits_for_is_no_time_of_ours(through, is_streamed, is_leader_streamed):
    async def scenario(gateway, provider):
        gate = asyncio.Event()
        if is_leader_streamed:
            provider.answers(*events_after(gate, *stream_of("Hel", "lo")))
        else:
            provider.answers(gate, json_bytes(CHAT_ANSWER))
        if is_streamed and not is_leader_streamed:
            has_seen(gateway, first_us=2 * HOUR_US, whole_us=1000)
        asked = ASK | {"stream": is_leader_streamed}
        leader = asyncio.create_task(gateway.post(CHAT, asked))
        await in_flight(gateway, provider, 1)
        gateway.clock.ahead_us += 2_000
        follower = asyncio.create_task(gateway.post(CHAT, ASK | {"stream": is_streamed}))
        await in_flight(gateway, provider, 2)
        gateway.clock.ahead_us += HOUR_US
        gate.set()
        await asyncio.gather(leader, follower)
        assert len(provider.requests) == 1
        for entry in await gateway.settled(2):
            assert entry.duration_us > HOUR_US > entry.overhead_us

    through(scenario, **ON)
