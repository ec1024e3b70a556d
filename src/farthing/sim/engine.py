"""The engine: a question in, a script out; no sockets, and the clock is handed in.

Which provider answers is read from the path. `/v1/...` is OpenAI, or Anthropic for its own
endpoints and for requests with an `anthropic-version` header; a first segment names a provider:
`/openai/v1`, `/anthropic/v1`, `/openrouter/api/v1`, `/deepseek` and `/xai/v1`.
`/sim/...` is the simulator itself: `log`, `stats`, `reset`, `health`.
"""

from __future__ import annotations

from collections import Counter, deque
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from farthing.clock import Clock
from farthing.sim.anthropic import AnthropicProvider
from farthing.sim.delivery import Delivery
from farthing.sim.errors import BadSteering
from farthing.sim.exchange import JSON, Exchange
from farthing.sim.openai import OpenAIProvider
from farthing.sim.ready import ReadyAnswers
from farthing.sim.recorded import Recorded
from farthing.sim.refused import Refused
from farthing.sim.script import Question, Script, Served, Step
from farthing.sim.settings import SimSettings
from farthing.sim.steering import read_steering
from farthing.sim.world import World
from farthing.usage import NO_USAGE, Usage

__all__ = ["Engine"]

_PREFIXES: Final = MappingProxyType(
    {
        "openai": ("/v1", "openai"),
        "anthropic": ("/v1", "anthropic"),
        "openrouter": ("/api/v1", "openrouter"),
        "deepseek": ("/v1", "deepseek"),
        "xai": ("/v1", "xai"),
    }
)
_NDJSON: Final = (b"content-type", b"application/x-ndjson")


class Engine:
    """Answers questions and keeps the log of what was served."""

    def __init__(self, settings: SimSettings, clock: Clock, recorded: Recorded) -> None:
        self._world = World(settings, clock, recorded)
        self._openai = OpenAIProvider(self._world)
        self._anthropic = AnthropicProvider(self._world)
        self._ready = ReadyAnswers(self._world)
        self._log: deque[Served] = deque(maxlen=settings.log_entries_max)
        self._count = 0

    @property
    def log(self) -> list[Served]:
        """What was served, oldest first; the latest entries may still change."""
        return list(self._log)

    def reset(self) -> None:
        """Forget the log, the counts and the prompt caches."""
        self._world.reset()
        self._log.clear()
        self._count = 0

    def answer(self, question: Question) -> Script:
        """What is sent in answer, and when."""
        if question.path.startswith("/sim/"):
            return self._control(question)
        self._count += 1
        key = self._ready.key(question)
        script = None if key is None else self._ready.find(key, self._count)
        if script is None:
            script = self._made(question)
            if key is not None:
                self._ready.keep(key, script)
        self._log.append(script.served)
        return script

    def _made(self, question: Question) -> Script:
        style, path = _route(question)
        exchange = Exchange(
            question=question,
            path=path,
            style="" if style == "anthropic" else style,
            served=Served(
                number=self._count,
                at_us=self._world.now_us(),
                method=question.method,
                path=question.path,
            ),
        )
        provider = self._anthropic if style == "anthropic" else self._openai
        try:
            exchange.steering = read_steering(question.headers)
        except BadSteering as error:
            return provider.refuse(exchange, Refused(400, str(error)))
        return provider.answer(exchange)

    def _control(self, question: Question) -> Script:
        served = Served(number=0, at_us=self._world.now_us(), method="", path=question.path)
        match question.method, question.path:
            case "GET", "/sim/log":
                return self._show_log(question, served)
            case "GET", "/sim/stats":
                return _said(served, self._stats())
            case "POST", "/sim/reset":
                self.reset()
                return _said(served, {"reset": True})
            case "GET", "/sim/health":
                return _said(served, {"status": "ok"})
            case _:
                known = "GET /sim/log, GET /sim/stats, POST /sim/reset, GET /sim/health"
                return _said(served, {"error": f"Unknown; known are {known}."}, 404)

    def _show_log(self, question: Question, served: Served) -> Script:
        asked = parse_qs(question.query)
        after = asked.get("after", ["0"])[0]
        first = int(after) if after.isdigit() else 0
        entries = [entry for entry in self._log if entry.number > first]
        if asked.get("format") == ["jsonl"]:
            lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
            return Script(status=200, headers=[_NDJSON], steps=(Step(0, lines),), served=served)
        return _said(served, entries)

    def _stats(self) -> dict[str, Any]:
        """Sums over the log; usage as it would be billed for whole answers."""
        usage: Usage = NO_USAGE
        for entry in self._log:
            usage += entry.usage
        return {
            "requests": self._count,
            "cancelled": sum(entry.is_cancelled for entry in self._log),
            "complete": sum(entry.is_complete for entry in self._log),
            "by_status": dict(sorted(Counter(str(entry.status) for entry in self._log).items())),
            "by_model": dict(sorted(Counter(entry.model for entry in self._log).items())),
            "by_fault": dict(
                sorted(Counter(entry.fault for entry in self._log if entry.fault).items())
            ),
            "usage": usage,
        }


def _route(question: Question) -> tuple[str, str]:
    """The provider's name and the path without its prefix."""
    path = question.path
    first = path[1:].partition("/")[0]
    named = _PREFIXES.get(first)
    if named is not None:
        rest = path[len(first) + 1 :]
        return named[1], rest.removeprefix(named[0])
    rest = path.removeprefix("/v1")
    is_anthropic = rest.startswith("/messages") or b"anthropic-version" in question.headers
    return ("anthropic" if is_anthropic else "openai"), rest


def _said(served: Served, content: Any, status: int = 200) -> Script:
    steps = (Step(0, msgspec.json.encode(content)),)
    made = Delivery(steps=steps)
    return Script(status=status, headers=[JSON], steps=made.steps, served=served)
