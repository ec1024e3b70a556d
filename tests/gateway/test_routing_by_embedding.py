"""Scores by an embedder: in a thread, held to what was certified, and never at a call's cost."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import topic_embedders
from served_policies import CHEAP, STRONG, ask, line, policy

from farthing.errors import ConfigError
from farthing.levers.routing.encoder import Embedded, identity_of, probe_of
from farthing.levers.routing.scorer import scorer_of
from farthing.levers.routing.serving import read_choice
from farthing.levers.routing.step import Agree, Route, Single

CHAT = "/v1/chat/completions"
NAME = f"learned:{CHEAP}:{STRONG}"
STEPS = {"easy": Route(NAME, 0.5, Single(CHEAP), Single(STRONG))}
ROWS = [
    {**line(1, {STRONG: (1, "42"), CHEAP: (1, "42")}), "prompt": "add 40 and 2"},
    {**line(2, {STRONG: (1, "7"), CHEAP: (0, "8")}), "prompt": "prove the theorem"},
]


def scored(steps=STEPS, embedder=topic_embedders.topics, **changed):
    """1 for a proof, 0 for a sum."""
    encoder = Embedded("topics", embedder())
    weights = [0.0, 1.0, 0.0, 0.0]
    scorer = scorer_of(identity_of(encoder), 0.0, weights, probe_of(encoder))
    return policy(steps, scores={NAME: msgspec.structs.replace(scorer, **changed)})


def by(embedder, **more):
    return {"embedder": f"topic_embedders:{embedder}", "embed_ms_max": 10_000, **more}


async def loaded(gateway):
    """Wait until the embedder is loaded, and what counts has been worked out anew."""
    routes = gateway.wired.routes
    assert await asyncio.to_thread(routes.scores.encoding.is_loaded.wait, 30)
    await routes.look()


async def told(gateway):
    (entry,) = await gateway.settled()
    return read_choice(entry.detail)


@pytest.mark.parametrize(
    ("prompt", "model", "score"), [("add 40 and 2", CHEAP, 0), ("prove the theorem", STRONG, 1)]
)
def test_what_the_embedder_makes_of_the_prompt_decides_and_stands_in_the_entry(
    routed, prompt, model, score
):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        status, headers, _ = await gateway.post(CHAT, ask(prompt))
        assert (status, provider.asked) == (200, [model])
        assert f"served={model}; arm=policy" in headers["x-farthing-route"]
        choice = await told(gateway)
        assert (choice.arm, choice.scores[NAME]) == ("policy", pytest.approx(score, abs=0.02))

    routed(scenario, scored(), rows=ROWS, routing=by("topics"))


@pytest.mark.parametrize(
    ("embedder", "more", "why"),
    [
        ("broken", {}, "the embedder failed: RuntimeError"),
        ("useless", {}, "the embedder can't be loaded: no such word"),
        ("hanging", {"embed_ms_max": 1}, "the embedder took longer than 1 ms"),
    ],
)
def test_an_embedder_that_fails_or_is_late_costs_no_call_the_incumbent_serves_it(
    routed, embedder, more, why
):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        status, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        topic_embedders.LET_GO.set()
        assert (status, provider.asked) == (200, [STRONG])
        assert f"arm=incumbent; policy={mark}; floor=0.98; why={why}" in headers["x-farthing-route"]
        choice = await told(gateway)
        assert (choice.arm, choice.step, choice.scores) == ("incumbent", STRONG, {})
        assert choice.would.startswith(CHEAP)
        assert gateway.wired.routes.pools["auto"].counts["unscored"] == 1

    topic_embedders.LET_GO.clear()
    routed(scenario, scored(), rows=ROWS, routing=by(embedder, **more))


def test_once_too_many_prompts_wait_the_next_goes_to_the_incumbent_without_waiting(routed):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        many = [gateway.post(CHAT, ask("add 40 and 2")) for _ in range(80)]
        waiting = [asyncio.ensure_future(one) for one in many]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        _, headers, _ = done.pop().result()
        assert "why=too many prompts wait for the embedder" in headers["x-farthing-route"]
        topic_embedders.LET_GO.set()
        answers = await asyncio.gather(*waiting)
        assert {status for status, _, _ in answers} == {200}

    topic_embedders.LET_GO.clear()
    routed(scenario, scored(), rows=ROWS, routing=by("hanging"))


@pytest.mark.parametrize(
    ("embedder", "why"),
    [
        ("renamed", f"the encoder of {NAME} was topics-1, and there is hashed#"),
        ("turned", f"the encoder of {NAME} makes other vectors than it did, by its old name"),
    ],
)
def test_another_embedder_or_other_vectors_by_the_same_name_void_the_certificate(
    routed, embedder, why
):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        _, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        assert provider.asked == [STRONG]
        assert f"why=its certificate is void: {why}" in headers["x-farthing-route"]

    routed(scenario, scored(), rows=ROWS, routing=by(embedder))


def test_other_vectors_are_not_served_by_even_before_the_policies_are_looked_at_again(routed):
    async def scenario(gateway, provider, mark):
        scores = gateway.wired.routes.scores
        assert await asyncio.to_thread(scores.encoding.is_loaded.wait, 30)
        _, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        assert provider.asked == [STRONG]
        assert "makes other vectors than it did" in headers["x-farthing-route"]

    routed(scenario, scored(), rows=ROWS, routing=by("turned"))


def test_without_an_embedder_a_policy_by_embeddings_is_void(routed):
    async def scenario(gateway, provider, mark):
        _, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        assert provider.asked == [STRONG]
        assert f"the encoder of {NAME} was topics-1" in headers["x-farthing-route"]

    routed(scenario, scored(), rows=ROWS)


def test_votes_may_stand_behind_a_score_by_an_embedder(routed):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        await gateway.post(CHAT, ask("add 40 and 2"))
        assert sorted(provider.asked) == sorted([CHEAP, STRONG])

    vote = {"easy": Route(NAME, 0.5, Agree((CHEAP, STRONG), Single(STRONG)), Single(STRONG))}
    routed(scenario, scored(vote), rows=ROWS, routing=by("topics"))


def test_an_answer_from_the_cache_is_found_without_embedding_the_prompt(routed):
    async def scenario(gateway, provider, mark):
        await loaded(gateway)
        before = len(topic_embedders.CALLED)
        await gateway.post(CHAT, ask("add 40 and 2"))
        _, headers, _ = await gateway.post(CHAT, ask("add 40 and 2"))
        assert headers["x-farthing-cache"].startswith("hit")
        assert len(topic_embedders.CALLED) == before + 1
        assert provider.asked == [CHEAP]

    cached = {"cache": {"mode": "on", "temperature_max": 1.0}}
    routed(scenario, scored(), rows=ROWS, routing=by("topics"), **cached)


@pytest.mark.parametrize(
    ("embedder", "why"),
    [
        ("bert", "routing.embedder is 'bert'"),
        ("topic_embedders:nothing", "has no attribute 'nothing'"),
        ("topic_embedders:never_loads", "no weights"),
    ],
)
def test_an_embedder_that_is_not_there_is_told_before_anything_starts(routed, embedder, why):
    async def scenario(gateway, provider, mark):
        raise AssertionError("it started")

    with pytest.raises(ConfigError, match=why):
        routed(scenario, scored(), routing={"embedder": embedder})
