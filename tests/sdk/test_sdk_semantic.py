"""The official Python SDKs can't tell the stream of a semantic hit from the provider's own."""

from __future__ import annotations

import contextlib
import sqlite3
import time

import anthropic
import openai
import pytest
from gateway_process import running_gateway
from sim_thread import running_simulator
from test_sdk_cached import plain

FIRST, LIKE = "How do I reset my password?", "How can I reset my password?"
SETTINGS = (
    '[gateway]\nstream_cost = "never"\n[cache]\nmode = "on"\ntemperature_max = 2.0\n'
    '[cache.semantic]\nmode = "serve"\nis_uncertified_allowed = true\nsampling = 1e-9\n'
    "wait_ms_max = 5000\n"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("semantic")
    with (
        running_simulator() as behind,
        running_gateway(folder, behind.base_url, extra=SETTINGS) as address,
    ):
        yield address, folder / "ledger" / "cache.sqlite"


def wait_for_questions(path, count):
    """Until so many questions are stored; they are, behind the call that brought them."""
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
            if db.execute("SELECT COUNT(*) FROM questions").fetchone()[0] >= count:
                return
    raise AssertionError(f"there were never {count} questions")


def test_an_openai_stream(gateway):
    address, path = gateway
    with openai.OpenAI(base_url=f"{address}/v1", api_key="sk-test", max_retries=0) as client:

        def events(text):
            messages = [{"role": "user", "content": text}]
            options = {"include_usage": True}
            with client.chat.completions.with_streaming_response.create(
                model="gpt-4o", messages=messages, stream=True, stream_options=options
            ) as response:
                told = response.headers["x-farthing-cache"]
                return told, [event.to_dict() for event in response.parse()]

        told, live = events(FIRST)
        assert told.startswith("miss; semantic=")
        wait_for_questions(path, 1)
        for kind in ("hit-semantic", "hit-alias"):
            told, replayed = events(LIKE)
            assert told == kind
            assert [plain(event) for event in replayed] == [plain(event) for event in live]
            assert replayed[0]["id"] != live[0]["id"]


def test_an_anthropic_stream(gateway):
    address, path = gateway
    with anthropic.Anthropic(base_url=address, api_key="sk-test", max_retries=0) as client:

        def events(text):
            with client.messages.with_streaming_response.create(
                model="claude-sonnet-5-5",
                max_tokens=200,
                messages=[{"role": "user", "content": text}],
                stream=True,
            ) as response:
                told = response.headers["x-farthing-cache"]
                return told, [event.to_dict() for event in response.parse()]

        told, live = events(FIRST)
        assert told.startswith("miss; semantic=")
        wait_for_questions(path, 2)
        for kind in ("hit-semantic", "hit-alias"):
            told, replayed = events(LIKE)
            assert told == kind
            assert [plain(event) for event in replayed] == [plain(event) for event in live]
