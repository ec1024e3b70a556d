import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.codecs import json_edit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["model", "usage", "n", 'a"b', "\\", "ü", ""]) | st.text(max_size=4)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")])


@st.composite
def objects(draw):
    """An object's text with duplicates, and its members in order."""
    pairs = draw(st.lists(st.tuples(KEYS, VALUES), max_size=6))
    comma, colon = draw(SEPARATORS)
    ascii_only = draw(st.booleans())

    def write(value):
        return json.dumps(value, ensure_ascii=ascii_only, separators=(comma, colon))

    text = "{" + comma.join(f"{write(k)}{colon}{write(v)}" for k, v in pairs) + "}"
    space = draw(st.sampled_from(["", " ", "\n"]))
    return (space + text + space).encode("utf-8", "surrogatepass"), pairs


@given(objects())
def test_members_are_found_where_they_stand(case):
    text, pairs = case
    found = list(json_edit.members(text))
    assert [member.key for member in found] == [key for key, _ in pairs]
    assert [json.loads(text[member.value : member.end]) for member in found] == [
        value for _, value in pairs
    ]


@given(objects())
def test_duplicates_are_the_keys_that_come_again(case):
    text, pairs = case
    keys = [key for key, _ in pairs]
    assert json_edit.duplicates(text) == [k for i, k in enumerate(keys) if k in keys[:i]]


@given(objects(), KEYS, VALUES)
def test_replacing_changes_one_value_and_no_other_byte(case, key, value):
    text, pairs = case
    new = json.dumps(value).encode()
    if key not in dict(pairs):
        with pytest.raises(KeyError):
            json_edit.replace(text, key, new)
        return
    member = json_edit.find(text, key)
    edited = json_edit.replace(text, key, new)
    assert edited[: member.value] == text[: member.value]
    assert edited[member.value + len(new) :] == text[member.end :]
    assert json.loads(edited) == {**json.loads(text), key: value}


@given(objects())
def test_inserting_adds_a_last_member_and_keeps_the_text_around_it(case):
    text, _ = case
    edited = json_edit.insert(text, b"stream_options", b'{"include_usage":true}')
    want = {**json.loads(text), "stream_options": {"include_usage": True}}
    assert json.loads(edited) == want


@given(objects(), KEYS)
def test_removing_takes_the_last_member_of_that_name_with_its_comma(case, key):
    text, pairs = case
    edited = json_edit.remove(text, key)
    last = max((i for i, (k, _) in enumerate(pairs) if k == key), default=None)
    left = [pair for i, pair in enumerate(pairs) if i != last]
    got = json.loads(edited, object_pairs_hook=lambda p: p) if not left else None
    assert [m.key for m in json_edit.members(edited)] == [k for k, _ in left]
    assert got in (None, [])
    if last is None:
        assert edited is text


@pytest.mark.parametrize(
    ("text", "without"),
    [
        (b'{"usage":null}', b"{}"),
        (b'{"usage":null,"a":1}', b'{"a":1}'),
        (b'{"a":1,"usage":null}', b'{"a":1}'),
        (b'{"a":1, "usage": null, "b":2}', b'{"a":1, "b":2}'),
        (b'{ "usage" : null , "b":2}', b'{ "b":2}'),
        (b'{"us\\u0061ge":null,"b":{"usage":1}}', b'{"b":{"usage":1}}'),
    ],
)
def test_removing_a_member_leaves_what_would_have_been_written_without_it(text, without):
    assert json_edit.remove(text, "usage") == without


@pytest.mark.parametrize(
    ("body", "want"),
    [
        (b'{"model":"a","x":{"model":"a"}}', b'{"model":"b/\xc3\xbc","x":{"model":"a"}}'),
        (b'{"x":{"model":"a"}, "model" : "a" }', b'{"x":{"model":"a"}, "model" : "b/\xc3\xbc" }'),
        (b'{"m\\u006fdel":"\\u0061","t":1.0}', b'{"m\\u006fdel":"b/\xc3\xbc","t":1.0}'),
        (
            b'{"s":"\\"model\\":\\"a\\"","model":"a"}',
            b'{"s":"\\"model\\":\\"a\\"","model":"b/\xc3\xbc"}',
        ),
    ],
    ids=["first", "last", "escaped", "in a string"],
)
def test_only_the_top_level_model_is_replaced(body, want):
    assert json_edit.replace_model(body, "a", "b/ü") == want


def test_a_text_the_decoder_refuses_is_still_cut_at_its_members():
    text = b'{"a":"\xff","model":"m"}'
    assert json_edit.replace(text, "model", b'"n"') == b'{"a":"\xff","model":"n"}'
