"""Is the answer right? Asked of every target before anything is measured.

Through a pass-through the JSON body must be the provider's, byte for byte, and so must a stream,
send times and SSE comments (lines that begin with a colon) aside. A gateway that writes its answers
anew (LiteLLM) must give the same text, the same number of content events and the same usage.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from loopback import Site
from steps import PROVIDER_ANSWER, PROVIDER_EVENT, PROVIDER_TAIL, SERIAL, Step, request_bytes
from targets import Running

__all__ = ["WrongAnswerError", "check_target"]

_STAMP = re.compile(rb"stamp=\d{19}")
_COMMENT = re.compile(rb"(?m)^:[^\n]*\n+")
_EVENTS = 5
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class WrongAnswerError(Exception):
    """A target's answer differs from the provider's, or it served whom it must refuse."""


def check_target(site: Site, target: Running, steps: Iterable[Step]) -> int:
    """Ask once per body size, streamed and not; gives the number of answered requests.

    Raises:
        WrongAnswerError: with what was wanted and what came.
    """
    sizes = sorted({step.body_bytes for step in steps})
    asked = 0
    for size in sizes:
        for events in (0, _EVENTS):
            step = Step(name="", about="", body_bytes=size, connections=1, events=events)
            site.set_manner(step)
            status, body = _ask(target, step, target.headers)
            asked += 1
            if status != 200:
                raise WrongAnswerError(f"{target.name}: status {status}: {body[:200]!r}")
            _compare(target, body, step)
            if site.provider_requests() != 1:
                raise WrongAnswerError(f"{target.name}: one request, but not one at the provider")
    if target.needs_key:
        step = Step(name="", about="", body_bytes=500, connections=1)
        site.set_manner(step)
        status, _ = _ask(target, step, {})
        if status < 400 or site.provider_requests():
            raise WrongAnswerError(f"{target.name} answers {status} to a request without a key")
    return asked


def _ask(target: Running, step: Step, headers: Mapping[str, str]) -> tuple[int, bytes]:
    request = request_bytes(step, target.port, headers)
    head, _, body = request.partition(b"\r\n\r\n")
    lines = (line.split(": ", 1) for line in head.decode().splitlines()[1:])
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    try:
        sent = body.replace(SERIAL.encode(), b"0" * len(SERIAL))
        connection.request("POST", "/v1/chat/completions", sent, dict(lines))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _compare(target: Running, body: bytes, step: Step) -> None:
    wanted = PROVIDER_EVENT * step.events + PROVIDER_TAIL if step.is_stream else PROVIDER_ANSWER
    if target.is_exact:
        got, right = _bare(body), _bare(wanted.encode())
    else:
        read = _stream_meaning if step.is_stream else _json_meaning
        got, right = read(body), read(wanted.encode())
    if got != right:
        raise WrongAnswerError(f"{target.name}: wanted {right!r:.400}, got {got!r:.400}")


def _bare(body: bytes) -> bytes:
    return _STAMP.sub(b"stamp=", _COMMENT.sub(b"", body))


def _json_meaning(body: bytes) -> tuple[Any, ...]:
    answer = json.loads(body)
    choice = answer["choices"][0]
    return (choice["message"]["content"], choice["finish_reason"], _usage(answer))


def _stream_meaning(body: bytes) -> tuple[Any, ...]:
    events = [line[6:] for line in _bare(body).splitlines() if line.startswith(b"data: ")]
    chunks = [json.loads(event) for event in events if event != b"[DONE]"]
    texts = [c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"][:1]]
    usages = [_usage(chunk) for chunk in chunks if chunk.get("usage")]
    return ([text for text in texts if text], usages[-1:], events[-1])


def _usage(answer: Mapping[str, Any]) -> list[int]:
    return [answer["usage"][name] for name in _COUNTS]
