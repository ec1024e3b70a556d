"""What people see of a request and of its answer, as text: for judges, never for providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from farthing.call import Endpoint
from farthing.codecs import json_edit
from farthing.codecs.anthropic_replay import whole_message
from farthing.codecs.openai_replay import whole_chat
from farthing.codecs.recording import NotReplayable
from farthing.codecs.said import texts_in

__all__ = ["Shown", "asked_text", "question_body", "shown", "unstreamed", "with_tier"]

_encode = msgspec.json.Encoder().encode
_STREAM_MEMBERS: Final = ("stream", "stream_options")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as its reader sees it: the text, and the tool calls as a JSON array.

    Each tool call is `{"name", "arguments"}`; empty where none is called.
    """

    text: str = ""
    tools: str = ""


def shown(endpoint: Endpoint, body: bytes, *, is_stream: bool = False) -> Shown:
    """What an answer shows, whole or from the bytes of its stream; of a form unknown: nothing."""
    try:
        if is_stream:
            is_chat = endpoint is Endpoint.OPENAI_CHAT
            body = whole_chat(body) if is_chat else whole_message(body)
        answer = msgspec.json.decode(body)
        if endpoint is Endpoint.OPENAI_CHAT:
            return _of_chat(answer)
        if endpoint is Endpoint.ANTHROPIC_MESSAGES:
            return _of_message(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, NotReplayable):
        return Shown()
    except (KeyError, TypeError, AttributeError, IndexError):
        return Shown()
    return Shown()


def _of_chat(answer: dict[str, Any]) -> Shown:
    message = answer["choices"][0]["message"]
    calls = [c["function"] for c in message.get("tool_calls") or () if c.get("function")]
    named = [{"name": c.get("name"), "arguments": c.get("arguments")} for c in calls]
    text = _text(message.get("content")) or message.get("refusal") or ""
    return Shown(text=text, tools=_encode(named).decode() if named else "")


def _of_message(answer: dict[str, Any]) -> Shown:
    blocks = answer["content"]
    named = [
        {"name": b.get("name"), "arguments": b.get("input")}
        for b in blocks
        if b.get("type") == "tool_use"
    ]
    return Shown(text=_text(blocks), tools=_encode(named).decode() if named else "")


def _text(content: Any) -> str:
    return "".join(texts_in(content))


def asked_text(body: bytes) -> str:
    """A request's instructions and messages as text, for a judge to read."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "\n\n".join(_turns(cast("dict[str, Any]", request))) if isinstance(request, dict) else ""


def _turns(request: dict[str, Any]) -> Iterator[str]:
    system = _text(request.get("system"))
    if system:
        yield f"system: {system}"
    messages = request.get("messages")
    for message in cast("list[Any]", messages) if isinstance(messages, list) else []:
        if isinstance(message, dict):
            turn = cast("dict[str, Any]", message)
            yield f"{turn.get('role', 'user')}: {_text(turn.get('content'))}"


def unstreamed(body: bytes) -> bytes:
    """The same request, to be answered whole; every other byte stays."""
    for name in _STREAM_MEMBERS:
        body = json_edit.remove(body, name)
    return body


def with_tier(endpoint: Endpoint, body: bytes, tier: str) -> bytes:
    """The same request at a service tier, where the endpoint's protocol knows tiers by name."""
    if not tier or endpoint is not Endpoint.OPENAI_CHAT:
        return body
    body = json_edit.remove(body, "service_tier")
    return json_edit.insert(body, b"service_tier", msgspec.json.encode(tier))


def question_body(endpoint: Endpoint, model: str, text: str, output_most: int) -> bytes:
    """A request that asks `model` one thing, in the form of a chat endpoint."""
    limit = "max_completion_tokens" if endpoint is Endpoint.OPENAI_CHAT else "max_tokens"
    messages = [{"role": "user", "content": text}]
    return _encode({"model": model, limit: output_most, "messages": messages})
