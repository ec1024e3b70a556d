"""From what is asked to what is answered, for every protocol alike.

An `Ask` is a request without its wire format; a `Plan` is the answer without one. Usage is exact:
a header or a recorded answer sets the counts, else the token rule counts what is sent.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from farthing.sim.chance import Chance
from farthing.sim.prompt_cache import NO_CACHE_USE, CacheUse
from farthing.sim.prose import Prose
from farthing.sim.recorded import RecordedAnswer, right_answer, wrong_answer
from farthing.sim.schema import example
from farthing.sim.steering import Steering
from farthing.sim.tokens import CHARACTERS_PER_TOKEN, count_tokens, first_tokens
from farthing.usage import Usage

__all__ = ["Ask", "Choice", "Finish", "Given", "Plan", "ToolCall", "ToolMode", "ToolOffer", "plan"]

_TYPICAL_OUTPUT_TOKENS: Final = 120
_OUTPUT_SIGMA: Final = 0.6
_CALL_OVERHEAD_TOKENS: Final = 8  # what a call costs besides its name and arguments


class ToolMode(enum.Enum):
    """Whether the model may, must or must not call tools."""

    NONE = enum.auto()
    AUTO = enum.auto()
    ANY = enum.auto()


class ToolOffer(msgspec.Struct, frozen=True):
    """A tool the model may call."""

    name: str
    schema: Mapping[str, Any]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Limits of 0 mean none; `reasoning_typical` 0 means no reasoning."""

    model: str
    last_user: str
    prompt_tokens: int
    output_most: int = 0
    choices: int = 1
    tools: tuple[ToolOffer, ...] = ()
    tool_mode: ToolMode = ToolMode.NONE
    is_parallel: bool = True
    schema: Mapping[str, Any] | None = None
    reasoning_typical: int = 0
    stops: tuple[str, ...] = ()
    service_tier: str = "default"
    cache: CacheUse = NO_CACHE_USE


class Finish(enum.Enum):
    """Why an answer ends."""

    STOP = enum.auto()
    STOP_SEQUENCE = enum.auto()
    LENGTH = enum.auto()
    TOOLS = enum.auto()


