"""Judges that need no network: how well a candidate answer does beside the reference answer.

Each takes the candidate's text and the reference's and gives a score, 0 to 1, with a reason. They
are plain functions; one that takes settings is made by a function named for it.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

import msgspec

from farthing.call import Conversation
from farthing.money import ZERO, Money

__all__ = [
    "Judge",
    "Judged",
    "exact",
    "fields",
    "normalised",
    "numeric",
    "parses",
    "regenerated",
    "tool_calls",
    "unfenced",
]

_FENCE: Final = re.compile(r"^\s*```[\w+-]*\n(.*?)\n?```\s*$", re.DOTALL)
_NUMBER: Final = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?|[-+]?\.\d+%?")
_MISSING: Final = object()


class Judged(msgspec.Struct, frozen=True):
    """A judge's word on a candidate answer: `score` 0..1, why, and what asking cost."""

    score: float
    reason: str
    cost: Money = ZERO


Judge = Callable[[str, str], Judged]


def exact(candidate: str, reference: str) -> Judged:
    """1 where the two texts are the same to the byte."""
    return _yes_no(candidate == reference, "the same text", "another text")


def normalised(candidate: str, reference: str) -> Judged:
    """1 where they are the same but for case, spaces, Unicode forms and outer punctuation."""
    is_same = _plain(candidate) == _plain(reference)
    return _yes_no(is_same, "the same but for form", "another text")


def numeric(tolerance: str = "0") -> Judge:
    """A judge of the last number in each text; `tolerance` is relative, a decimal string.

    Thousands separators and a per cent sign are understood: `1,250` is 1250, `5%` is 0.05.
    """
    most = Decimal(tolerance)

    def judge(candidate: str, reference: str) -> Judged:
        told, wanted = _last_number(candidate), _last_number(reference)
        if wanted is None:
            return normalised(candidate, reference)
        if told is None:
            return Judged(0.0, f"no number, where {wanted} was wanted")
        is_near = abs(told - wanted) <= most * abs(wanted)
        return _yes_no(is_near, f"{told} is {wanted}", f"{told}, where {wanted} was wanted")

    return judge


def fields(*, only: Sequence[str] = ()) -> Judge:
    """A judge of JSON answers: the share of the reference's fields that the candidate agrees on.

    A field is a path to a value that is neither object nor array (`items.0.name`); fields that
    only the candidate has count as wrong. `only` names the top-level fields that matter.
    """

    def judge(candidate: str, reference: str) -> Judged:
        wanted, told = _json(reference), _json(candidate)
        if wanted is _MISSING:
            return normalised(candidate, reference)
        if told is _MISSING:
            return Judged(0.0, "the answer is no JSON")
        want, have = (
            {path: leaf for path, leaf in _leaves(side) if not only or path[0] in only}
            for side in (wanted, told)
        )
        paths = {*want, *have}
        wrong = [p for p in paths if want.get(p, _MISSING) != have.get(p, _MISSING)]
        if not wrong:
            return Judged(1.0, f"all {len(paths)} fields agree")
        named = ", ".join(sorted(".".join(path) for path in wrong)[:3])
        return Judged(1 - len(wrong) / len(paths), f"{len(wrong)} of {len(paths)} differ: {named}")

    return judge


def parses(language: str) -> Judge:
    """A judge of whether the candidate is well-formed `python` or `json`; no reference is needed.

    Raises:
        ValueError: another language.
    """
    if language not in {"python", "json"}:
        raise ValueError(f"no parser for {language!r}; there are: json, python")

    def judge(candidate: str, reference: str) -> Judged:
        del reference
        text = unfenced(candidate)
        if language == "json":
            return _yes_no(_json(text) is not _MISSING, "well-formed JSON", "no JSON")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Judged(0.0, f"does not parse: {error}")
        return _yes_no(bool(text.strip()), "well-formed Python", "empty")

    return judge


def tool_calls(candidate: str, reference: str) -> Judged:
    """The share of tool calls that agree, name and arguments, in any order.

    Each text is a JSON array of `{"name", "arguments"}`; arguments may be an object or, as OpenAI
    sends them, a JSON text. Calls too many count as wrong.
    """
    told, wanted = _calls(candidate), _calls(reference)
    if wanted is None:
        raise ValueError("the reference is no JSON array of tool calls")
    if told is None:
        return Judged(0.0, "the answer holds no tool calls")
    agreed = (told & wanted).total()
    most = max(told.total(), wanted.total())
    if most == 0:
        return Judged(1.0, "neither calls a tool")
    return Judged(agreed / most, f"{agreed} of {most} tool calls agree")


def regenerated(turns: Sequence[tuple[str, Conversation]]) -> list[bool]:
    """For each (session, conversation) in order: whether its answer was asked for again.

    The same turn, step and last user text in one session again is a regeneration: nobody said
    that the first answer was bad, but it was not kept. Calls outside sessions are never one.
    """
    latest: dict[tuple[str, int, int, str], int] = {}
    again = [False] * len(turns)
    for index, (session, talk) in enumerate(turns):
        if not session or not talk.last_turn:
            continue
        key = (session, talk.turn, talk.step, talk.last_turn)
        if key in latest:
            again[latest[key]] = True
        latest[key] = index
    return again


def _yes_no(is_good: bool, yes: str, no: str) -> Judged:  # noqa: FBT001 - the verdict itself
    return Judged(1.0, yes) if is_good else Judged(0.0, no)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`*")


def _last_number(text: str) -> Decimal | None:
    found = _NUMBER.findall(text)
    if not found:
        return None
    digits = found[-1].replace(",", "")
    try:
        return Decimal(digits[:-1]) / 100 if digits.endswith("%") else Decimal(digits)
    except InvalidOperation:
        return None


def unfenced(text: str) -> str:
    """The text within a code fence, where the whole is one; else the text."""
    found = _FENCE.match(text)
    return found.group(1) if found else text


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(unfenced(text))
    except (msgspec.DecodeError, RecursionError):
        return _MISSING


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, member in cast("dict[str, Any]", value).items():
            yield from _leaves(member, (*path, name))
    elif isinstance(value, list) and value:
        for index, member in enumerate(cast("list[Any]", value)):
            yield from _leaves(member, (*path, str(index)))
    else:
        yield path or ("",), (isinstance(value, bool), cast("Any", value))


def _calls(text: str) -> Counter[bytes] | None:
    found = _json(text)
    if not isinstance(found, list):
        return None
    calls: Counter[bytes] = Counter()
    for call in cast("list[object]", found):
        if not isinstance(call, dict):
            return None
        named = cast("dict[str, Any]", call)
        told: Any = named.get("arguments")
        decoded: Any = _json(told) if isinstance(told, str) else told
        arguments: Any = told if decoded is _MISSING else decoded
        calls[msgspec.json.encode([named.get("name"), arguments], order="sorted")] += 1
    return calls
