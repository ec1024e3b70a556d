"""Chat completion streams: the events of a plan, each with the output tokens it carries.

What stands in each chunk: https://platform.openai.com/docs/api-reference/chat-streaming
(read 2026-11-24). The role comes in the first delta of a choice only, the finish reason with an
empty delta, usage (where asked for) in a chunk without choices and `"usage":null` in all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from farthing.sim.delivery import Event
from farthing.sim.openai.chat import FINISH_REASONS, Envelope, logprobs
from farthing.sim.openai.usage import Style
from farthing.sim.plan import Choice, Plan
from farthing.sim.tokens import pieces

__all__ = ["DONE", "StreamShape", "stream_events"]

DONE: Final = b"data: [DONE]\n\n"
_PADDING_CHARACTERS: Final = 10


class StreamShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream carries besides the answer; `usage` None means it is left out."""

    usage: dict[str, Any] | None
    includes_usage: bool
    is_obfuscated: bool


class _Chunks:
    """Makes the chunks of one stream from the parts that do not change."""

    def __init__(self, envelope: Envelope, shape: StreamShape) -> None:
        head: dict[str, Any] = {"id": envelope.id}
        if envelope.style is Style.OPENROUTER:
            head["provider"] = "Simulated"
        head["object"] = "chat.completion.chunk"
        head["created"] = envelope.created
        head["model"] = envelope.model
        if envelope.style is Style.OPENAI:
            head["service_tier"] = envelope.service_tier
        head["system_fingerprint"] = envelope.fingerprint
        self._head = b"data: " + msgspec.json.encode(head)[:-1] + b',"choices":['
        self._tail = b',"usage":null' if shape.includes_usage else b""
        padding = envelope.chance.name("obfuscation", 64).encode()
        self._padding = padding if shape.is_obfuscated else b""
        self._envelope = envelope

    def delta(self, index: int, delta: bytes, tokens: int = 0, text: str = "") -> Event:
        """A chunk with one choice's delta."""
        chances = logprobs(text, self._envelope) if text else None
        shown = b"null" if chances is None else msgspec.json.encode(chances)
        return self._event(
            b'{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":null}' % (index, delta, shown),
            len(delta),
            tokens,
        )

    def finish(self, index: int, reason: str, usage: dict[str, Any] | None) -> Event:
        """The chunk that ends a choice; with usage where the style puts it there."""
        delta = b"{}" if usage is None else b'{"content":""}'
        choice = b'{"index":%d,"delta":%b,"logprobs":null,"finish_reason":"%b"}' % (
            index,
            delta,
            reason.encode(),
        )
        if usage is None:
            return self._event(choice, 0, 0)
        return Event(b'%b%b],"usage":%b}\n\n' % (self._head, choice, msgspec.json.encode(usage)))

    def usage(self, usage: dict[str, Any]) -> Event:
        """The chunk that reports usage and nothing else."""
        padding = self._padded(0)
        return Event(b'%b],"usage":%b%b}\n\n' % (self._head, msgspec.json.encode(usage), padding))

    def _event(self, choice: bytes, length: int, tokens: int) -> Event:
        return Event(
            b"%b%b]%b%b}\n\n" % (self._head, choice, self._tail, self._padded(length)), tokens
        )

    def _padded(self, length: int) -> bytes:
        if not self._padding:
            return b""
        size = _PADDING_CHARACTERS + (length & 7)
        return b',"obfuscation":"%b"' % self._padding[:size]


def stream_events(plan: Plan, envelope: Envelope, shape: StreamShape) -> list[Event]:
    """All events of the answer, up to and with the protocol's last one."""
    chunks = _Chunks(envelope, shape)
    runs = [list(_choice(chunks, c, i, envelope)) for i, c in enumerate(plan.choices)]
    events: list[Event] = []
    if envelope.style is Style.OPENROUTER:
        events.append(Event(b": OPENROUTER PROCESSING\n\n"))
    for at in range(max(len(run) for run in runs)):
        events.extend(run[at] for run in runs if at < len(run))
    in_finish = shape.usage if envelope.style is Style.DEEPSEEK else None
    last = len(plan.choices) - 1
    for index, choice in enumerate(plan.choices):
        reason = FINISH_REASONS[choice.finish]
        events.append(chunks.finish(index, reason, in_finish if index == last else None))
    is_always = envelope.style in (Style.OPENROUTER, Style.XAI)
    if shape.usage is not None and not in_finish and (shape.includes_usage or is_always):
        events.append(chunks.usage(shape.usage))
    events.append(Event(DONE))
    return events


def _choice(chunks: _Chunks, choice: Choice, index: int, envelope: Envelope) -> Iterator[Event]:
    encode = msgspec.json.encode
    if choice.calls:
        yield chunks.delta(index, b'{"role":"assistant","content":null}')
    else:
        yield chunks.delta(index, b'{"role":"assistant","content":"","refusal":null}')
    if choice.reasoning and envelope.style is not Style.OPENAI:
        field = b"reasoning" if envelope.style is Style.OPENROUTER else b"reasoning_content"
        for piece in pieces(choice.reasoning):
            yield chunks.delta(index, b'{"%b":%b}' % (field, encode(piece)), 1)
    elif choice.reasoning:  # not shown, but time passes and tokens are spent
        yield chunks.delta(index, b'{"content":""}', (len(choice.reasoning) + 3) // 4)
    for piece in pieces(choice.text):
        yield chunks.delta(index, b'{"content":%b}' % encode(piece), 1, piece)
    for at, call in enumerate(choice.calls):
        start = {
            "index": at,
            "id": "call_" + envelope.chance.name(call.key, 24),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        yield chunks.delta(index, b'{"tool_calls":[%b]}' % encode(start), 8)
        for piece in pieces(call.arguments):
            part = {"index": at, "function": {"arguments": piece}}
            yield chunks.delta(index, b'{"tool_calls":[%b]}' % encode(part), 1)
