"""The parts of an Anthropic message, whole or streamed, that we need."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farthing.codecs.codec import Answer
from farthing.codecs.counts.anthropic import MessageCounts, read_messages, read_parts, read_terms
from farthing.codecs.counts.overlap import UsageError
from farthing.usage import NO_USAGE

__all__ = ["EMPTY", "ApiError", "Delta", "Event", "Message", "answer_of", "block_lengths"]

EMPTY: Final = msgspec.Raw(b"")


class ApiError(msgspec.Struct, gc=False):
    """Anthropic's error object."""

    type: str = ""
    message: str = ""


class _Model(msgspec.Struct, gc=False):
    model: str | None = None


class Block(msgspec.Struct, gc=False):
    """A content block; `to` names the model that takes over at a fallback block."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    input: Any = None
    to: _Model | None = None


class Message(msgspec.Struct, gc=False):
    """A whole message, or the one within message_start."""

    type: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    content: msgspec.Raw = EMPTY
    usage: msgspec.Raw = EMPTY
    error: ApiError | None = None


class Delta(msgspec.Struct, gc=False):
    """The delta of a content block, or of the message."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    """Any event of the stream, by its `type`."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    message: Message | None = None
    content_block: Block | None = None
    usage: msgspec.Raw = EMPTY
    error: ApiError | None = None


_blocks = msgspec.json.Decoder(list[Block])


def block_lengths(content: msgspec.Raw) -> tuple[int, int]:
    """Characters of visible output (text, tool input) and of thinking.

    Content of a form we do not know counts by its bytes.
    """
    try:
        blocks = _blocks.decode(content)
    except msgspec.DecodeError:
        return len(content), 0
    visible = hidden = 0
    for block in blocks:
        visible += len(block.text or "")
        hidden += len(block.thinking or "")
        if block.input is not None:
            visible += len(msgspec.json.encode(block.input))
    return visible, hidden


def answer_of(
    counts: MessageCounts,
    *,
    model: str,
    stop_reason: str,
    write_ttl: str,
    errors: list[str],
    is_error: bool,
) -> Answer:
    """The answer that final counts amount to.

    A refusal before any output is not billed.
    Source: https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback as quoted in
    https://github.com/QuantumNous/new-api/pull/7162 (read 2026-11-24).
    """
    errors = list(errors)
    parts = ()
    try:
        usage = read_messages(counts, write_ttl=write_ttl)
        parts = read_parts(counts, model, write_ttl=write_ttl)
    except UsageError as error:
        errors.append(str(error))
        usage = counts.rough()
    if stop_reason == "refusal" and not counts.output_tokens:
        usage = NO_USAGE
    return Answer(
        usage=usage,
        parts=parts,
        terms=read_terms(counts),
        model_served=model,
        finish_reason=stop_reason,
        error=" ".join(errors),
        is_error=is_error,
    )