class ToolCall(msgspec.Struct, frozen=True):
    """One call; `arguments` is JSON text, `key` what identifiers are made from."""

    key: str
    name: str
    arguments: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: reasoning, then text, then calls; each may be empty."""

    reasoning: str = ""
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP
    stop_sequence: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `usage` is true; `score` how good it is where that is known."""

    choices: tuple[Choice, ...]
    usage: Usage
    score: float | None = None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is made from besides the question."""

    chance: Chance
    prose: Prose
    steering: Steering
    recorded: RecordedAnswer | None = None
    score: float | None = None  # None: nobody knows
    is_worked: bool = True
    verdict: str = ""  # of a judge


def plan(ask: Ask, given: Given) -> Plan:
    """What is answered to `ask`; the same for the same arguments."""
    recorded, steering = given.recorded, given.steering
    reasoning = _reasoning_tokens(ask, given)
    if steering.output_tokens is not None:
        visible = max(0, steering.output_tokens - reasoning)
        least = steering.output_tokens  # a steered answer may be longer than asked for
    else:
        visible = _visible_tokens(given)
        least = 0
    room = max(ask.output_most, least) if ask.output_most else 0
    reasoning = min(reasoning, room) if room else reasoning
    parts = [
        _choice(ask, given, index, _Size(reasoning, visible, room)) for index in range(ask.choices)
    ]
    spent = sum(tokens for _, tokens in parts)
    if steering.output_tokens is not None:
        spent = max(0, steering.output_tokens - reasoning)
    first = parts[0][0]
    lost = given.score is not None and first.finish is Finish.LENGTH
    prompt = ask.prompt_tokens
    if steering.input_tokens is None and recorded is not None and recorded.input_tokens:
        prompt = recorded.input_tokens
    return Plan(
        choices=tuple(choice for choice, _ in parts),
        usage=_usage(ask, steering, prompt, (spent, reasoning * ask.choices)),
        score=0.0 if lost else given.score,
    )


class _Size(msgspec.Struct, frozen=True, gc=False):
    reasoning: int
    visible: int
    room: int  # 0: no limit


def _usage(ask: Ask, steering: Steering, prompt: int, output: tuple[int, int]) -> Usage:
    cache = steering.cache(ask.cache)
    if steering.input_tokens is not None:
        prompt = steering.input_tokens
    read = min(cache.read, prompt)
    write_1h = min(cache.write_1h, prompt - read)
    write_5m = min(cache.write_5m, prompt - read - write_1h)
    return Usage(
        input=prompt - read - write_1h - write_5m,
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output=output[0],
        reasoning=output[1],
    )


def _reasoning_tokens(ask: Ask, given: Given) -> int:
    steered = given.steering.reasoning_tokens
    if steered is not None:
        return steered
    if not ask.reasoning_typical or given.steering.output_tokens is not None:
        return 0
    if given.recorded is not None and given.recorded.output_tokens:
        return 0  # recorded output tokens are all there were
    drawn = given.chance.random.lognormvariate(0, _OUTPUT_SIGMA)
    return max(1, round(ask.reasoning_typical * drawn))


def _visible_tokens(given: Given) -> int:
    if given.recorded is not None and given.recorded.output_tokens:
        return given.recorded.output_tokens
    drawn = given.chance.random.lognormvariate(0, _OUTPUT_SIGMA)
    return max(4, round(_TYPICAL_OUTPUT_TOKENS * drawn))


def _choice(ask: Ask, given: Given, index: int, size: _Size) -> tuple[Choice, int]:
    """One choice and its visible output tokens."""
    start = int.from_bytes(given.chance.digest[8:16], "big") + index * 7919
    reasoning = given.prose.text(start + 1, size.reasoning * CHARACTERS_PER_TOKEN)
    room = size.room - size.reasoning if size.room else 0
    calls = _calls(ask, given, index)
    if calls:
        spent = sum(
            count_tokens(c.name) + count_tokens(c.arguments) + _CALL_OVERHEAD_TOKENS for c in calls
        )
        if not size.room or spent <= room:
            return Choice(reasoning=reasoning, calls=calls, finish=Finish.TOOLS), spent
    text = _text(ask, given, start, size.visible)
    is_free = given.recorded is None or not given.recorded.output_tokens
    tokens = count_tokens(text) if is_free else size.visible
    stop = min((s for s in ask.stops if s and s in text), key=text.index, default="")
    finish = Finish.STOP
    if stop:
        text = text[: text.index(stop)]
        tokens, finish = count_tokens(text), Finish.STOP_SEQUENCE
    if size.room and tokens > room:
        text, tokens = first_tokens(text, room), room
        finish, stop = Finish.LENGTH, ""
    return Choice(reasoning=reasoning, text=text, finish=finish, stop_sequence=stop), tokens


def _calls(ask: Ask, given: Given, index: int) -> tuple[ToolCall, ...]:
    if ask.tool_mode is ToolMode.NONE or not ask.tools:
        return ()
    wanted = given.steering.tool_calls
    if wanted is None:
        both = ask.is_parallel and len(ask.tools) > 1 and given.chance.random.random() < 0.5
        wanted = 2 if both else 1
    if ask.tool_mode is ToolMode.ANY:
        wanted = max(1, wanted)
    if not ask.is_parallel:
        wanted = min(1, wanted)
    offered = [ask.tools[at % len(ask.tools)] for at in range(wanted)]
    return tuple(
        ToolCall(
            f"call{index}.{at}",
            tool.name,
            msgspec.json.encode(example(tool.schema, given.chance)).decode(),
        )
        for at, tool in enumerate(offered)
    )


def _text(ask: Ask, given: Given, start: int, tokens: int) -> str:
    if given.verdict:
        return given.verdict
    if ask.schema is not None:
        value: Any = {"answer": given.prose.text(start, 24)}
        if ask.schema:
            value = example(ask.schema, given.chance)
        return msgspec.json.encode(value).decode()
    characters = tokens * CHARACTERS_PER_TOKEN
    if given.score is None:
        return given.prose.text(start, characters)
    answer = _answer(ask, given)
    if not given.is_worked:
        return answer
    last = f"\n\nAnswer: {answer}"
    return given.prose.text(start, max(0, characters - len(last))) + last


def _answer(ask: Ask, given: Given) -> str:
    """What is claimed: as recorded, else the same right text for all, a wrong one for each model."""
    is_right = given.score is not None and given.score >= 0.5
    if given.recorded is not None:
        was_right = given.recorded.score >= 0.5
        found = given.recorded.answer if is_right == was_right else given.recorded.wrong_answer
        if found:
            return found
    return right_answer(ask.last_user) if is_right else wrong_answer(ask.last_user, ask.model)
