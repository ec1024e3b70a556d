"""Asks an engine without sockets."""

from __future__ import annotations

import json

from farthing.sim import INSTANT, Engine, Recorded, SimSettings
from farthing.sim.script import Question

CLOCK_S = 1_764_000_000
USER = [{"role": "user", "content": "How do I return an order?"}]
ANTHROPIC = {"x-api-key": "sk-a", "anthropic-version": "2023-06-01"}
OPENAI = {"authorization": "Bearer sk-a"}


class HandClock:
    """A clock that is set by hand."""

    def __init__(self, at_s=CLOCK_S):
        self.at_s = at_s

    def now_us(self):
        return self.at_s * 1_000_000

    def monotonic_us(self):
        return self.at_s * 1_000_000


def engine(clock=None, recorded=None, **settings):
    settings.setdefault("pace", INSTANT)
    return Engine(SimSettings(**settings), clock or HandClock(), recorded or Recorded())


def ask(asked, path, body=None, *, method="POST", headers=None, query=""):
    """The script for one request; `body` is bytes or becomes JSON."""
    named = {**(ANTHROPIC if "messages" in path else OPENAI), **(headers or {})}
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return asked.answer(
        Question(
            method=method,
            path=path,
            query=query,
            headers={k.encode(): v.encode() for k, v in named.items()},
            body=raw,
        )
    )


def chat(asked, headers=None, path="/v1/chat/completions", **body):
    return ask(asked, path, {"model": "gpt-4o-mini", "messages": USER, **body}, headers=headers)


def message(asked, headers=None, **body):
    defaults = {"model": "claude-sonnet-5-5", "max_tokens": 400, "messages": USER}
    return ask(asked, "/v1/messages", {**defaults, **body}, headers=headers)


def body_of(script):
    return b"".join(step.data for step in script.steps)


def json_of(script):
    return json.loads(body_of(script))


def chunks_of(script):
    """The JSON of each `data:` event, the last of the protocol left out."""
    events = body_of(script).decode().split("\n\n")
    return [
        json.loads(event.removeprefix("data: "))
        for event in events
        if event.startswith("data: ") and event != "data: [DONE]"
    ]


def events_of(script):
    """The (event, data) pairs of an Anthropic stream."""
    pairs = []
    for block in body_of(script).decode().strip().split("\n\n"):
        name, data = block.split("\n")
        pairs.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return pairs
