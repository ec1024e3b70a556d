"""Anthropic messages and token counting: POST /v1/messages and /v1/messages/count_tokens.

Source: the types of anthropic 2.12.0, message_create_params.py and message_tokens_count.py
(read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

import msgspec

from farthing.call import Endpoint
from farthing.codecs import json_edit, tally
from farthing.codecs.anthropic_answer import Message, answer_of, block_lengths
from farthing.codecs.anthropic_stream import MessageStream
from farthing.codecs.codec import Answer, Problem, RequestView
from farthing.codecs.counts.anthropic import MessageCounts
from farthing.codecs.counts.decoder import CountsDecoder
from farthing.codecs.counts.overlap import Count
from farthing.codecs.once import Flag, OnceDecoder, Text, Whole
from farthing.codecs.problems import anthropic_error, anthropic_error_event
from farthing.codecs.prompt import NULL, survey, text_tokens
from farthing.codecs.prompt import Message as PromptMessage
from farthing.codecs.request_body import (
    flag,
    most,
    session_of,
    strings_of,
    text,
    user_and_session,
)
from farthing.usage import NO_USAGE

__all__ = ["AnthropicCountTokens", "AnthropicMessages"]


class _CacheControl(msgspec.Struct, gc=False):
    ttl: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: Text
    messages: list[PromptMessage]
    max_tokens: Whole | None = None
    stream: Flag | None = None
    system: msgspec.Raw = NULL
    tools: msgspec.Raw = NULL
    cache_control: _CacheControl | None = None
    service_tier: Any = None
    metadata: Any = None


class _Counted(msgspec.Struct):
    input_tokens: Count


class _AnthropicRequests:
    """What both endpoints share: their request bodies and their errors."""

    def __init__(self) -> None:
        self._requests = OnceDecoder(_Request)

    def read_request(self, body: bytes, /) -> RequestView:
        """See `Codec.read_request`."""
        request = self._requests.decode(body)
        found = survey(request.messages, request.system, request.tools)
        metadata = strings_of(request.metadata) if request.metadata is not None else {}
        user, session = user_and_session(metadata.get("user_id", ""))
        ttl = found.cache_write_ttl
        if request.cache_control is not None and ttl != "1h":
            ttl = "5m" if request.cache_control.ttl in (None, "5m") else "1h"
        return RequestView(
            model=request.model.value,
            is_streamed=flag(request.stream),
            output_most=most(request.max_tokens),
            service_tier=text(request.service_tier),
            conversation=found.conversation,
            user=user,
            session=session or session_of(metadata),
            metadata=metadata,
            input_estimate=text_tokens(body, found.media_bytes) + found.media_tokens,
            last_message=request.messages[-1].content if request.messages else b"",
            input_most=len(body) - found.media_bytes + found.media_tokens,
            cache_write_ttl=ttl,
        )

    def write_request(
        self, body: bytes, view: RequestView, model: str, *, meter: bool = True
    ) -> bytes:
        """See `Codec.write_request`; usage is always reported, so `meter` adds nothing."""
        del meter
        return body if model == view.model else json_edit.replace_model(body, view.model, model)

    def limit_output(self, body: bytes, tokens: int, member: str, /) -> bytes:
        """See `Codec.limit_output`; here every request that can have one has one."""
        del tokens, member
        return body

    def stream(self, view: RequestView, *, meter: bool = True) -> MessageStream:
        """See `Codec.stream`."""
        del meter
        return MessageStream(view)

    def write_error(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error`."""
        return anthropic_error(problem)

    def write_error_event(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error_event`."""
        return anthropic_error_event(problem)


class AnthropicMessages(_AnthropicRequests):
    """The codec of messages."""

    endpoint = Endpoint.ANTHROPIC_MESSAGES

    def __init__(self) -> None:
        super().__init__()
        self._answers = msgspec.json.Decoder(Message)
        self._counts = CountsDecoder(MessageCounts)

    def read_answer(self, body: bytes, view: RequestView | None = None, /) -> Answer:
        """See `Codec.read_answer`."""
        input_estimate = 0 if view is None else view.input_estimate
        try:
            message = self._answers.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            fallback = None if view is None else tally.estimate(input_estimate, 0, 0)
            return Answer(usage=fallback, error=f"The answer cannot be read: {error}.")
        errors: list[str] = []
        is_error = message.error is not None
        if message.error is not None:
            errors.append(f"{message.error.type}: {message.error.message}")
        model, stop_reason = message.model or "", message.stop_reason or ""
        try:
            counts = self._counts.decode(message.usage)
        except msgspec.DecodeError as error:
            errors.append(f"The provider's usage is missing or cannot be read: {error}.")
            guess = tally.estimate(input_estimate, *block_lengths(message.content))
            return Answer(
                usage=None if view is None else guess,
                model_served=model,
                finish_reason=stop_reason,
                error=" ".join(errors),
                is_error=is_error,
            )
        return answer_of(
            counts,
            model=model,
            stop_reason=stop_reason,
            write_ttl="" if view is None else view.cache_write_ttl,
            errors=errors,
            is_error=is_error,
        )


class AnthropicCountTokens(_AnthropicRequests):
    """The codec of count_tokens, which costs nothing.

    From memory, not checked against
    https://platform.claude.com/docs/en/build-with-claude/token-counting.
    """

    endpoint = Endpoint.ANTHROPIC_COUNT_TOKENS

    def __init__(self) -> None:
        super().__init__()
        self._answers = CountsDecoder(_Counted)

    def read_answer(self, body: bytes, view: RequestView | None = None, /) -> Answer:
        """See `Codec.read_answer`."""
        del view
        try:
            counted = self._answers.decode(body).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Answer(usage=NO_USAGE, error=f"The answer cannot be read: {error}.")
        return Answer(usage=NO_USAGE, counted=counted)
