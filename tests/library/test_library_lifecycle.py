"""The engine in process over its life: threads, running loops, errors, and an end at any moment."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import threading
import warnings

import openai
import pytest
from sim_thread import running_simulator

from farthing import Farthing
from farthing.errors import CallerError
from farthing.ledger import JournalFull, Ledger
from farthing.ledger.reprice import reprice
from farthing.money import Money
from farthing.pricing import PriceBook
from farthing.usage import Usage

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where is my parcel?"}]}
SLOW = {"x-sim-token-ms": "50", "x-sim-output-tokens": "400"}


@pytest.fixture(scope="module")
def upstream():
    with running_simulator() as simulator:
        yield simulator.base_url


@pytest.fixture
def made(tmp_path, upstream):
    """Makes engines over one folder."""
    tables = {
        "ledger": {"data_dir": str(tmp_path / "data"), "drain_interval_ms": 20},
        "providers": {"openai": {"base_url": f"{upstream}/v1", "api_key": "sk-sim"}},
    }
    return lambda: Farthing(tables)


@pytest.fixture
def entries(tmp_path):
    def read():
        with Ledger.open(tmp_path / "data") as ledger:
            return list(ledger.entries())

    return read


def test_an_exception_in_the_body_passes_and_its_calls_are_in_the_ledger(made, entries):
    def fail():
        with made() as farthing, farthing.openai() as client:
            client.chat.completions.create(**ASKED)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [entry.status.value for entry in entries()] == ["ok"]


def test_many_threads_may_share_it(made, entries):
    with made() as farthing, farthing.openai() as client:

        def ask(number):
            sent = client.chat.completions.create(**ASKED, user=f"user-{number}")
            farthing.record(model="gpt-4o", usage=Usage(input=number))
            return sent.usage.total_tokens

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            told = list(pool.map(ask, range(40)))
    found = entries()
    metered = [entry for entry in found if entry.endpoint.value == "openai.chat"]
    assert len(found) == len({entry.call_id for entry in found}) == 80
    assert {entry.attribution.user for entry in metered} == {f"user-{n}" for n in range(40)}
    used = [entry.attempts[0].usage for entry in metered]
    assert sum(u.prompt_tokens + u.completion_tokens for u in used) == sum(told)


def test_it_is_made_used_and_closed_inside_a_running_loop(made, entries):
    async def scenario():
        with made() as farthing:
            with farthing.openai() as client:  # blocking, as it would be without us
                client.chat.completions.create(**ASKED)
            async with farthing.async_openai() as client:
                await asyncio.gather(*(client.chat.completions.create(**ASKED) for _ in range(5)))

    asyncio.run(scenario())
    assert len(entries()) == 6


def test_two_engines_may_share_a_folder_in_one_process(made, entries):
    with made() as one, made() as other:
        one.record(model="gpt-4o", usage=Usage(input=1))
        other.record(model="gpt-4o", usage=Usage(input=2))
        one.record(model="gpt-4o", usage=Usage(input=3))
    assert sorted(entry.attempts[0].usage.input for entry in entries()) == [1, 2, 3]


def test_a_stream_left_open_is_settled_when_the_engine_closes(made, entries):
    with made() as farthing:
        client = farthing.openai()
        stream = client.chat.completions.create(**ASKED, stream=True, extra_headers=SLOW)
        next(iter(stream))
    stream.close()
    client.close()
    del stream, client
    gc.collect()
    (entry,) = entries()
    assert entry.status.value in {"cancelled", "interrupted"}
    assert entry.attempts[0].usage.input > 0


def test_a_call_in_another_thread_ends_when_the_engine_closes(made, entries):
    farthing = made()
    client = farthing.openai(max_retries=0)
    failed = []

    def ask():
        try:
            client.chat.completions.create(**ASKED, extra_headers={"x-sim-first-byte-ms": "60000"})
        except openai.APIConnectionError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(200):
        if farthing._runner.wired.desk.running:
            break
        thread.join(0.02)
    farthing.close()
    thread.join(20)
    assert not thread.is_alive()
    client.close()
    assert failed
    assert [entry.status.value for entry in entries()] == ["cancelled"]


def test_after_its_end_it_says_so_and_records_nothing(made, entries):
    with made() as farthing:
        client = farthing.openai(max_retries=0)
    with pytest.raises(CallerError, match="closed"):
        farthing.record(model="gpt-4o", usage=Usage(input=1))
    with pytest.raises((CallerError, openai.APIConnectionError)):
        client.chat.completions.create(**ASKED)
    client.close()
    farthing.close()  # twice is no error
    assert entries() == []


def test_a_record_that_cannot_be_written_raises_and_does_not_hang(made):
    class Full:
        """A disk without space."""

        def __getattr__(self, name):
            def refuse(*_):
                raise JournalFull(name)

            return refuse

    with made() as farthing:
        journal, farthing._runner._journal = farthing._runner._journal, Full()
        with pytest.raises(JournalFull):
            farthing.record(model="gpt-4o", usage=Usage(input=1))
        farthing._runner._journal = journal


def test_a_recorded_call_stands_at_its_maker_with_its_card_and_reprices_to_itself(made, tmp_path):
    with made() as farthing:
        entry = farthing.record(model="gpt-4o", usage=Usage(input=1000, output=10))
        unknown = farthing.record(model="house-model", usage=Usage(input=1000))
    assert (entry.attempts[0].provider, unknown.attempts[0].provider) == ("openai", "recorded")
    with Ledger.open(tmp_path / "data") as ledger:
        assert ledger.card(entry.attempts[0].card_id) is not None
        found = reprice(ledger.entries(), PriceBook.load())
    assert found.booked == found.repriced == Money.usd("0.0026")


def _told_in_a_fork(work):
    """What `work` gives in a forked process, as text; whatever it raises is told too."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns of forks beside threads: that is the case
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            told = str(work())
        except BaseException as error:  # edge: the fork must end here, whatever happens
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def test_a_forked_process_is_told_to_make_its_own_and_the_parents_goes_on(made, entries):
    with made() as farthing:
        client = farthing.openai(max_retries=0)
        assert "before this process was forked" in _told_in_a_fork(
            lambda: client.chat.completions.create(**ASKED)
        )
        assert _told_in_a_fork(farthing.close) == "None"
        client.chat.completions.create(**ASKED)
    assert [entry.status.value for entry in entries()] == ["ok"]
