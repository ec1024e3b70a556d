"""The parts of an OpenAI chat answer, whole or in chunks, that we need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from farthing.codecs.counts.decoder import CountsDecoder
from farthing.codecs.counts.openai import ChatCounts, read_chat
from farthing.codecs.counts.overlap import UsageError
from farthing.codecs.provider_cost import StatedCost, read_cost
from farthing.money import Money
from farthing.usage import STANDARD, Terms, Usage

__all__ = [
    "EMPTY",
    "Choice",
    "Chunk",
    "Metered",
    "error_text",
    "read_chunk",
    "read_metered",
    "read_terms",
]

EMPTY: Final = msgspec.Raw(b"")


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None
    name: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | list[Any] | None = None  # Mistral: blocks, where it reasons
    reasoning_content: str | None = None  # DeepSeek, vLLM
    reasoning: str | None = None  # OpenRouter, Groq
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None

    def is_plain(self) -> bool:
        """Whether nothing but content is there, as in nearly every chunk."""
        return (
            self.tool_calls is None
            and self.reasoning_content is None
            and self.reasoning is None
            and self.refusal is None
            and self.function_call is None
        )

    def hidden(self) -> int:
        """Characters of reasoning."""
        return len(self.reasoning_content or self.reasoning or "")

    def visible(self) -> int:
        """Characters of everything else."""
        content = self.content or ""
        if type(content) is not str:
            content = msgspec.json.encode(content)
        count = len(content)
        if self.refusal is not None:
            count += len(self.refusal)
        for call in self.tool_calls or ():
            if call.function is not None:
                count += len(call.function.arguments or "") + len(call.function.name or "")
        if self.function_call is not None:
            count += len(self.function_call.arguments or "")
        return count

    def beyond(self) -> int:
        """Bytes of all this over one a character."""
        texts = [self.reasoning_content or self.reasoning, self.refusal]
        if type(self.content) is str:
            texts.append(self.content)
        for call in self.tool_calls or ():
            if call.function is not None:
                texts += (call.function.arguments, call.function.name)
        if self.function_call is not None:
            texts.append(self.function_call.arguments)
        return sum(len(t.encode()) - len(t) for t in texts if t and not t.isascii())


class Choice(msgspec.Struct, gc=False):
    """One choice: of a whole answer (`message`) or of a chunk (`delta`)."""

    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """A chat.completion or a chat.completion.chunk; both have these members."""

    choices: list[Choice] | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY


class _Lean(msgspec.Struct):
    """A `Chunk` whose choices have a form we do not know; what is money is read all the same."""

    choices: msgspec.Raw = EMPTY
    model: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY


_chunks = msgspec.json.Decoder(Chunk)
_lean = msgspec.json.Decoder(_Lean)


def read_chunk(data: bytes) -> Chunk:
    """The chunk or the whole answer that the data holds.

    Choices of an unknown form become one empty choice.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: the data is no such object.
    """
    try:
        return _chunks.decode(data)
    except msgspec.ValidationError:
        lean = _lean.decode(data)
    has_choices = bytes(lean.choices) not in (b"", b"[]", b"null")
    return Chunk(
        choices=[Choice()] if has_choices else None,
        model=lean.model,
        service_tier=lean.service_tier,
        usage=lean.usage,
        error=lean.error,
    )


class Metered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a usage object says; `error` where it contradicts itself."""

    usage: Usage
    cost: Money | None = None
    error: str = ""


_counts = CountsDecoder(ChatCounts)
_stated = msgspec.json.Decoder(StatedCost)


def read_metered(raw: bytes, fallback: Callable[[], Usage]) -> Metered:
    """What a usage object says. Usage that can't be read is estimated by `fallback`, never 0.

    A call that was served is not failed over its provider's bookkeeping, so nothing raises here.
    """
    cost: Money | None = None
    try:
        counts = _counts.decode(raw)
        usage = read_chat(counts)
        if b"cost" not in raw:
            return Metered(usage=usage)
    except (UsageError, msgspec.DecodeError):
        pass  # told below, with what else is wrong
    errors: list[str] = []
    if b"cost" in raw:  # every name that a provider gives its own figure has the word in it
        try:
            cost = read_cost(_stated.decode(raw))
        except (UsageError, msgspec.DecodeError) as error:
            errors.append(str(error))
    try:
        counts = _counts.decode(raw)
    except msgspec.DecodeError as error:
        errors.append(f"The provider's usage cannot be read: {error}.")
        return Metered(usage=fallback(), cost=cost, error=" ".join(errors))
    try:
        usage = read_chat(counts)
    except UsageError as error:
        errors.append(str(error))
        usage = counts.rough()
    return Metered(usage=usage, cost=cost, error=" ".join(errors))


def read_terms(service_tier: str | None) -> Terms:
    """The terms by the answer's service_tier, which names the tier that served.

    "auto" is a wish, not a tier; Groq calls its standard tier "on_demand". "fast" and "priority"
    are one tier, and answers say "priority".
    Source: the types of openai 3.54.0, chat_completion.py (read 2026-11-24).
    """
    if service_tier in (None, "", "default", "auto", "on_demand", "standard"):
        return STANDARD
    return Terms(service_tier="priority" if service_tier == "fast" else service_tier)


def error_text(raw: bytes) -> str:
    """The message of an error object, or its text as it stands (at most 500 bytes)."""
    try:
        message = msgspec.json.decode(raw, type=_Error).message
    except msgspec.DecodeError:
        message = ""
    return message or raw[:500].decode(errors="replace")


class _Error(msgspec.Struct, gc=False):
    message: str = ""
