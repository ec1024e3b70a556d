"""One form for all requests that ask the same: what the exact cache and coalescing compare.

Key order, insignificant whitespace, escapes, Unicode composition (NFC), `1` or `1.0`, a text or one
text block, a null or an absent member: all of these ask the same. Everything else counts, members
that we do not know included, but for the few that say how an answer travels and for whom.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any, Final, cast

import msgspec

from farthing.call import Endpoint

__all__ = ["SAMPLED", "Canonical", "NotCanonical", "canonical_request"]

# How the answer travels and for whom; none of them changes a word of it.
_TRAVEL: Final = frozenset({"stream", "stream_options"})
_NEUTRAL: Final = {
    Endpoint.OPENAI_CHAT: _TRAVEL
    | {"metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user"},
    Endpoint.OPENAI_EMBEDDINGS: frozenset({"user"}),
    Endpoint.ANTHROPIC_MESSAGES: _TRAVEL | {"metadata"},
}
SAMPLED: Final = frozenset({Endpoint.OPENAI_CHAT, Endpoint.ANTHROPIC_MESSAGES})
_TEMPERATURE_DEFAULT: Final = 1.0
_TOOL_TYPES: Final = frozenset({"tool_use", "tool_result"})
_WHOLE_MAX: Final = 2**53
_SLOT: Final = {"": "slot"}
_encode = msgspec.json.Encoder(order="deterministic").encode


class NotCanonical(ValueError):
    """The body has no one meaning: it can't be read, or a member stands twice."""


class Canonical(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request in its one form.

    `shape` stands for all of it but `slot`, the text of the last message where that is a user's
    plain text: a SHA-256, for the rest may be long and is only ever compared. `temperature` is the provider's default where none is given; embeddings have none.
    """

    shape: bytes
    slot: str = ""
    has_slot: bool = False
    is_first_turn: bool = False
    temperature: float = 0.0
    choices: int = 1
    has_tool_turns: bool = False
    is_kept_upstream: bool = False


def canonical_request(endpoint: Endpoint, body: bytes) -> Canonical:
    """The request in its one form.

    Raises:
        NotCanonical: the body has no one meaning.
    """
    request = _read(body)
    for name in [n for n, v in request.items() if v is None or n in _NEUTRAL.get(endpoint, ())]:
        del request[name]
    choices = request.get("n", 1)
    if choices == 1:
        request.pop("n", None)
    messages = request.get("messages")
    slot, has_slot = "", False
    turns: list[dict[str, Any]] = []
    if "system" in request:
        request["system"] = _plain(request["system"])
    if isinstance(messages, list):
        turns = [m for m in cast("list[Any]", messages) if isinstance(m, dict)]
        for turn in turns:
            if "content" in turn:
                turn["content"] = _plain(turn["content"])
        last = turns[-1] if turns else {}
        if last.get("role") == "user" and isinstance(last.get("content"), str):
            slot, has_slot = last["content"], True
            last["content"] = _SLOT
    return Canonical(
        shape=hashlib.sha256(b"%d%b" % (has_slot, _written(request))).digest(),
        slot=slot,
        has_slot=has_slot,
        is_first_turn=has_slot and all(t.get("role") != "assistant" for t in turns),
        temperature=_temperature(endpoint, request),
        choices=choices if isinstance(choices, int) else 0,
        has_tool_turns=any(map(_is_tool_turn, turns)),
        is_kept_upstream=request.get("store") is True,
    )


def _read(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(
            body.decode(),
            object_pairs_hook=_once,
            parse_float=_number,
            parse_constant=_refused,
        )
    except (ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error
    if not isinstance(request, dict):
        raise NotCanonical("The body is no JSON object.")
    return cast("dict[str, Any]", request)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; parsers disagree on which of two equal keys counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotCanonical("A member stands twice.")
    return made


def _number(text: str) -> int | float:
    value = float(text)
    if abs(value) < _WHOLE_MAX and value.is_integer():
        return int(value)
    if value in (float("inf"), float("-inf")):
        raise NotCanonical("A number is out of range.")
    return value


def _refused(text: str) -> None:
    raise NotCanonical(f"{text} is not JSON.")


def _plain(content: Any) -> Any:
    """One block of text as that text; anything else as it is."""
    if not isinstance(content, list):
        return content
    blocks = cast("list[Any]", content)
    if len(blocks) != 1 or not isinstance(blocks[0], dict):
        return blocks
    block = cast("dict[str, Any]", blocks[0])
    is_text = block.keys() == {"type", "text"} and block["type"] == "text"
    return block["text"] if is_text and isinstance(block["text"], str) else blocks


def _written(request: dict[str, Any]) -> bytes:
    """The request with its members in order; no two that differ are written the same."""
    try:
        try:
            data = _encode(request)
        except OverflowError:  # a whole number of more than 64 bits; slow
            data = json.dumps(request, ensure_ascii=False, sort_keys=True).encode()
    except (UnicodeEncodeError, RecursionError) as error:  # half of a surrogate pair
        raise NotCanonical(str(error)) from error
    # No mark that stands between JSON's strings composes with a character within them.
    return data if data.isascii() else unicodedata.normalize("NFC", data.decode()).encode()


def _temperature(endpoint: Endpoint, request: dict[str, Any]) -> float:
    if endpoint not in SAMPLED:
        return 0.0
    given = request.get("temperature", _TEMPERATURE_DEFAULT)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if is_number else _TEMPERATURE_DEFAULT


def _is_tool_turn(turn: dict[str, Any]) -> bool:
    if turn.get("role") in ("tool", "function") or turn.get("tool_calls"):
        return True
    content = turn.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and cast("dict[str, Any]", block).get("type") in _TOOL_TYPES
        for block in cast("list[Any]", content)
    )
