"""What is asked of every target: the request bodies, the provider's answers, and the steps."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = [
    "CLOSING_EVENTS",
    "MODEL",
    "PROVIDER_ANSWER",
    "PROVIDER_EVENT",
    "PROVIDER_TAIL",
    "SERIAL",
    "STAMP",
    "Step",
    "full_steps",
    "quick_steps",
    "request_bytes",
]

MODEL = "gpt-4o-mini"
SERIAL = "@" * 12  # the load generator writes a serial number here: no two requests are equal
STAMP = "stamp=" + "0" * 19  # the provider writes its send time here, CLOCK_MONOTONIC in ns
CLOSING_EVENTS = 3  # finish, usage and [DONE] follow the content events of a stream

_USAGE = {
    "prompt_tokens": 412,
    "completion_tokens": 97,
    "total_tokens": 509,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_ANSWER_TEXT = (
    "Thank you for writing in. The second charge on your statement is a temporary authorisation "
    "that your bank placed when the card was checked; it is not a payment, and it drops off by "
    "itself within five working days. Your subscription was renewed once, on the first of the "
    "month, and the receipt was sent to the address on file. If the authorisation is still shown "
    "after that, send us the last four digits and the date, and we will ask the bank to release it."
)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _event(choices: list[dict[str, object]], usage: dict[str, object] | None) -> str:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": f"{MODEL}-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": choices,
        "usage": usage,
    }
    return f"data: {_compact(chunk)}\n\n"


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


PROVIDER_ANSWER = _compact(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": f"{MODEL}-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _ANSWER_TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }
)
PROVIDER_EVENT = _event([_choice({"content": f"{STAMP} "}, None)], None)
PROVIDER_TAIL = _event([_choice({}, "stop")], None) + _event([], _USAGE) + "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One load on one target: a body size, a number of connections and the provider's manner."""

    name: str
    about: str
    body_bytes: int
    connections: int
    seconds: float = 1.5
    requests: int = 0  # stop after so many; 0 = when the time is over
    delay_us: int = 0  # the provider waits so long before it answers
    pace_us: int = 0  # and so long between two events
    events: int = 0  # content events of a streamed answer; 0 = one JSON body

    @property
    def is_stream(self) -> bool:
        """Whether the answer is streamed."""
        return self.events > 0

    @property
    def leaves_idle(self) -> bool:
        """Whether the load leaves the processors without work at times."""
        return self.connections == 1 or self.delay_us > 0 or self.pace_us > 0


def full_steps() -> list[Step]:
    """All steps of a full round; about 25 s for a fast target."""
    steps = [
        Step(name=f"json-2k-c{c}", about=f"JSON, 2 kB, c={c}", body_bytes=2_000, connections=c)
        for c in (1, 16, 64, 256)
    ]
    steps += [
        Step(name=f"json-50k-c{c}", about=f"JSON, 50 kB, c={c}", body_bytes=50_000, connections=c)
        for c in (1, 16, 64)
    ]
    steps += [
        Step(name=f"json-1m-c{c}", about=f"JSON, 1 MB, c={c}", body_bytes=1_000_000, connections=c)
        for c in (1, 16)
    ]
    return [*steps, _SLOW, _FIRST, _BURST, _PACED]


def quick_steps() -> list[Step]:
    """The few steps of a quick look, each 0.5 s."""
    chosen = {"json-2k-c1", "json-2k-c16", "json-2k-c64", "json-50k-c16", "first-c1", "burst-c16"}
    steps = [replace(s, seconds=0.5) for s in full_steps() if s.name in chosen]
    paced = replace(_PACED, name="paced-c16", about="stream, 20 events every 20 ms, c=16")
    return [*steps, replace(paced, connections=16, requests=16, events=20)]


_SLOW = Step(
    name="slow-2k-c64",
    about="JSON, 2 kB, answered after 20 ms, c=64",
    body_bytes=2_000,
    connections=64,
    delay_us=20_000,
)
_FIRST = Step(
    name="first-c1",
    about="stream, 5 events every 2 ms, c=1",
    body_bytes=2_000,
    connections=1,
    pace_us=2_000,
    events=5,
)
_BURST = Step(
    name="burst-c16",
    about="stream, 100 events at once, c=16",
    body_bytes=2_000,
    connections=16,
    events=100,
)
_PACED = Step(
    name="paced-c64",
    about="stream, 100 events every 20 ms, c=64",
    body_bytes=2_000,
    connections=64,
    seconds=10.0,
    requests=64,
    pace_us=20_000,
    events=100,
)


def request_bytes(step: Step, port: int, headers: Mapping[str, str]) -> bytes:
    """A whole HTTP request as an SDK would send it, with a place for the serial number."""
    body = _chat(step.body_bytes, is_stream=step.is_stream).encode()
    lines = {
        "host": f"127.0.0.1:{port}",
        "accept": "text/event-stream" if step.is_stream else "application/json",
        "content-type": "application/json",
        "user-agent": "farthing-bench/1",
        **headers,
        "content-length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body


def _chat(body_bytes: int, *, is_stream: bool) -> str:
    """A chat of four turns, padded in its first user turn to about `body_bytes`."""
    request: dict[str, object] = {"model": MODEL}
    if is_stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    request |= {"temperature": 0.2, "max_tokens": 256, "user": "user-17"}

    def with_context(context: str) -> str:
        turns = [
            ("system", "You answer customers of a software shop. Be brief, exact and kind."),
            ("user", f"Here is the ticket so far:\n{context}"),
            ("assistant", "I have read it. What would you like me to do?"),
            ("user", f"Write the reply to ticket {SERIAL}, in at most five sentences."),
        ]
        messages = [{"role": role, "content": text} for role, text in turns]
        return _compact({**request, "messages": messages})

    return with_context(_prose(body_bytes - len(with_context(""))))


def _prose(length: int) -> str:
    """Seeded text of words, numbers, quotes and line ends; about `length` bytes as JSON."""
    chance = random.Random(2026)
    words = [
        "invoice",
        "card",
        "charge",
        "refund",
        "the",
        "a",
        "of",
        "customer",
        "says",
        "bank",
        "order",
        "was",
        "twice",
        "monthly",
    ]
    parts: list[str] = []
    size = 0
    while size < length:
        part = chance.choice(words) if chance.random() < 0.9 else str(chance.randrange(10_000))
        part += chance.choices([" ", ".\n", ' "'], [90, 8, 2])[0]
        parts.append(part)
        size += len(json.dumps(part)) - 2
    return "".join(parts)
