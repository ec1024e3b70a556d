"""The semantic layer in a process of its own: the same answers, and what a thread can't suffer."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import fakes
import msgspec
import pytest
from fakes import CHAT_ANSWER
from semantic_doubles import settled
from test_exact_cache import CHAT
from test_semantic_cache import (  # noqa: F401 - the same, in a process
    FIRST,
    LIKE,
    SERVING,
    ask,
    rows,
    test_a_caller_can_only_ask_for_less,
    test_a_like_question_is_served_and_its_wording_from_then_on_found_at_once,
    test_a_streamed_answer_is_served_whole_and_streamed_to_a_like_question,
    test_an_answer_that_nobody_could_compare_counts_as_wrong,
    test_answers_that_differ_keep_a_pair_apart_for_good,
    test_texts_and_vectors_stand_sealed_and_go_with_the_tenants_key,
    test_thumbs_down_takes_the_answer_and_its_wordings_out,
    test_two_tenants_never_share_an_answer,
    test_variables_of_a_template_must_be_equal,
    test_without_a_certificate_nothing_is_served_in_any_mode,
    told,
)
from test_semantic_known_failures import (  # noqa: F401
    test_a_question_about_now_is_never_served,
    test_no_entry_answers_everything_however_bad_the_vectors_are,
)
from test_semantic_proof import (  # noqa: F401
    test_a_judging_model_is_believed_only_in_both_orders,
    test_feedback_over_http_takes_an_answer_out,
    test_the_judge_asks_through_the_ledger_and_books_what_it_costs,
)
from test_semantic_reasons import test_it_says_what_held_a_question_back  # noqa: F401
from test_semantic_sharing import (  # noqa: F401
    AGAIN,
    test_a_confirmation_speaks_of_its_answer_alone,
    test_a_users_confirmations_go_with_his_other_traces,
    test_a_wording_that_was_found_for_one_user_is_not_the_next_ones,
    test_answers_to_other_words_confirm_where_they_agree,
    test_who_asks_in_the_very_same_words_confirms_and_three_make_it_everyones,
)

from farthing.clock import SystemClock
from farthing.gateway.semantic_acts import Counted
from farthing.levers.cache import Purge, Vault
from farthing.levers.cache.semantic_tables import CourseRow, WordingRow

CHILD = Path(__file__).parent / "semantic_child.py"
_END_S = 30


def in_process(tables):
    """The settings, with the layer in a process."""
    cache = tables["cache"]
    semantic = cache["semantic"] | {"runs_in": "process"}
    return tables | {"cache": cache | {"semantic": semantic}}


@pytest.fixture
def through(through, monkeypatch):
    """The same as elsewhere with the layer in a process, which knows no other time than today's."""
    monkeypatch.setattr(fakes, "Clock", SystemClock)

    def run(scenario, **tables):
        is_on = "semantic" in tables.get("cache", {})
        through(scenario, **(in_process(tables) if is_on else tables))

    return run


def carrier_of(gateway):
    return gateway.wired.caches.semantic.desk.carrier


async def ready(gateway):
    """Until questions are looked up."""
    async with asyncio.timeout(_END_S):
        while not gateway.wired.caches.semantic.desk.is_ready:
            await asyncio.sleep(0.005)


