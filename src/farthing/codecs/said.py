"""What a whole answer says, and what a request asks of a model, alike for both protocols.

Levers that compare answers or choose models need the words and the demands, not the wire format.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from farthing.call import Endpoint
from farthing.codecs import json_edit
from farthing.codecs.prompt import NULL, Message

__all__ = ["Demands", "Said", "demands_of", "head_of", "said_in", "texts_in", "with_effort"]

_EMPTY: Final = msgspec.Raw(b"")
_IMAGES: Final = (b'"image_url"', b'"input_image"', b'"image"')


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The first choice of an answer.

    `calls` are its tool calls, each a name and its arguments as JSON in one form; `is_cut` says
    that a limit on output ended it; `is_refusal` that the provider marks it as refused.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    is_cut: bool = False
    is_refusal: bool = False


class Demands(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs a model to be able to do. `schema` is the JSON schema asked for."""

    tools: bool = False
    images: bool = False
    schema: dict[str, Any] | None = None
    is_json: bool = False


class _Schema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _Format(msgspec.Struct):
    type: str | None = None
    json_schema: _Schema | None = None
    schema: dict[str, Any] | None = None


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Request(msgspec.Struct):
    messages: list[Message] = []
    system: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY
    functions: msgspec.Raw = _EMPTY
    response_format: _Format | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


_requests: Final = msgspec.json.Decoder(_Request)


def demands_of(body: bytes) -> Demands:
    """What a request needs; where its form is not known, what can be told by its words.

    A picture is told by the words that every picture is written with: they can stand elsewhere
    too, and then a model that takes pictures is asked for without need.
    """
    images = any(word in body for word in _IMAGES)
    try:
        request = _requests.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Demands(tools=b'"tools"' in body, images=images)
    form = request.response_format or request.output_format
    if form is None and request.output_config is not None:
        form = request.output_config.format
    schema = None
    if form is not None:
        schema = form.json_schema.schema if form.json_schema is not None else form.schema
    return Demands(
        tools=_is_there(request.tools) or _is_there(request.functions),
        images=images,
        schema=schema,
        is_json=form is not None and form.type in ("json_object", "json_schema"),
    )


def head_of(body: bytes, characters: int) -> str:
    """How a prompt begins: the system's and the messages' text in order, so many characters."""
    try:
        request = _requests.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    parts: list[str] = []
    room = characters
    for raw in (request.system, *(message.content for message in request.messages)):
        if room <= 0:
            break
        part = "\n".join(texts_in(msgspec.json.decode(raw))) if raw not in (_EMPTY, NULL) else ""
        if part:
            parts.append(part[:room])
            room -= len(part)
    return "\n".join(parts)


def said_in(endpoint: Endpoint, body: bytes) -> Said | None:
    """What an answer says; None where it cannot be read, or the endpoint's answers say nothing."""
    read = {Endpoint.OPENAI_CHAT: _chat, Endpoint.ANTHROPIC_MESSAGES: _message}.get(endpoint)
    if read is None:
        return None
    try:
        return read(msgspec.json.decode(body))
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ):
        return None


def with_effort(endpoint: Endpoint, body: bytes, effort: str) -> bytes:
    """The request at another reasoning effort; one that names its own keeps it."""
    if endpoint is not Endpoint.OPENAI_CHAT or json_edit.find(body, "reasoning_effort"):
        return body
    return json_edit.insert(body, b"reasoning_effort", msgspec.json.encode(effort))


def _is_there(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null", b"[]")


def texts_in(content: Any) -> list[str]:
    """The texts of a content: itself, or those of its blocks."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    blocks = [cast("dict[str, Any]", b) for b in cast("list[Any]", content) if isinstance(b, dict)]
    return [text for block in blocks if isinstance(text := block.get("text"), str)]


def _chat(answer: dict[str, Any]) -> Said:
    choice = answer["choices"][0]
    message: dict[str, Any] = choice["message"]
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if message.get("function_call"):
        calls.append(message["function_call"])
    return Said(
        text="\n".join(texts_in(message.get("content"))),
        calls=tuple((str(c["name"]), _one_form(c.get("arguments"))) for c in calls),
        is_cut=choice.get("finish_reason") == "length",
        is_refusal=bool(message.get("refusal")),
    )


def _message(answer: dict[str, Any]) -> Said:
    blocks: list[dict[str, Any]] = answer["content"]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    return Said(
        text="\n".join(block["text"] for block in blocks if block["type"] == "text"),
        calls=tuple((str(c["name"]), _one_form(c.get("input"))) for c in calls),
        is_cut=answer.get("stop_reason") == "max_tokens",
        is_refusal=answer.get("stop_reason") == "refusal",
    )


def _one_form(arguments: Any) -> str:
    """A call's arguments as JSON with its members in order; as they are where they are none."""
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            return str(arguments)
    return msgspec.json.encode(arguments, order="sorted").decode()
