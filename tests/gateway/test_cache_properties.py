"""Whatever is asked, by whomever, however it ends: three laws of the caches, at the running gateway.

Whatever else than the question differs, no exact, canonical or semantic hit comes of it. Two
tenants never share an answer. What did not end by itself, whole, is never kept.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from fakes import CHAT_ANSWER, FakeProvider, Gateway, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from semantic_doubles import settled
from test_exact_cache import CHAT, stream_of
from test_semantic_cache import FIRST, LIKE, SERVING, ask, rows

from farthing.gateway import VirtualKey

PLAIN = "how do I return  an order"
KINDS = {FIRST: "hit-exact", PLAIN: "hit-exact; plain wording", LIKE: "hit-semantic"}
BASE = {
    "seed": 1,
    "max_tokens": 100,
    "stop": ["x"],
    "top_p": 0.5,
    "response_format": {"type": "text"},
}
TRAVELS = {
    "messages", "metadata", "model", "n", "prompt_cache_key", "prompt_cache_retention",
    "safety_identifier", "stream", "stream_options", "user",
}  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
QUICK = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def differs(member):
    name, value = member
    return name not in TRAVELS and (name not in BASE or value != BASE[name])


CHANGES = st.one_of(
    st.tuples(st.sampled_from(sorted(BASE)) | TEXTS, VALUES).filter(differs).map(
        lambda member: {"body": dict([member])}
    ),
    TEXTS.filter(lambda text: text != "Be kind.").map(lambda text: {"body": {"system": text}}),
    st.tuples(TEXTS, TEXTS).map(
        lambda said: {"body": {"before": [
            {"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]},
        ]}}
    ),
    st.just({"body": {"model": "gpt-4o-mini"}}),
    st.just({"body": {"tools": [{"type": "function", "function": {"name": "f"}}]}}),
    WORDS.map(lambda word: {"headers": {f"x-{word}": "1"}}),
    WORDS.map(lambda word: {"headers": {"openai-beta": word}}),
    WORDS.map(lambda word: {"headers": {"x-farthing-depends-on": f"{word}@2"}}),
    WORDS.map(lambda word: {"headers": {"x-farthing-feature": f"other-{word}"}}),
    WORDS.map(lambda word: {"headers": {"authorization": f"Bearer {word}"}}),
    WORDS.map(lambda word: {"query": f"?api-version={word}"}),
)  # fmt: skip


class Running:
    """A gateway that many examples use, each with a feature of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.runner = asyncio.Runner()
        self.numbers = itertools.count()
        self.runner.run(self._start())

    async def _start(self):
        self.provider = await FakeProvider().__aenter__()
        self.gateway = Gateway(self.folder, self.provider, retry={"retries_max": 0}, **SERVING)
        await self.gateway.__aenter__()
        await settled(self.gateway)

    async def _stop(self):
        await self.gateway.__aexit__(None, None, None)
        await self.provider.__aexit__(None, None, None)

    def stop(self):
        self.runner.run(self._stop())
        self.runner.close()

    def remove_keys(self):
        """The door is open again for the other examples."""
        for key in list(self.gateway.ring.keys()):
            self.gateway.ring.revoke(key.id)
        self.gateway.ring.refresh()

    def feature(self):
        return {"x-farthing-feature": f"f{next(self.numbers)}"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Running(tmp_path_factory.mktemp("cache"))
    yield made
    made.stop()


def answers(provider, said):
    provider.scripts.clear()
    choice = CHAT_ANSWER["choices"][0] | {"message": {"role": "assistant", "content": said}}
    provider.answers_json(CHAT_ANSWER | {"choices": [choice]})


async def asked(gateway, text, headers, *, query="", **body):
    """What the answer says, and what its header says of the cache."""
    _, told, answer = await gateway.post(CHAT + query, ask(text, **body), headers)
    await settled(gateway)
    return answer.decode(), told.get("x-farthing-cache", "")


@QUICK
@given(CHANGES, st.permutations(list(KINDS)))
def test_whatever_else_differs_no_kind_of_hit_comes_of_it(running, change, texts):
    gateway, own = running.gateway, running.feature()
    other = own | change.get("headers", {})
    body, query = BASE | change.get("body", {}), change.get("query", "")

    async def scenario():
        answers(running.provider, "the first answer")
        await asked(gateway, FIRST, own, **BASE)
        answers(running.provider, "another answer")
        for text in texts:
            said, _ = await asked(gateway, text, other, query=query, **body)
            assert "the first answer" not in said
        for text, kind in KINDS.items():
            said, told = await asked(gateway, text, own, **BASE)
            assert "the first answer" in said
            assert told == kind

    running.runner.run(scenario())


NAMES = st.text("abcdefgh", max_size=3)
CALLS = st.lists(st.tuples(NAMES, NAMES, st.sampled_from(list(KINDS))), min_size=1, max_size=4)


@QUICK
@given(CALLS, st.permutations(list(KINDS)), st.booleans())
def test_two_tenants_never_share_an_answer(running, calls, texts, is_same_key_name):
    """Not even one that a tenant's users have all confirmed."""
    gateway, own = running.gateway, running.feature()
    number = next(running.numbers)
    names = (f"t{number}", f"u{number}")
    one, two = (key_of(gateway, name, "k" if is_same_key_name else name) for name in names)

    async def scenario():
        answers(running.provider, "the first answer")
        await asked(gateway, FIRST, own | one)
        for user, tag, text in calls:
            for voice in (user, f"{user}2", f"{user}3"):
                await asked(gateway, text, own | one | about(voice, tag))
        answers(running.provider, "another answer")
        for text in texts:
            for user, tag, _ in calls:
                said, _ = await asked(gateway, text, own | two | about(user, tag), user=user)
                assert "the first answer" not in said
        assert "the first answer" in (await asked(gateway, FIRST, own | one))[0]

    try:
        running.runner.run(scenario())
    finally:
        running.remove_keys()


def about(user, tag):
    return {"x-farthing-user": user, "x-farthing-tags": f"tenant={tag}", "x-farthing-session": tag}


def key_of(gateway, tenant, name):
    key, _ = gateway.ring.create(VirtualKey(id="", digest="", tenant=tenant, name=name))
    gateway.ring.refresh()
    return {"authorization": f"Bearer {key}"}


STREAM = stream_of("a good", " answer")
FINISHED = {"stop", "tool_calls", "function_call", "end_turn", "stop_sequence", "tool_use"}
REASONS = st.sampled_from(["length", "content_filter", "max_tokens", "refusal"]) | TEXTS.filter(
    lambda reason: not {part for part in reason.split(",") if part} & FINISHED
)
ENDS = st.one_of(
    st.tuples(st.just("status"), st.sampled_from([400, 401, 403, 408, 409, 422, 429, 500, 503, 529])),
    st.tuples(st.just("finish"), REASONS),
    st.tuples(st.just("finish, streamed"), REASONS),
    st.tuples(st.just("cut"), st.integers(0, len(b"".join(STREAM)) - len(b"]\n\n"))),
    st.tuples(st.just("abort"), st.integers(1, len(STREAM) - 2)),
    st.tuples(st.just("error event"), st.integers(0, len(STREAM) - 2)),
)  # fmt: skip


@settings(QUICK, max_examples=60)
@given(ENDS)
def test_what_did_not_end_by_itself_and_whole_is_never_kept(running, end):
    gateway, own = running.gateway, running.feature()
    kind, what = end

    async def scenario():
        provider = running.provider
        provider.scripts.clear()
        is_streamed = kind not in ("status", "finish")
        if kind == "abort":
            await left(gateway, provider, what, own)
        else:
            script(provider, kind, what)
            await broken(gateway, ask(FIRST, **({"stream": True} if is_streamed else {})), own)
        await settled(gateway)
        feature = own["x-farthing-feature"]
        assert rows(running.folder, f"SELECT 1 FROM entries WHERE feature = '{feature}'") == []
        answers(provider, "a good answer")
        for text in (LIKE, FIRST):
            said, told = await asked(gateway, text, own)
            assert "a good answer" in said
            assert told.startswith("miss") is (text == LIKE), told
        assert (await asked(gateway, FIRST, own))[1] == "hit-alias"  # from the whole one alone

    running.runner.run(scenario())


def script(provider, kind, what):
    """Have the provider answer once, and not well."""
    choice = CHAT_ANSWER["choices"][0]
    if kind == "status":
        provider.answers_json(CHAT_ANSWER, what)
    elif kind == "finish":
        provider.answers_json(CHAT_ANSWER | {"choices": [choice | {"finish_reason": what}]})
    elif kind == "finish, streamed":
        provider.answers_events(*stream_of("a bad answer", finish=what))
    elif kind == "cut":
        provider.answers_events(b"".join(STREAM)[:what] or b"\n", then=(provider.CLOSE,))
    else:
        failed = b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'
        provider.answers_events(*STREAM[:what], failed)


async def broken(gateway, body, headers):
    """Read what comes of a call that fails."""
    reader, writer = await gateway.connect()
    writer.write(request(CHAT, body, headers))
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()


async def left(gateway, provider, count, headers):
    """A client that goes away once it has had so many events."""
    before = len(gateway.journal.entries)
    provider.answers_events(*STREAM[:count], then=(asyncio.Event(),))
    reader, writer = await gateway.connect()
    writer.write(request(CHAT, ask(FIRST, stream=True), headers))
    for _ in range(count):
        await reader.readuntil(b"data: ")
    writer.close()
    await gateway.settled(before + 1)
