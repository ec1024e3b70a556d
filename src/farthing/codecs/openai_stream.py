"""Reads a streamed OpenAI chat completion as it passes.

| state      | event                      | becomes  | the client gets                            |
|------------|----------------------------|----------|--------------------------------------------|
| streaming  | chunk                      | same     | it; without "usage": null if we asked      |
| streaming  | chunk with usage, choices  | same     | it                                         |
| streaming  | chunk with usage, no choice| same     | nothing, if we asked and not the client    |
| streaming  | error object               | same     | it                                         |
| streaming  | [DONE]                     | complete | it                                         |

With stream_options.include_usage, every chunk carries "usage": null, but for a last one that
carries the usage and no choices. Azure and vLLM do as OpenAI does; DeepSeek and OpenRouter report
usage in the last chunk with choices, asked or not.
Source: the types of openai 3.54.0, chat_completion_chunk.py and
https://openrouter.ai/docs/use-cases/usage-accounting (read 2026-11-24).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from farthing.codecs import json_edit, tally
from farthing.codecs.codec import Answer, RequestView
from farthing.codecs.openai_answer import (
    EMPTY,
    Choice,
    Chunk,
    Metered,
    error_text,
    read_chunk,
    read_metered,
    read_terms,
)
from farthing.codecs.sse import Splitter, data_of, first_end, read_event
from farthing.usage import Usage

__all__ = ["ChatStream", "MeteredChatStream"]

_ERRORS_MAX = 5


class _Head(msgspec.Struct, omit_defaults=True):
    """What all chunks of a stream have in common."""

    id: str = ""
    object: str = "chat.completion.chunk"
    created: int = 0
    model: str = ""
    system_fingerprint: str | None = None


# A "usage": null that only scalar members follow, up to a closing brace that ends the event: so
# that brace is the outermost, and the member stands directly in it.
_LAST_NULL_USAGE = re.compile(
    rb',"usage":\s*+null(?=(?:,"[^"\\]*+":\s*+(?:"[^"\\]*+"|[^\s,{}\[\]"]++))*+\}\s*+$)'
)


class ChatStream:
    """Passes every byte on at once and reads what it has passed."""

    def __init__(self, view: RequestView) -> None:
        self.is_complete = False
        self._splitter = Splitter()
        self._input_estimate = view.input_estimate
        self._visible = 0
        self._hidden = 0
        self._beyond = 0  # bytes of text over one a character
        self._head = b""  # the data of the first event
        self._view = view
        self._begun: bytes | None = None  # see `Splitter.begun`, before the last feed
        self._model = ""
        self._tier: str | None = None
        self._reasons: dict[int, str] = {}
        self._metered: Metered | None = None
        self._errors: list[str] = []
        self._is_error = False

    @property
    def output_most(self) -> int:
        """See `StreamReader.output_most`."""
        return self._visible + self._hidden + self._beyond

    def finish_early(self, shown: bytes, details: Mapping[str, Any], /) -> bytes | None:
        """A chunk with `finish_reason: "length"`, usage where the client asked for it, `[DONE]`."""
        rest = b""
        if self._begun is not None:
            rest = shown[: first_end(self._begun, shown)]
            if not rest:
                return None
        try:
            head = msgspec.json.decode(self._head, type=_Head)
        except msgspec.DecodeError:
            head = _Head()
        common: dict[str, Any] = msgspec.to_builtins(head)
        stop: dict[str, Any] = {"delta": {}, "logprobs": None, "finish_reason": "length"}
        running = [n for n in range(max(1, self._view.choices)) if n not in self._reasons]
        choices = [{"index": index, **stop} for index in running]
        events = [{**common, "choices": choices, "farthing": dict(details)}]
        if self._view.wants_usage:
            usage = self._estimate()
            told = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            }
            events.append({**common, "choices": [], "usage": told})
        self._reasons |= dict.fromkeys(running, "length")
        written = b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events)
        return rest + written + b"data: [DONE]\n\n"

    def feed(self, data: bytes, /) -> bytes:
        """The same bytes; nothing is held back."""
        self._begun = self._splitter.begun
        sole = self._splitter.sole_data(data)
        if sole:
            self._learn(sole)
            return data
        for block in self._splitter.split(data):
            self._learn(data_of(block))
        return data

    def close(self) -> tuple[bytes, Answer]:
        """No bytes, and what was learnt."""
        self._learn_rest(self._splitter.close())
        return b"", self._answer()

    def _learn_rest(self, rest: bytes) -> Chunk | None:
        """Take in the last event, which no blank line ended."""
        if self._splitter.is_spilling:
            return None
        return self._learn(read_event(rest).data)

    def _learn(self, data: bytes) -> Chunk | None:
        """Take in one event's data; the chunk it holds, if it is one."""
        if not data:
            return None
        if data == b"[DONE]":
            self.is_complete = True
            return None
        if not self._head:
            self._head = data
        try:
            chunk = read_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._note(f"An event of the stream cannot be read: {error}.")
            return None
        for choice in chunk.choices or ():
            self._learn_choice(choice)
        if chunk.model is not None:
            self._model = chunk.model
        if chunk.service_tier is not None:
            self._tier = chunk.service_tier
        if chunk.usage is not EMPTY or chunk.error is not EMPTY:
            self._learn_rare(chunk)
        return chunk

    def _learn_choice(self, choice: Choice) -> None:
        delta = choice.delta
        if delta is not None:
            content = delta.content
            if type(content) is str and delta.is_plain():
                self._visible += len(content)
                if not content.isascii():
                    self._beyond += len(content.encode()) - len(content)
            else:
                self._visible += delta.visible()
                self._hidden += delta.hidden()
                self._beyond += delta.beyond()
        if choice.finish_reason is not None:
            self._reasons[choice.index] = choice.finish_reason

    def _learn_rare(self, chunk: Chunk) -> None:
        usage, error = bytes(chunk.usage), bytes(chunk.error)
        if usage not in (b"", b"null"):
            self._metered = read_metered(usage, self._estimate)
        if error not in (b"", b"null"):
            self._note(error_text(error))
            self._is_error = True

    def _note(self, error: str) -> None:
        if len(self._errors) < _ERRORS_MAX:
            self._errors.append(error)

    def _estimate(self) -> Usage:
        return tally.estimate(self._input_estimate, self._visible, self._hidden)

    def _answer(self) -> Answer:
        if self._splitter.has_spilled:
            self._note("An event longer than the limit was passed on unread.")
        metered = self._metered or Metered(usage=self._estimate())
        errors = [*self._errors, metered.error] if metered.error else self._errors
        return Answer(
            usage=metered.usage,
            terms=read_terms(self._tier),
            model_served=self._model,
            finish_reason=",".join(self._reasons[index] for index in sorted(self._reasons)),
            provider_cost=metered.cost,
            error=" ".join(errors),
            is_error=self._is_error,
        )


