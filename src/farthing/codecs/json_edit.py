"""Edits to one top-level member of a JSON object that keep every other byte.

Floats, key order, escapes, duplicate spaces: all stay as the client wrote them. The scanner takes
text that a parser has already accepted; it finds where members stand and does not validate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

__all__ = ["Member", "duplicates", "find", "insert", "members", "remove", "replace"]
__all__ += ["replace_model"]

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = re.compile(rb"[ \t\n\r]*+")
_KEY = re.compile(rb"[ \t\n\r]*+(" + _STRING + rb")[ \t\n\r]*+:[ \t\n\r]*+", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^,\]}\[{\x20\t\n\r\"]++", re.DOTALL)
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_OPENING = frozenset(b"[{")


class Member(NamedTuple):
    """Where a member stands in the object's text; `start` is its key's opening quote."""

    key: str
    start: int
    value: int
    end: int


def _end_of_value(text: bytes, at: int) -> int:
    """The offset just behind the value that begins at `at`."""
    if text[at] not in _OPENING:
        found = _SCALAR.match(text, at)
        return at if found is None else found.end()
    depth = 0
    while True:
        bracket = _to_bracket(text, at)
        depth += 1 if text[bracket] in _OPENING else -1
        at = bracket + 1
        if depth == 0:
            return at


def _to_bracket(text: bytes, at: int) -> int:
    found = _TO_BRACKET.match(text, at)
    return at if found is None else found.end()


def members(text: bytes) -> Iterator[Member]:
    """The top-level members of the object, in order, duplicates included."""
    values = _values(text)
    at = text.index(b"{") + 1
    while found := _KEY.match(text, at):
        start, raw = found.start(1), found.group(1)
        key = json.loads(raw) if b"\\" in raw else raw[1:-1].decode()
        end = _known_end(text, found.end(), values.get(key)) or _end_of_value(text, found.end())
        yield Member(key, start, found.end(), end)
        at = _skip_space(text, end) + 1  # the comma, or the closing brace


def _values(text: bytes) -> dict[str, msgspec.Raw]:
    """The value of each member as the decoder cuts it: a quick way over long ones."""
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _known_end(text: bytes, at: int, value: msgspec.Raw | None) -> int:
    """Where the value ends if it is the one that was decoded; 0 if it is another (a duplicate)."""
    if value is None:
        return 0
    end = at + len(value)
    behind = _skip_space(text, end)
    is_same = text[behind : behind + 1] in (b",", b"}") and text[at:end] == bytes(value)
    return end if is_same else 0


def _skip_space(text: bytes, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def find(text: bytes, key: str) -> Member | None:
    """The last top-level member of that name (the one a parser keeps), or None."""
    kept = None
    for member in members(text):
        if member.key == key:
            kept = member
    return kept


def duplicates(text: bytes) -> list[str]:
    """The names of top-level members that occur more than once, in order."""
    seen: set[str] = set()
    twice: list[str] = []
    for member in members(text):
        if member.key in seen:
            twice.append(member.key)
        seen.add(member.key)
    return twice


def replace(text: bytes, key: str, value: bytes) -> bytes:
    """The text with the top-level member `key` (which must be there) set to `value`.

    Raises:
        KeyError: there is no such member.
    """
    member = find(text, key)
    if member is None:
        raise KeyError(key)
    return text[: member.value] + value + text[member.end :]


def insert(text: bytes, key: bytes, value: bytes) -> bytes:
    """The text with a new last member; what surrounds the object stays."""
    closing = len(text.rstrip(b" \t\n\r")) - 1
    comma = b"" if text[:closing].rstrip(b" \t\n\r").endswith(b"{") else b","
    return b'%b%b"%b":%b%b' % (text[:closing], comma, key, value, text[closing:])


def remove(text: bytes, key: str) -> bytes:
    """The text without the top-level member `key` and the comma that joined it; itself if absent."""
    member = find(text, key)
    if member is None:
        return text
    before = text[: member.start].rstrip(b" \t\n\r")
    if before.endswith(b","):
        return before[:-1] + text[member.end :]
    after = _skip_space(text, member.end)
    if text[after : after + 1] == b",":
        after += 1
    return text[: member.start] + text[after:].lstrip(b" \t\n\r")


def replace_model(text: bytes, model: str, new: str) -> bytes:
    """The text with its top-level member "model", now `model`, set to `new`.

    Where it stands first, as many clients write it, nothing need be searched.
    """
    value = json.dumps(new, ensure_ascii=False).encode()
    first = b'{"model":%b' % json.dumps(model, ensure_ascii=False).encode()
    if text.startswith(first):
        return b'{"model":%b%b' % (value, text[len(first) :])
    return replace(text, "model", value)
