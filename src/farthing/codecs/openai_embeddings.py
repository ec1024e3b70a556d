"""OpenAI embeddings: POST /v1/embeddings.

Source: the types of openai 3.54.0, embedding_create_params.py and create_embedding_response.py
(read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

import msgspec

from farthing.call import Endpoint
from farthing.codecs import json_edit
from farthing.codecs.codec import Answer, Problem, RequestView
from farthing.codecs.counts.decoder import CountsDecoder
from farthing.codecs.counts.openai import EmbeddingCounts, read_embeddings
from farthing.codecs.counts.overlap import UsageError
from farthing.codecs.once import OnceDecoder, Text
from farthing.codecs.openai_answer import EMPTY, error_text
from farthing.codecs.openai_stream import ChatStream
from farthing.codecs.problems import openai_error, openai_error_event
from farthing.codecs.prompt import text_tokens
from farthing.codecs.provider_cost import StatedCost, read_cost
from farthing.codecs.request_body import text
from farthing.usage import Usage

__all__ = ["OpenAIEmbeddings"]


class _Request(msgspec.Struct, gc=False):
    model: Text
    input: msgspec.Raw
    user: Any = None


class _Answer(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY


class OpenAIEmbeddings:
    """The codec of embeddings. They have no stream; a `stream` reader only passes bytes on."""

    endpoint = Endpoint.OPENAI_EMBEDDINGS

    def __init__(self) -> None:
        self._requests = OnceDecoder(_Request)
        self._answers = msgspec.json.Decoder(_Answer)
        self._counts = CountsDecoder(EmbeddingCounts)
        self._stated = msgspec.json.Decoder(StatedCost)

    def read_request(self, body: bytes, /) -> RequestView:
        """See `Codec.read_request`. Input may be text, texts, tokens or lists of tokens."""
        request = self._requests.decode(body)
        source = bytes(request.input)
        is_text = b'"' in source
        return RequestView(
            model=request.model.value,
            user=text(request.user),
            input_estimate=text_tokens(source) if is_text else source.count(b",") + 1,
            input_most=len(source),
        )

    def write_request(
        self, body: bytes, view: RequestView, model: str, *, meter: bool = True
    ) -> bytes:
        """See `Codec.write_request`."""
        del meter
        return body if model == view.model else json_edit.replace_model(body, view.model, model)

    def limit_output(self, body: bytes, tokens: int, member: str, /) -> bytes:
        """See `Codec.limit_output`; here every request that can have one has one."""
        del tokens, member
        return body

    def read_answer(self, body: bytes, view: RequestView | None = None, /) -> Answer:
        """See `Codec.read_answer`."""
        fallback = None if view is None else Usage(input=view.input_estimate, is_estimated=True)
        try:
            answer = self._answers.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Answer(usage=fallback, error=f"The answer cannot be read: {error}.")
        told = bytes(answer.error)
        is_error = told not in (b"", b"null")
        errors = [error_text(told)] if is_error else []
        raw = bytes(answer.usage)
        model = answer.model or ""
        if raw in (b"", b"null"):
            errors.append("The answer reports no usage.")
            return Answer(
                usage=fallback, model_served=model, error=" ".join(errors), is_error=is_error
            )
        cost = None
        try:
            cost = read_cost(self._stated.decode(raw))
            counts = self._counts.decode(raw)
        except (UsageError, msgspec.DecodeError) as error:
            errors.append(f"The provider's usage cannot be read: {error}")
            return Answer(
                usage=fallback, model_served=model, error=" ".join(errors), is_error=is_error
            )
        try:
            usage = read_embeddings(counts)
        except UsageError as error:
            errors.append(str(error))
            usage = counts.rough()
        return Answer(
            usage=usage,
            model_served=model,
            provider_cost=cost,
            error=" ".join(errors),
            is_error=is_error,
        )

    def stream(self, view: RequestView, *, meter: bool = True) -> ChatStream:
        """See `Codec.stream`."""
        del meter
        return ChatStream(view)

    def write_error(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error`."""
        return openai_error(problem)

    def write_error_event(self, problem: Problem, /) -> bytes:
        """See `Codec.write_error_event`."""
        return openai_error_event(problem)
