"""Reads a streamed Anthropic message as it passes; every byte goes on untouched.

| state     | event               | becomes   | what is learnt                                    |
|-----------|---------------------|-----------|---------------------------------------------------|
| opened    | message_start       | streaming | model, input counts, the terms                    |
| streaming | content_block_start | same      | at a fallback block: the model that takes over    |
| streaming | content_block_delta | same      | lengths of text, thinking and tool input          |
| streaming | message_delta       | same      | stop reason, final counts (cumulative)            |
| streaming | error               | same      | the provider's error                              |
| streaming | message_stop        | complete  |                                                   |
| any       | ping, any other     | same      |                                                   |

Source: https://platform.claude.com/docs/en/build-with-claude/streaming and the types of anthropic
2.12.0, raw_message_delta_event.py (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from farthing.codecs import tally
from farthing.codecs.anthropic_answer import EMPTY, Event, answer_of
from farthing.codecs.codec import Answer, RequestView
from farthing.codecs.counts.anthropic import MessageCounts, merge, read_terms
from farthing.codecs.counts.decoder import CountsDecoder
from farthing.codecs.sse import Splitter, data_of, first_end, read_event

__all__ = ["MessageStream"]

_ERRORS_MAX = 5
_events = msgspec.json.Decoder(Event)
_counts = CountsDecoder(MessageCounts)
_encode = msgspec.json.Encoder().encode


class MessageStream:
    """Passes every byte on at once and reads what it has passed."""

    def __init__(self, view: RequestView) -> None:
        self.is_complete = False
        self._splitter = Splitter()
        self._view = view
        self._visible = 0
        self._hidden = 0
        self._beyond = 0  # bytes of text over one a character
        self._open: int | None = None  # the content block that has begun and not ended
        self._open_shown: int | None = None  # the same, but for events that came with the last feed
        self._begun: bytes | None = None  # see `Splitter.begun`, before the last feed
        self._model = ""
        self._stop_reason = ""
        self._counts: MessageCounts | None = None
        self._is_final = False
        self._errors: list[str] = []
        self._is_error = False

    @property
    def output_most(self) -> int:
        """See `StreamReader.output_most`."""
        return self._visible + self._hidden + self._beyond

    def finish_early(self, shown: bytes, details: Mapping[str, Any], /) -> bytes | None:
        """The ends of the open block and of the message, with `stop_reason: "max_tokens"`."""
        rest = b""
        if self._begun is not None:
            rest = shown[: first_end(self._begun, shown)]
            if not rest:
                return None
        output = tally.estimate(0, self._visible, self._hidden).completion_tokens
        events: list[dict[str, Any]] = []
        if self._open_shown is not None:
            events.append({"type": "content_block_stop", "index": self._open_shown})
        events += [
            {
                "type": "message_delta",
                "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
                "usage": {"output_tokens": output},
                "farthing": dict(details),
            },
            {"type": "message_stop"},
        ]
        self._stop_reason = "max_tokens"
        written = (b"event: %b\ndata: %b\n\n" % (e["type"].encode(), _encode(e)) for e in events)
        return rest + b"".join(written)

    def feed(self, data: bytes, /) -> bytes:
        """The same bytes; nothing is held back."""
        self._begun = self._splitter.begun
        self._open_shown = self._open
        for place, block in enumerate(self._splitter.split(data)):
            self._learn(data_of(block))
            if not place and self._begun is not None:
                self._open_shown = self._open
        return data

    def close(self) -> tuple[bytes, Answer]:
        """No bytes, and what was learnt."""
        rest = self._splitter.close()
        if not self._splitter.is_spilling:
            self._learn(read_event(rest).data)
        if self._splitter.has_spilled:
            self._note("An event longer than the limit was passed on unread.")
        return b"", self._answer()

    def _learn(self, data: bytes) -> None:
        if not data:
            return
        try:
            event = _events.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._note(f"An event of the stream cannot be read: {error}.")
            return
        delta = event.delta
        if delta is not None:
            seen = (delta.text or "") + (delta.partial_json or "")
            self._visible += len(seen)
            if delta.thinking:
                self._hidden += len(delta.thinking)
                seen += delta.thinking
            if not seen.isascii():
                self._beyond += len(seen.encode()) - len(seen)
            if delta.stop_reason is not None:
                self._stop_reason = delta.stop_reason
        if event.type != "content_block_delta":
            self._learn_rare(event)

    def _learn_rare(self, event: Event) -> None:
        if event.type == "message_stop":
            self.is_complete = True
        elif event.type == "message_start" and event.message is not None:
            self._model = event.message.model or self._model
            self._count(event.message.usage)
        elif event.type == "message_delta" and event.usage is not EMPTY:
            self._is_final = self._count(event.usage)
        elif event.type == "content_block_stop":
            self._open = None
        elif event.type == "content_block_start" and event.content_block is not None:
            self._open = event.index
            successor = event.content_block.to
            self._model = (successor.model if successor else None) or self._model
        elif event.type == "error" and event.error is not None:
            self._note(f"{event.error.type}: {event.error.message}")
            self._is_error = True

    def _count(self, raw: msgspec.Raw) -> bool:
        """Take in counts; say whether they could be read."""
        try:
            counts = _counts.decode(raw)
        except msgspec.DecodeError as error:
            self._note(f"The provider's usage cannot be read: {error}.")
            return False
        self._counts = counts if self._counts is None else merge(self._counts, counts)
        return True

    def _note(self, error: str) -> None:
        if len(self._errors) < _ERRORS_MAX:
            self._errors.append(error)

    def _answer(self) -> Answer:
        view, counts = self._view, self._counts
        guess = tally.estimate(view.input_estimate, self._visible, self._hidden)
        if counts is None:
            return Answer(
                usage=guess,
                model_served=self._model,
                finish_reason=self._stop_reason,
                error=" ".join(self._errors),
                is_error=self._is_error,
            )
        answer = answer_of(
            counts,
            model=self._model,
            stop_reason=self._stop_reason,
            write_ttl=view.cache_write_ttl,
            errors=self._errors,
            is_error=self._is_error,
        )
        if self._is_final or answer.usage is None:
            return answer
        # Cut before message_delta: the input is measured, the output is what was seen to pass.
        cut = msgspec.structs.replace(
            answer.usage,
            output=max(guess.output, answer.usage.output),
            reasoning=guess.reasoning,
            is_estimated=True,
        )
        return msgspec.structs.replace(answer, usage=cut, terms=read_terms(counts))
