"""A chat completion given again: a stream's chunks put together, and a whole answer in chunks.

The chunks follow https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11-24);
they are put together as the official SDKs do it: texts are joined, lists merged by `index`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from farthing.codecs.recording import NotReplayable
from farthing.codecs.sse import Splitter, data_of

__all__ = ["spread_chat", "whole_chat"]

_encode = msgspec.json.Encoder().encode
_Object = dict[str, Any]

# Members of a delta that are said once, not continued.
_SAID: Final = frozenset({"id", "index", "role", "type"})
_UNSPREADABLE: Final = frozenset({"audio"})
_OWN: Final = frozenset({"choices", "object", "usage"})


def whole_chat(stream: bytes) -> bytes:
    """The `chat.completion` that a stream amounts to.

    Raises:
        NotReplayable: the stream holds what has no place in one.
    """
    whole: _Object = {}
    choices: dict[int, _Object] = {}
    for chunk in _chunks(stream):
        for piece in chunk.pop("choices", None) or ():
            _continue(choices, piece)
        whole |= {n: v for n, v in chunk.items() if n not in whole or v is not None}
    if not choices:
        raise NotReplayable("no choice")
    whole.pop("obfuscation", None)
    usage = whole.pop("usage", None)
    is_openai = "service_tier" in whole  # its whole answers list annotations, even none
    ordered = [_ended(choices[at], has_annotations=is_openai) for at in sorted(choices)]
    made = {"id": whole.pop("id", ""), "object": "chat.completion"} | whole
    made |= {"object": "chat.completion", "choices": ordered}
    return _encode(made | ({"usage": usage} if usage is not None else {}))


def _chunks(stream: bytes) -> Iterator[_Object]:
    for block in Splitter().split(stream):
        data = data_of(block)
        if not data or data == b"[DONE]":
            continue
        try:
            chunk = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotReplayable("an unreadable chunk") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise NotReplayable("an error in the stream")
        yield cast("_Object", chunk)


def _continue(choices: dict[int, _Object], piece: _Object) -> None:
    index = piece.get("index", 0)
    choice = choices.setdefault(
        index,
        {
            "index": index,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        },
    )
    delta: _Object = piece.get("delta") or {}
    _merge(choice["message"], delta)
    if piece.get("logprobs") is not None:
        logprobs: _Object = choice["logprobs"] or {}
        choice["logprobs"] = logprobs
        _merge(logprobs, piece["logprobs"])
    for name, value in piece.items():
        if name not in ("index", "delta", "logprobs") and value is not None:
            choice[name] = value


def _merge(whole: _Object, piece: _Object) -> None:
    """Take in one delta."""
    for name, value in piece.items():
        before = whole.get(name)
        if before is None or name in _SAID:
            if value is not None or name not in whole:
                whole[name] = list(cast("list[Any]", value)) if isinstance(value, list) else value
        elif isinstance(before, str) and isinstance(value, str):
            whole[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            _merge(cast("_Object", before), cast("_Object", value))
        elif isinstance(before, list) and isinstance(value, list):
            _extend(cast("list[Any]", before), cast("list[Any]", value))
        elif value is not None:
            raise NotReplayable(f"a delta of {name} that can't be continued")


def _extend(whole: list[Any], pieces: list[Any]) -> None:
    places = {_place(item): item for item in whole}
    for piece in pieces:
        place = _place(piece)
        if place is None or place not in places:
            whole.append(piece)
        else:
            _merge(places[place], piece)


def _place(item: Any) -> int | None:
    return cast("_Object", item).get("index") if isinstance(item, dict) else None


def _ended(choice: _Object, *, has_annotations: bool) -> _Object:
    message: _Object = choice["message"]
    if has_annotations:
        message.setdefault("annotations", [])
    calls: list[_Object] | None = message.get("tool_calls")
    if calls is not None:
        for call in calls:
            call.pop("index", None)
    return choice


def spread_chat(body: bytes) -> bytes:
    """The stream that a `chat.completion` amounts to, as asked for with include_usage.

    Raises:
        NotReplayable: the answer holds what chunks can't carry.
    """
    whole: _Object = msgspec.json.decode(body)
    usage = whole.get("usage")
    head = {n: v for n, v in whole.items() if n not in _OWN}
    head = {"id": head.pop("id", ""), "object": "chat.completion.chunk"} | head
    chunks: list[_Object] = []
    for choice in whole.get("choices") or ():
        chunks += ({**head, "choices": [piece], "usage": None} for piece in _pieces(choice))
    if usage is not None:
        chunks.append({**head, "choices": [], "usage": usage})
    return b"".join(b"data: %b\n\n" % _encode(chunk) for chunk in chunks) + b"data: [DONE]\n\n"


def _pieces(choice: _Object) -> Iterator[_Object]:
    """A choice as the deltas of a stream, few and large."""
    message: _Object = choice["message"]
    if any(message.get(name) is not None for name in _UNSPREADABLE):
        raise NotReplayable("audio")
    index = choice.get("index", 0)
    calls: list[_Object] = message.get("tool_calls") or []
    text = message.get("content")
    first: _Object = {"role": message.get("role", "assistant"), "content": None if calls else ""}
    if not calls:
        first["refusal"] = None
    yield _piece(index, first)
    rest = {
        n: v
        for n, v in message.items()
        if n not in ("role", "content", "tool_calls", "refusal") and v not in (None, [])
    }
    if rest:
        yield _piece(index, rest)
    logprobs = choice.get("logprobs")
    if text or logprobs is not None:
        yield _piece(index, {"content": text or ""}, logprobs)
    if message.get("refusal") is not None:
        yield _piece(index, {"refusal": message["refusal"]})
    for place, call in enumerate(calls):
        yield from _call(index, place, call)
    extra = {n: v for n, v in choice.items() if n not in ("index", "message", "logprobs")}
    yield _piece(index, {}) | extra


def _call(index: int, place: int, call: _Object) -> Iterator[_Object]:
    function = call.get("function")
    if function is None:
        yield _piece(index, {"tool_calls": [{"index": place, **call}]})
        return
    begun = {"index": place, **call, "function": {**function, "arguments": ""}}
    yield _piece(index, {"tool_calls": [begun]})
    said = {"index": place, "function": {"arguments": function.get("arguments", "")}}
    yield _piece(index, {"tool_calls": [said]})


def _piece(index: int, delta: _Object, logprobs: Any = None) -> _Object:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
