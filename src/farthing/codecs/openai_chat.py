"""OpenAI chat completions: POST /v1/chat/completions.

Source: the types of openai 3.54.0, chat/completion_create_params.py and chat_completion.py
(read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from farthing.call import Endpoint
from farthing.codecs import json_edit, tally
from farthing.codecs.codec import Answer, Problem, RequestView
from farthing.codecs.once import Flag, OnceDecoder, Text, Whole
from farthing.codecs.openai_answer import (
    Choice,
    Chunk,
    error_text,
    read_chunk,
    read_metered,
    read_terms,
)
from farthing.codecs.openai_stream import ChatStream, MeteredChatStream
from farthing.codecs.problems import openai_error, openai_error_event
from farthing.codecs.prompt import Message, survey, text_tokens
from farthing.codecs.request_body import most, session_of, strings_of, text
from farthing.usage import Usage

__all__ = ["OpenAIChat"]

_INCLUDE_USAGE: Final = b'{"include_usage":true}'


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Request(msgspec.Struct, gc=False):
    model: Text
    messages: list[Message]
    stream: Flag | None = None
    stream_options: _StreamOptions | msgspec.UnsetType | None = msgspec.UNSET
    max_tokens: Whole | None = None
    max_completion_tokens: Whole | None = None
    n: Whole | None = None
    service_tier: Any = None
    user: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    metadata: Any = None


class OpenAIChat:
    """The codec of chat completions."""

    endpoint = Endpoint.OPENAI_CHAT

    def __init__(self) -> None:
        self._requests = OnceDecoder(_Request)

    def read_request(self, body: bytes, /) -> RequestView:
        """See `Codec.read_request`."""
        request = self._requests.decode(body)
        found = survey(request.messages)
        options = request.stream_options
        output_most = 0
        if request.max_tokens is not None or request.max_completion_tokens is not None:
            output_most = most(request.max_completion_tokens, request.max_tokens)
        metadata: dict[str, str] = {}
        user = service_tier = cache_key = ""
        if request.metadata is not None:
            metadata = strings_of(request.metadata)
        if request.user is not None or request.safety_identifier is not None:
            user = text(request.user) or text(request.safety_identifier)
        if request.service_tier is not None:
            service_tier = text(request.service_tier)
        if request.prompt_cache_key is not None:
            cache_key = text(request.prompt_cache_key)
        return RequestView(
            model=request.model.value,
            is_streamed=request.stream is not None and request.stream.value,
            output_most=output_most,
            choices=1 if request.n is None else max(1, request.n.value),
            wants_usage=isinstance(options, _StreamOptions) and options.include_usage is True,
            has_stream_options=options is not msgspec.UNSET,
            service_tier=service_tier,
            conversation=found.conversation,
            user=user,
            session=session_of(metadata) if metadata else "",
            metadata=metadata,
            cache_key=cache_key,
            input_estimate=text_tokens(body, found.media_bytes) + found.media_tokens,
            last_message=request.messages[-1].content if request.messages else b"",
            input_most=len(body) - found.media_bytes + found.media_tokens,
            cache_write_ttl=found.cache_write_ttl,
        )

    def write_request(
        self, body: bytes, view: RequestView, model: str, *, meter: bool = True
    ) -> bytes:
        """See `Codec.write_request`; `meter` adds include_usage where the client did not."""
        if model != view.model:
            body = json_edit.replace_model(body, view.model, model)
        if not meter or not view.is_streamed or view.wants_usage:
            return body
        if not view.has_stream_options:
            return json_edit.insert(body, b"stream_options", _INCLUDE_USAGE)
        return _with_usage_asked(body)

    def limit_output(self, body: bytes, tokens: int, member: str, /) -> bytes:
        """See `Codec.limit_output`."""
        return json_edit.insert(body, member.encode(), b"%d" % tokens)

    def read_answer(self, body: bytes, view: RequestView | None = None, /) -> Answer:
        """See `Codec.read_answer`."""
        try:
            answer = read_chunk(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            fallback = None if view is None else tally.estimate(view.input_estimate, 0, 0)
            return Answer(usage=fallback, error=f"The answer cannot be read: {error}.")
        told = bytes(answer.error)
        is_error = told not in (b"", b"null")
        fault = error_text(told) if is_error else ""
        usage, cost = None, None
        raw = bytes(answer.usage)
        if raw in (b"", b"null"):
            usage = _estimate(answer, view) if view is not None else None
            fault = f"{fault} The answer reports no usage.".lstrip()
        else:
            metered = read_metered(raw, lambda: _estimate(answer, view))
            usage, cost = metered.usage, metered.cost
            if metered.error:
                fault = f"{fault} {metered.error}".lstrip()
        return Answer(
            usage=usage,
            terms=read_terms(answer.service_tier),
            model_served=answer.model or "",
            finish_reason=_finish(answer.choices or ()),
            provider_cost=cost,
            error=fault,
            is_error=is_error,
        )

    def stream(self, view: RequestView, *, meter: bool = True) -> ChatStream:
        """See `Codec.stream`."""
        return MeteredChatStream(view) if meter and not view.wants_usage else ChatStream(view)

    def write_error(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error`."""
        return openai_error(problem)

    def write_error_event(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error_event`."""
        return openai_error_event(problem)


def _finish(choices: Sequence[Choice]) -> str:
    if len(choices) == 1:
        return choices[0].finish_reason or ""
    return ",".join(choice.finish_reason for choice in choices if choice.finish_reason)


def _estimate(answer: Chunk, view: RequestView | None) -> Usage:
    messages = [choice.message for choice in answer.choices or () if choice.message is not None]
    return tally.estimate(
        0 if view is None else view.input_estimate,
        sum(message.visible() for message in messages),
        sum(message.hidden() for message in messages),
    )


def _with_usage_asked(body: bytes) -> bytes:
    """The body with include_usage set within the stream_options that are there."""
    options = json_edit.find(body, "stream_options")
    if options is None:  # the view was made of another body
        return json_edit.insert(body, b"stream_options", _INCLUDE_USAGE)
    value = body[options.value : options.end]
    if value == b"null":
        asked = _INCLUDE_USAGE
    elif json_edit.find(value, "include_usage") is not None:
        asked = json_edit.replace(value, "include_usage", b"true")
    else:
        asked = json_edit.insert(value, b"include_usage", b"true")
    return body[: options.value] + asked + body[options.end :]
