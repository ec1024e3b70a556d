"""An answer given again, whole or streamed, from what was received once.

What was received is kept as it came. An answer to a request of the same form is byte for byte the
one received but for its id and time; one of the other form is made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from farthing.call import Endpoint
from farthing.codecs.anthropic_replay import spread_message, whole_message
from farthing.codecs.codec import Codec, RequestView
from farthing.codecs.openai_replay import spread_chat, whole_chat
from farthing.codecs.recording import Cut, NotReplayable, cut_at_id

__all__ = ["REPLAYABLE", "Content", "Cut", "NotReplayable", "inspect", "replayed"]


class _Forms(msgspec.Struct, frozen=True):
    whole: Callable[[bytes], bytes]
    spread: Callable[[bytes], bytes]


_FORMS: Final = MappingProxyType(
    {
        Endpoint.OPENAI_CHAT: _Forms(whole_chat, spread_chat),
        Endpoint.ANTHROPIC_MESSAGES: _Forms(whole_message, spread_message),
    }
)
_LAST: Final = MappingProxyType(
    {Endpoint.OPENAI_CHAT: b"[DONE]", Endpoint.ANTHROPIC_MESSAGES: b"message_stop"}
)
_LAST_BYTES: Final = 200  # the terminal event and what may stand behind it
REPLAYABLE: Final = frozenset({*_FORMS, Endpoint.OPENAI_EMBEDDINGS})


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds, as far as it matters for giving it again."""

    calls_tools: bool = False


def inspect(endpoint: Endpoint, body: bytes, *, is_stream: bool) -> Content:
    """Look whether an answer is one that may be given again: whole, not empty, not refused.

    Raises:
        NotReplayable: it is not; the text says why.
    """
    if is_stream:
        if endpoint not in _FORMS or _LAST[endpoint] not in body[-_LAST_BYTES:]:
            raise NotReplayable("without its last event")
        body = _FORMS[endpoint].whole(body)
    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotReplayable("unreadable") from error
    try:
        if answer.get("error") is not None:
            raise NotReplayable("an error")
        return _LOOKS[endpoint](answer)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotReplayable("of a form we do not know") from error


def _look_at_chat(answer: dict[str, Any]) -> Content:
    calls_tools = False
    if not answer["choices"]:
        raise NotReplayable("empty")
    for choice in answer["choices"]:
        message = choice["message"]
        calls = message.get("tool_calls") or message.get("function_call")
        if message.get("refusal"):
            raise NotReplayable("refused")
        filters: dict[str, Any] = choice.get("content_filter_results") or {}
        if any(isinstance(f, dict) and cast("Any", f).get("filtered") for f in filters.values()):
            raise NotReplayable("filtered")
        if not (message.get("content") or calls):
            raise NotReplayable("empty")
        calls_tools = calls_tools or bool(calls)
    return Content(calls_tools=calls_tools)


def _look_at_message(answer: dict[str, Any]) -> Content:
    blocks = answer["content"]
    if answer["type"] != "message" or not blocks:
        raise NotReplayable("empty")
    if all(block["type"] == "text" and not block["text"] for block in blocks):
        raise NotReplayable("empty")
    return Content(calls_tools=any(block["type"] == "tool_use" for block in blocks))


def _look_at_embeddings(answer: dict[str, Any]) -> Content:
    if not answer["data"]:
        raise NotReplayable("empty")
    return Content()


_LOOKS: Final = MappingProxyType(
    {
        Endpoint.OPENAI_CHAT: _look_at_chat,
        Endpoint.ANTHROPIC_MESSAGES: _look_at_message,
        Endpoint.OPENAI_EMBEDDINGS: _look_at_embeddings,
    }
)


class _Named(msgspec.Struct, frozen=True):
    id: str = ""
    created: int | None = None


class _Started(msgspec.Struct):
    message: _Named = _Named()


def replayed(codec: Codec, view: RequestView, body: bytes, *, is_stream: bool) -> Cut:
    """The answer to the request that `view` tells of, from one that was received.

    `is_stream` says in which form it was received; a stream was then asked to report its usage.

    Raises:
        NotReplayable: it can't be given in the form that is asked for.
    """
    endpoint = codec.endpoint
    if endpoint not in _FORMS:
        return Cut(pieces=[body])
    if is_stream and not view.is_streamed:
        body = _FORMS[endpoint].whole(body)
    elif view.is_streamed and not is_stream:
        body = _FORMS[endpoint].spread(body)
    named = _named(endpoint, body, is_stream=view.is_streamed)
    if view.is_streamed:
        reader = codec.stream(view)
        body = reader.feed(body) + reader.close()[0]
    return cut_at_id(body, named.id, named.created, is_stream=view.is_streamed)


def _named(endpoint: Endpoint, body: bytes, *, is_stream: bool) -> _Named:
    """The id and time that the answer bears."""
    try:
        if not is_stream:
            return msgspec.json.decode(body, type=_Named)
        first = body.partition(b"data: ")[2].partition(b"\n")[0]
        if endpoint is Endpoint.ANTHROPIC_MESSAGES:
            return msgspec.json.decode(first, type=_Started).message
        return msgspec.json.decode(first, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Named()