class MeteredChatStream(ChatStream):
    """Reads a stream that reports usage on our asking, and hides that from the client.

    Events are held until they are whole, because part of one may have to go.
    """

    def __init__(self, view: RequestView) -> None:
        super().__init__(view)
        self._last_was_shown = True

    def feed(self, data: bytes, /) -> bytes:
        """The bytes the client would have got had we not asked for usage."""
        self._begun = None  # only whole events go out
        splitter = self._splitter
        sole = splitter.sole_data(data)
        if sole:
            return self._show(data, sole)
        blocks = splitter.split(data)
        late = b"\n" if splitter.has_late_lf and self._last_was_shown else b""
        shown = b"".join([self._show(block, data_of(block)) for block in blocks])
        out = late + splitter.spilled_before + shown + splitter.spilled_after
        return data if out == data else out

    def close(self) -> tuple[bytes, Answer]:
        """The last event, if no blank line ended it, and what was learnt."""
        rest = self._splitter.close()
        chunk = self._learn_rest(rest)
        shown = rest if chunk is None else self._filtered(rest, read_event(rest).data, chunk)
        return shown, self._answer()

    def _show(self, block: bytes, data: bytes) -> bytes:
        chunk = self._learn(data)
        if chunk is None or chunk.usage is EMPTY:
            self._last_was_shown = True
            return block
        shown = self._filtered(block, data, chunk)
        self._last_was_shown = shown != b""
        return shown

    def _filtered(self, block: bytes, data: bytes, chunk: Chunk) -> bytes:
        """The block without what include_usage added to it."""
        if chunk.usage is EMPTY:
            return block
        if bytes(chunk.usage) != b"null":
            return block if chunk.choices else b""
        at = block.rfind(b',"usage":')
        if at > 0 and (found := _LAST_NULL_USAGE.match(block, at)):
            return block[:at] + block[found.end() :]
        kept = json_edit.remove(data, "usage")
        head, whole, tail = block.partition(data)
        if whole:
            return head + kept + tail
        return b"".join(b"data: %b\n" % line for line in kept.split(b"\n")) + b"\n"
