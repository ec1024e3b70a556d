"""A message given again: a stream's events put together, and a whole message as events.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from farthing.codecs.recording import NotReplayable
from farthing.codecs.sse import Splitter, data_of

__all__ = ["spread_message", "whole_message"]

_encode = msgspec.json.Encoder().encode
_Object = dict[str, Any]

_IGNORED: Final = frozenset({"ping", "content_block_stop", "message_stop"})
# The deltas of a text: the delta's type, its member, and the member of the block.
_TEXTS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
_WITH_INPUT: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def whole_message(stream: bytes) -> bytes:
    """The message that a stream amounts to.

    Raises:
        NotReplayable: the stream holds what has no place in one.
    """
    message: _Object = {}
    blocks: dict[int, _Object] = {}
    inputs: dict[int, str] = {}
    for event in _events(stream):
        kind = event.get("type")
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        elif kind == "content_block_delta":
            _continue(event["index"], event["delta"], blocks, inputs)
        elif kind == "message_delta":
            message |= event.get("delta") or {}
            usage: _Object = event.get("usage") or {}
            told = {n: v for n, v in usage.items() if v is not None}
            message["usage"] = {**(message.get("usage") or {}), **told}
        elif kind not in _IGNORED:
            raise NotReplayable(f"an event of type {kind}")
    for index, text in inputs.items():
        blocks[index]["input"] = msgspec.Raw(text.encode() or b"{}")
    if not message:
        raise NotReplayable("no message")
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return _encode(message)


def _events(stream: bytes) -> Iterator[_Object]:
    for block in Splitter().split(stream):
        data = data_of(block)
        if not data:
            continue
        try:
            event = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotReplayable("an unreadable event") from error
        if not isinstance(event, dict):
            raise NotReplayable("an event that is no object")
        yield cast("_Object", event)


def _continue(
    index: int, delta: _Object, blocks: dict[int, _Object], inputs: dict[int, str]
) -> None:
    kind = delta.get("type", "")
    block = blocks.get(index)
    if block is None:
        raise NotReplayable("a delta without its block")
    if kind in _TEXTS:
        name = _TEXTS[kind]
        block[name] = (block.get(name) or "") + delta[name]
    elif kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    else:
        raise NotReplayable(f"a delta of type {kind}")


def spread_message(body: bytes) -> bytes:
    """The stream that a message amounts to."""
    message: _Object = msgspec.json.decode(body)
    usage: _Object = message.get("usage") or {}
    begun: _Object = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    begun["usage"] = {**usage, "output_tokens": min(1, usage.get("output_tokens", 0))}
    events: list[_Object] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(message.get("content") or ()):
        events += _block(index, block)
    ended = {n: message.get(n) for n in ("stop_reason", "stop_sequence")}
    events += (
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    )
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event)) for event in events
    )


def _block(index: int, block: _Object) -> Iterator[_Object]:
    kind = block.get("type")
    empty: _Object = {}
    deltas: list[_Object] = []
    if kind == "text":
        empty = {"text": ""}
        cited = block.get("citations") or ()
        deltas = [{"type": "citations_delta", "citation": c} for c in cited]
        if cited:
            empty["citations"] = []
        deltas.append({"type": "text_delta", "text": block.get("text", "")})
    elif kind == "thinking":
        empty = {"thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": block.get("thinking", "")},
            {"type": "signature_delta", "signature": block.get("signature", "")},
        ]
    elif kind in _WITH_INPUT:
        empty = {"input": {}}
        written = _encode(block.get("input", {})).decode()
        deltas = [{"type": "input_json_delta", "partial_json": written}]
    yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}
