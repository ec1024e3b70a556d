"""A miss says in the header, in a word, why nothing like it was served (docs/semantic-cache.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fakes import CHAT_ANSWER
from semantic_doubles import settled
from test_exact_cache import CHAT
from test_semantic_cache import FIRST, LIKE, RARE, SERVING, answer, ask, layer, told, told_whole
from test_semantic_proof import DELTA, certified
from test_semantic_sharing import serving

PAGE = Path(__file__).parent.parent.parent / "docs" / "semantic-cache.md"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (layer("shadow"), "shadow"),
        (layer("assisted"), "assisted"),
        (layer("serve"), "uncertified"),
        (serving(sampling=1.0), "checked"),
        (serving(text_chars_max=10), "long"),
    ],
    ids=["shadow", "assisted", "uncertified", "checked", "long"],
)
def test_it_says_why_nothing_was_looked_up_for_this_call(through, settings, reason):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        assert await told_whole(gateway, LIKE) == f"miss; semantic={reason}"

    through(scenario, **settings)


HISTORY = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


@pytest.mark.parametrize(
    ("text", "headers", "more", "reason"),
    [
        ("Can I return it within 30 days?", {}, {}, "guard:numbers"),
        ("Where is my lamp?", {}, {}, "nothing-near"),
        (LIKE, {"x-farthing-cache": "exact"}, {}, "exact-asked"),
        (LIKE, {"cache-control": "no-store"}, {}, "not-kept"),
        (LIKE, {}, {"before": HISTORY}, "history"),
        (PICTURE, {}, {}, "no-text"),
    ],
    ids=["guard", "another question", "exact", "no-store", "history", "no text"],
)
def test_it_says_what_held_a_question_back(through, text, headers, more, reason):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, "Can I return it within 14 days?")
        assert await told_whole(gateway, text, headers, **more) == f"miss; semantic={reason}"

    through(scenario, **SERVING)


def test_it_says_that_an_answer_is_too_old_for_the_caller_and_keeps_its_question(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        gateway.clock.ahead_us += 120_000_000
        young = {"cache-control": "max-age=60"}
        assert await told_whole(gateway, LIKE, young) == "miss; semantic=too-old"
        assert await told(gateway, "How can we return an order?") == "hit-semantic"

    through(scenario, **SERVING)


def test_it_says_that_a_score_is_below_the_certified_one(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        certified(gateway, 120)
        await settled(gateway)
        assert await told_whole(gateway, "How will I return an order?") == "miss; semantic=score"

    through(scenario, **layer("serve", **DELTA))


def test_it_says_that_it_is_back_in_shadow_or_stopped(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        await told(gateway, FIRST)
        certified(gateway, 120)
        await settled(gateway)
        certified(gateway, 30, wrong=True, serving=True, propensity=RARE)
        await settled(gateway)
        assert await told_whole(gateway, LIKE) == "miss; semantic=back-in-shadow"
        gateway.wired.evidence.board.is_stopped = True
        text = "How can we return an order?"
        assert await told_whole(gateway, text) == "miss; semantic=stopped"

    through(scenario, **layer("serve", **DELTA))


def test_where_the_layer_is_off_or_the_exact_cache_only_counts_it_says_nothing(through):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await settled(gateway)
        assert await told_whole(gateway, FIRST, {"x-farthing-feature": "plain"}) == "miss"
        assert await told_whole(gateway, FIRST, {"x-farthing-feature": "counted"}) == "miss"
        again = await told_whole(gateway, FIRST, {"x-farthing-feature": "counted"})
        assert again == "miss; shadow would have hit"

    semantic = SERVING["cache"]["semantic"] | {"features": {"plain": {"mode": "off"}}}
    features = {"counted": {"mode": "shadow"}}
    through(scenario, cache={"mode": "on", "semantic": semantic, "features": features})


def test_a_bypass_has_its_own_reason_and_a_follower_says_whom_it_followed(through):
    async def scenario(gateway, provider):
        provider.answers_json(answer("Hello."))
        await settled(gateway)
        _, headers, _ = await gateway.post(CHAT, ask(FIRST, temperature=1))
        assert headers["x-farthing-cache"] == "bypass; sampled at temperature 1"

    through(scenario, **SERVING)


def test_the_page_lists_every_reason():
    source = Path(__file__).parent.parent.parent / "src" / "farthing"
    files = (
        "gateway/semantic.py",
        "gateway/semantic_planner.py",
        "levers/cache/semantic/decision.py",
    )
    code = "".join((source / name).read_text() for name in files)
    told_ = set(re.findall(r'told="([a-z:-]+)"|, "([a-z]+(?:-[a-z]+)+)"', code))
    reasons = {one or other for one, other in told_}
    listed = set(re.findall(r"`([a-z:-]+)`", PAGE.read_text()))
    assert reasons
    assert reasons - {"off"} <= listed
