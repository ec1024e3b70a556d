"""C1, C2: what makes two calls the same, and that nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.call import Endpoint
from farthing.codecs import NotCanonical, canonical_request
from farthing.levers.cache import KnownRequests, NeutralHeaders, Vault, marked, prints_of
from farthing.levers.cache.wording import plainly, volatility_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXTS | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "How do I return an order?"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "temperature": 0,
    "max_tokens": 100,
    "seed": 1,
    "stop": ["x"],
    "reasoning_effort": "low",
    "logprobs": True,
    "service_tier": "flex",
}
TRAVEL = {"stream", "stream_options"}
NEUTRAL = TRAVEL | {
    "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user", "n",
}  # fmt: skip


def read(request, endpoint=Endpoint.OPENAI_CHAT):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return canonical_request(endpoint, body)


def key(request, scope=b"s", *others, endpoint=Endpoint.OPENAI_CHAT):
    return prints_of(scope, marked(read(request, endpoint)), *others, is_canonical=True).key


@given(st.sampled_from(sorted(set(CHAT) - {"messages"})), VALUES)
def test_another_value_of_any_member_is_another_entry(name, value):
    if value is None or (value == CHAT[name] and type(value) is type(CHAT[name])):
        return
    changed = {**CHAT, name: value}
    if json.loads(json.dumps(changed)) == CHAT and not isinstance(value, bool):
        return
    assert key(changed) != key(CHAT)


@given(TEXTS.filter(lambda n: n not in NEUTRAL | set(CHAT)), VALUES.filter(lambda v: v is not None))
def test_a_member_that_nobody_knows_counts_too(name, value):
    assert key({**CHAT, name: value}) != key(CHAT)


@given(st.sampled_from([0, 1]), TEXTS)
def test_another_word_anywhere_in_the_messages_is_another_entry(place, text):
    messages = [dict(m) for m in CHAT["messages"]]
    if read(CHAT | {"messages": [{"role": "user", "content": text}]}).slot in (
        m["content"] for m in messages
    ):
        return
    messages[place]["content"] = text
    assert key(CHAT | {"messages": messages}) != key(CHAT)


@pytest.mark.parametrize(
    "messages",
    [
        CHAT["messages"][1:],
        [*CHAT["messages"][:1], {"role": "assistant", "content": "Hi"}, CHAT["messages"][1]],
        [CHAT["messages"][0] | {"role": "developer"}, CHAT["messages"][1]],
        [CHAT["messages"][0], CHAT["messages"][1] | {"name": "Ann"}],
        [*CHAT["messages"], {"role": "tool", "tool_call_id": "1", "content": "18 degrees"}],
        CHAT["messages"][::-1],
        [CHAT["messages"][0], {"role": "user", "content": {"": "slot"}}],
    ],
    ids=["no system", "more history", "role", "name", "tool result", "order", "a forged slot"],
)
def test_the_system_prompt_the_history_and_the_roles_count(messages):
    prints = [
        prints_of(b"s", marked(read(CHAT | {"messages": m})), is_canonical=True)
        for m in (messages, CHAT["messages"])
    ]
    assert prints[0].key != prints[1].key
    assert prints[0].partition != prints[1].partition


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_scope_and_everything_else_that_is_told_count(one, other, rest):
    others = [text.encode() for text in rest]
    if one != other:
        assert key(CHAT, one.encode(), *others) != key(CHAT, other.encode(), *others)
        assert key(CHAT, b"s", one.encode(), *others) != key(CHAT, b"s", other.encode(), *others)
    assert key(CHAT, b"s", one.encode(), other.encode()) != key(CHAT, b"s", (one + other).encode())


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_two_tenants_never_share(one, other, parts):
    vault = Vault(None)
    mine, yours = vault.keys("t" + one, 0), vault.keys("u" + other, 0)
    assert mine.scope(*parts) != yours.scope(*parts)
    assert mine.mark("user", one) != yours.mark("user", one)
    assert mine.payload_key != yours.payload_key


def test_a_tenants_scopes_do_not_run_over_into_each_other():
    keys = Vault(None).keys("acme", 0)
    assert keys.scope("ab", "c") != keys.scope("a", "bc")
    assert repr(keys.secret) not in repr(keys)


def test_endpoints_do_not_share():
    both = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    assert key(both, b"s", b"openai.chat") != key(
        both, b"s", b"anthropic.messages", endpoint=Endpoint.ANTHROPIC_MESSAGES
    )


@given(VALUES, st.integers(0, 4))
def test_key_order_spaces_and_escapes_do_not_count(value, indent):
    request = CHAT | {"extra": value}
    shuffled = json.dumps(
        dict(reversed(request.items())), indent=indent, ensure_ascii=indent % 2 == 0
    )
    assert key(shuffled.encode()) == key(request)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 0}, {"temperature": 0.0}),
        ({}, {"user": "u", "metadata": {"a": "b"}, "stream": True, "n": 1}),
        ({}, {"frequency_penalty": None}),
        ({"x": "\u00e9"}, {"x": "e\u0301"}),
    ],
    ids=["0 and 0.0", "how it travels", "null", "Unicode composition"],
)
def test_equal_encodings_are_equal(one, other):
    assert key(CHAT | one) == key(CHAT | other)


def test_a_text_and_one_block_of_it_are_equal():
    blocks = [m | {"content": [{"type": "text", "text": m["content"]}]} for m in CHAT["messages"]]
    assert key(CHAT | {"messages": blocks}) == key(CHAT)
    marked = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    other = [blocks[0] | {"content": marked}, blocks[1]]
    assert key(CHAT | {"messages": other}) != key(CHAT)


@pytest.mark.parametrize("swap", [(True, 1), (False, 0), ("1", 1), ([], {})])
def test_values_of_other_types_are_not_equal(swap):
    one, other = swap
    assert key(CHAT | {"x": one}) != key(CHAT | {"x": other})


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[],"messages":[{"role":"user","content":"x"}]}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
    ],
    ids=["twice", "twice within", "NaN", "huge", "surrogate", "array", "cut", "bytes", "deep"],
)
def test_a_body_without_one_meaning_has_no_key(body):
    with pytest.raises(NotCanonical):
        read(body)


def test_what_the_policy_looks_at_is_read():
    assert read({"model": "m", "messages": []}).temperature == 1
    assert read({"model": "m", "input": "x"}, Endpoint.OPENAI_EMBEDDINGS).temperature == 0
    assert read(CHAT | {"n": 3}).choices == 3
    assert read(CHAT | {"store": True}).is_kept_upstream
    tool = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
    asked = read({"model": "m", "messages": [tool]}, Endpoint.ANTHROPIC_MESSAGES)
    assert asked.has_tool_turns
    assert not asked.has_slot


def test_headers_that_reach_the_provider_count_unless_they_are_known_to_be_neutral():
    digest = NeutralHeaders(["x-build-*"]).digest
    plain = digest([(b"user-agent", b"a"), (b"x-request-id", b"1"), (b"x-build-id", b"7")])
    assert plain == digest([(b"traceparent", b"z"), (b"x-stainless-os", b"linux")])
    assert plain != digest([(b"anthropic-beta", b"files")])
    assert digest([(b"x-a", b"b")]) != digest([(b"x-ab", b"")])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("How do I pay?", "how do I  pay", True),
        (" List the steps. ", "List the steps", True),
        ("You are open.", "You are open?", False),
        ("Polish my shoes", "polish my shoes", False),
        ("How wonderful!", "How wonderful", False),
        ("Wait...", "Wait", False),
        ("Who is in the US?", "Who is in the us?", False),
        ("Is 1.5 more than 15?", "Is 15 more than 15?", False),
        ("Fix:\n  if x:\n    y()", "Fix:\n if x:\n y()", False),
        ("What does `a  b` do?", "What does `a b` do?", False),
        ("What is a\u0301?", "What is \u00e1", True),
        ("How many lines?\nroses\nred", "How many lines?\nroses red", False),
        ("Sort:\nb\na", "Sort:\n\nb\na", False),
        ("\nSort:\u2028b ", "\nSort:\u2028b", True),
        ('How long is "a  b"?', 'How long is "a b"?', False),
        ("How long is \u201ea  b\u201c?", "How long is \u201ea b\u201c?", False),
        ('How long is "a b"?', 'how long is "a b" ', True),
        (".", "", False),
        ("?", "", False),
    ],
)
def test_plain_wording_drops_only_what_does_not_matter(one, other, is_same):
    assert (plainly(one) == plainly(other)) is is_same


@given(TEXTS)
def test_plain_wording_is_its_own_plain_wording(text):
    assert plainly(plainly(text)) == plainly(text)


@pytest.mark.parametrize(
    ("text", "volatility"),
    [
        ("What is the weather in Oslo?", "live"),
        ("What is the latest version?", "live"),
        ("Where is my order?", "fast"),
        ("Who won the cup in 2024?", "fast"),
        ("How do I return an order?", ""),
        ("Summarise this: today was fine. " * 30, ""),
    ],
)
def test_a_questions_words_tell_how_fast_its_answer_ages(text, volatility):
    assert volatility_of(text) == volatility


BIG = st.integers(2**63, 2**70) | st.integers(-(2**70), -(2**63) - 1)


@given(st.lists(st.tuples(st.sampled_from(sorted(CHAT)), VALUES | BIG), max_size=4))
def test_a_request_that_is_known_reads_as_it_did_at_first(changes):
    body = json.dumps(CHAT | dict(changes)).encode()
    known = KnownRequests()
    first = known.read(Endpoint.OPENAI_CHAT, body)
    assert known.read(Endpoint.OPENAI_CHAT, body) is first
    assert first == marked(canonical_request(Endpoint.OPENAI_CHAT, body))


def test_the_same_bytes_for_another_endpoint_are_another_request():
    body = json.dumps({"model": "m", "messages": [], "user": "u"}).encode()
    known = KnownRequests()
    read_as = [known.read(endpoint, body) for endpoint in Endpoint]
    assert [one.request for one in read_as] == [canonical_request(e, body) for e in Endpoint]
    assert len({one.request.shape for one in read_as}) > 1


def test_what_one_has_asked_is_not_known_to_another():
    body = json.dumps(CHAT).encode()
    known = KnownRequests()
    first = known.read(Endpoint.OPENAI_CHAT, body, "acme")
    other = known.read(Endpoint.OPENAI_CHAT, body, "globex")
    assert other is not first
    assert other == first


def test_known_requests_take_no_more_memory_than_they_may():
    known = KnownRequests(bytes_max=10_000)
    for number in range(100):
        known.read(Endpoint.OPENAI_CHAT, json.dumps(CHAT | {"seed": number}).encode())
    assert 0 < len(known) <= 10


@given(BIG, BIG)
def test_whole_numbers_of_any_length_count(one, other):
    assert (key(CHAT | {"seed": one}) == key(CHAT | {"seed": other})) is (one == other)


def test_what_can_not_be_written_is_not_compared():
    with pytest.raises(NotCanonical):
        read(b'{"model": "m", "messages": [], "stop": "\\ud800"}')
