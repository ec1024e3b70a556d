"""What travels between the event loop and the semantic layer arrives as it was sent, however cut."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.call import Endpoint
from farthing.gateway.semantic_acts import (
    Act,
    Answered,
    Begin,
    Closed,
    Counted,
    Doubt,
    Follow,
    Look,
    News,
    Parcels,
    Placed,
    Renewed,
    Settled,
    Verdict,
    Worded,
)
from farthing.gateway.semantic_plan import Plan, Position
from farthing.levers.cache import TenantKeys
from farthing.levers.cache.semantic.course import Standing, Terms
from farthing.levers.cache.semantic.scorer import Scorer
from farthing.levers.cache.semantic_settings import SemanticRules, SemanticSettings, semantic_rules
from farthing.levers.cache.semantic_tables import CourseRow, WordingRow

KEYS = TenantKeys(tenant="acme", secret=b"\x00\xffsecret")
COURSE = CourseRow(b"course", KEYS.tenant_mark, "faq", "openai/gpt-4o")
SETTINGS = SemanticSettings(mode="serve", templates={"a": "Where is {x:id}?"})
RULES: SemanticRules = semantic_rules(SETTINGS, "faq")
TERMS = Terms(
    delta=0.01,
    sampling=0.05,
    shadow_sampling=1.0,
    fit_labels=4,
    near_min=0.8,
    embedder="e",
    model="m",
)


def plan(text="How do I return an order?"):
    return Plan(
        space=b"\xffspace",
        key=b"\x00key",
        text=text,
        writer="abc",
        user=None,
        keys=KEYS,
        mode="serve",
        rules=RULES,
        terms=TERMS,
        course=COURSE,
    )


ACTS = [
    Begin(SETTINGS, "/data", ("/a", "/b")),
    Look(1, plan(), "call_1", is_awaited=True, is_check=False),
    Closed(1, is_served=True),
    Counted(COURSE, {"hits": 1}),
    Answered(1, plan(), "call_1", Endpoint.OPENAI_CHAT, b"\x00body", 9, False, True, False),
    Renewed(b"entry", KEYS, Endpoint.ANTHROPIC_MESSAGES, "call_2"),
    Follow(),
]
SCORER = Scorer(bias=0.5, weights=(1.0, -2.0), outweighed=frozenset({"numbers"}))
NEWS = [
    Verdict(1, "", b"entry", "abc"),
    Verdict(2, "guard:numbers"),
    Doubt(3, (("q", "a"), ("r", "b"))),
    Placed(b"course", Position(Standing(scorer=SCORER, threshold=0.9, breaches=1), "why")),
    Worded((WordingRow(1, b"key", b"entry", "person", None),)),
    Settled(7),
]


@pytest.mark.parametrize(("kind", "sent"), [(Act, ACTS), (News, NEWS)], ids=["acts", "news"])
@given(cuts=st.lists(st.integers(0, 3000), max_size=12))
def test_what_is_sent_arrives_the_same_wherever_it_is_cut(kind, sent, cuts):
    there = Parcels(kind)
    data = b"".join(map(Parcels(Act).packed, sent))
    at, came = 0, []
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        came += there.unpacked(data[at:end])
        at = end
    assert came == sent


@given(text=st.text())
def test_any_text_of_a_question_arrives_the_same(text):
    plain = text.encode("utf-8", "ignore").decode()
    (came,) = Parcels(Act).unpacked(Parcels(News).packed(Look(1, plan(plain), "c", True, False)))
    assert came.plan.text == plain


def test_the_keys_that_come_are_those_of_the_tenant_and_made_once():
    there, here = Parcels(Act), Parcels(News)
    first, second = there.unpacked(here.packed(ACTS[1]) + here.packed(ACTS[4]))
    assert first.plan.keys == KEYS
    assert first.plan.keys.payload_key == KEYS.payload_key
    assert second.plan.keys is first.plan.keys
    there.forget()
    (third,) = there.unpacked(here.packed(ACTS[1]))
    assert third.plan.keys is not first.plan.keys


def test_what_is_not_ours_is_refused():
    there = Parcels(Act)
    with pytest.raises(msgspec.DecodeError):
        list(there.unpacked(Parcels(News).packed(NEWS[0])))


def test_nothing_is_sent_that_is_not_meant_to_be():
    with pytest.raises(TypeError, match="object is not sent"):
        Parcels(News).packed(Counted(COURSE, {"x": object()}))