def is_running(pid):
    """Whether a process runs; one that ended and is not collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def ended(pid):
    async with asyncio.timeout(_END_S):
        while is_running(pid):
            await asyncio.sleep(0.005)


def test_after_its_process_was_killed_calls_are_misses_until_it_is_back(through, caplog):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        carrier, semantic = carrier_of(gateway), gateway.wired.caches.semantic
        assert await told(gateway, FIRST) == "miss"
        assert await told(gateway, LIKE) == "hit-semantic"
        killed = carrier.pid
        os.kill(killed, signal.SIGKILL)
        await ended(killed)
        async with asyncio.timeout(_END_S):
            while semantic.desk.is_ready:
                await asyncio.sleep(0)
        # Approved wordings are not served either: nobody tells any more which are void.
        _, headers, _ = await gateway.post(CHAT, ask(LIKE))
        assert headers["x-farthing-cache"] == "miss; semantic=warming-up"
        assert len(provider.requests) == 2
        await ready(gateway)
        assert carrier.pid != killed
        await settled(gateway)
        assert await told(gateway, AGAIN) == "hit-semantic"
        assert len(provider.requests) == 2

    through(scenario, **SERVING)
    assert "ended with code -9; calls go on without it" in caplog.text


def test_a_look_up_under_way_when_its_process_dies_is_a_miss_at_once(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        pid = carrier_of(gateway).pid
        os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(gateway.post(CHAT, ask(FIRST)))
        desk = gateway.wired.caches.semantic.desk
        async with asyncio.timeout(_END_S):
            while not desk._verdicts:
                await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        _, headers, _ = await asking
        assert headers["x-farthing-cache"] == "miss; semantic=unavailable"

    settings = SERVING["cache"]["semantic"] | {"wait_ms_max": 60_000}
    through(scenario, cache={"mode": "on", "semantic": settings})


def test_a_process_that_is_stuck_makes_no_call_wait_longer_than_is_allowed(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        pid = carrier_of(gateway).pid
        os.kill(pid, signal.SIGSTOP)
        _, headers, _ = await gateway.post(CHAT, ask(FIRST))
        assert headers["x-farthing-cache"] == "miss; semantic=too-slow"
        os.kill(pid, signal.SIGCONT)
        await settled(gateway)
        assert await told(gateway, LIKE) == "hit-semantic"

    settings = SERVING["cache"]["semantic"] | {"wait_ms_max": 2_000}
    through(scenario, cache={"mode": "on", "semantic": settings})


def test_a_process_that_is_silent_for_too_long_is_killed(through, caplog):
    async def scenario(gateway, provider):
        del provider
        await settled(gateway)
        semantic, carrier = gateway.wired.caches.semantic, carrier_of(gateway)
        stuck = carrier.pid
        os.kill(stuck, signal.SIGSTOP)
        semantic.desk.follow()
        carrier._asked_us -= 20_000_001
        semantic.desk.follow()
        await ended(stuck)
        async with asyncio.timeout(_END_S):
            while carrier.pid in (None, stuck):
                await asyncio.sleep(0.005)

    through(scenario, **SERVING)
    assert "ended with code -9" in caplog.text


def test_it_waits_twice_as_long_each_time_that_it_dies_early(through, caplog):
    async def scenario(gateway, provider):
        del provider
        carrier = carrier_of(gateway)
        for _ in range(9):
            carrier._lost()
            carrier._starting.cancel()
            carrier._start()

    through(scenario, **SERVING)
    waits = [record.args[1] for record in caplog.records if record.levelno == logging.ERROR]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_it_ends_with_the_gateway_and_what_was_noted_is_written(through, tmp_path):
    pids = []

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await ready(gateway)
        pids.append(carrier_of(gateway).pid)
        await gateway.post(CHAT, ask(FIRST))

    through(scenario, **SERVING)
    assert not is_running(*pids)
    assert rows(tmp_path, "SELECT result FROM asked") == [("nothing near",)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM questions") == [(1,)]


def test_it_ends_with_a_worker_that_is_killed(tmp_path):
    async def scenario():
        async with fakes.FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            worker = await asyncio.create_subprocess_exec(
                sys.executable, CHILD, tmp_path, str(provider.port), "process", stdout=PIPE
            )
            pid = int(await worker.stdout.readline())
            assert await worker.stdout.readline() == b"stored\n"
            assert is_running(pid)
            worker.kill()
            await worker.wait()
            await ended(pid)

    asyncio.run(scenario())
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_a_tenants_key_that_is_destroyed_ends_what_the_process_has_of_it(through, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        (keys,) = Vault(tmp_path / "cache-keys").tenants()
        forgotten = Vault(tmp_path / "cache-keys").forget(keys.tenant)
        at_us = time.time_ns() // 1000
        purge = Purge(at_us=at_us, tenant=forgotten.tenant_mark)  # as `farthing cache forget` does
        gateway.wired.caches.answers.write(lambda answers: answers.purge(purge))
        gateway.wired.caches.answers.flush()
        async with asyncio.timeout(_END_S):  # keys are looked at once a second
            while await told(gateway, LIKE) != "miss":
                await asyncio.sleep(0)
        assert len(provider.requests) == 2

    through(scenario, **SERVING)


def test_nothing_secret_is_on_its_command_line(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        path = f"/proc/{carrier_of(gateway).pid}/cmdline"
        line = (await asyncio.to_thread(Path(path).read_bytes)).split(b"\0")
        assert line[1:3] == [b"-m", b"farthing.gateway.semantic_process"]
        assert line[3].isdigit()
        assert line[4:] == [b""]

    through(scenario, **SERVING)


def test_a_process_that_can_not_begin_says_why_and_calls_go_on(through, caplog, capfd):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        carrier = carrier_of(gateway)
        await ready(gateway)
        carrier._begin = msgspec.structs.replace(carrier._begin, path=())  # no embedder there
        os.kill(carrier.pid, signal.SIGKILL)
        async with asyncio.timeout(_END_S):
            while "ended with code 2" not in caplog.text:
                await asyncio.sleep(0.005)
        _, headers, _ = await gateway.post(CHAT, ask(FIRST))
        assert headers["x-farthing-cache"] == "miss; semantic=warming-up"

    through(scenario, **SERVING)
    assert "farthing semantic ERROR" in capfd.readouterr().err


def test_rows_of_an_answer_wait_until_that_is_there(through, tmp_path):
    """The worker and the process write by themselves, and either may be first."""

    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        answers = gateway.wired.caches.answers
        held = []
        put = answers._disk.writer.put
        answers._disk.writer.put = held.append
        await gateway.post(CHAT, ask(FIRST))
        await gateway.wired.caches.semantic.desk.settled()
        assert rows(tmp_path, "SELECT COUNT(*) FROM questions") == [(0,)]
        answers._disk.writer.put = put
        for write in held:
            put(write)
        await settled(gateway)
        assert rows(tmp_path, "SELECT COUNT(*) FROM questions") == [(1,)]

    through(scenario, **SERVING)


def test_the_board_forgets_what_may_have_changed_when_its_teller_is_gone(through):
    async def scenario(gateway, provider):
        del provider
        await settled(gateway)
        desk = gateway.wired.caches.semantic.desk
        desk.board.note(WordingRow(1, b"key", b"entry", "person", None))
        assert desk.board.wording(b"key", "anybody") is not None
        desk.lost()
        assert desk.board.wording(b"key", "anybody") is None

    through(scenario, **SERVING)


@pytest.mark.parametrize("half", ["\ud800", "Where is \udfff my order?"])
def test_half_of_a_surrogate_pair_in_a_question_is_left_to_exact_matches(through, half):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        for expected in ("miss; semantic=no-text", "hit-exact"):
            status, headers, _ = await gateway.post(CHAT, ask(half))
            assert (status, headers["x-farthing-cache"]) == (200, expected)
        assert carrier_of(gateway).send([Counted(CourseRow(b"c", b"t", half, "m"), {})]) is False
        assert await told(gateway, FIRST) == "miss"
        assert await told(gateway, LIKE) == "hit-semantic"

    through(scenario, **SERVING)
