"""Delivery: when each piece of an answer leaves, and what a fault does to it on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from farthing.sim.chance import Chance
from farthing.sim.faults import Fault, FaultKind
from farthing.sim.script import Ending, Step
from farthing.sim.settings import Pace

__all__ = ["Delivery", "Event", "deliver_stream", "deliver_whole", "joined"]

_US_PER_S: Final = 1_000_000
_BROKEN: Final = b'data: {"id":"broken", "choices": [{"index"\n\n'
_RAGGED_WAIT_US: Final = 1  # so that pieces do not leave together
_PLAIN_WAITS: Final = 1e-9


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event of a stream and the output tokens it carries."""

    data: bytes
    tokens: int = 0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of an answer and how the connection is left."""

    steps: Sequence[Step]
    ending: Ending = Ending.CLEAN


def deliver_whole(
    body: bytes, tokens: int, pace: Pace, chance: Chance, fault: Fault | None
) -> Delivery:
    """A whole answer: one wait as long as its tokens take, then the body."""
    wait = chance.lognormal_us(pace.first_byte_ms, pace.first_byte_sigma)
    wait += round(tokens * pace.token_ms * 1000)
    if fault is None:
        return Delivery(steps=(Step(wait, body, tokens),))
    match fault.kind:
        case FaultKind.SLOW | FaultKind.STALL:
            return Delivery(steps=(Step(wait + _us(fault.seconds), body, tokens),))
        case FaultKind.CUT:
            half = Step(wait, body[: len(body) // 2])
            return Delivery(steps=(half,), ending=Ending.DROPPED)
        case FaultKind.TRUNCATE | FaultKind.MALFORMED:
            return Delivery(steps=(Step(wait, body[: len(body) // 2], tokens),))
        case FaultKind.DRIP:
            return Delivery(steps=_dripped([Step(wait, body, tokens)], fault))
        case _:
            return Delivery(steps=(Step(wait, body, tokens),))


def deliver_stream(
    events: Sequence[Event],
    error_event: bytes,
    pace: Pace,
    chance: Chance,
    fault: Fault | None,
) -> Delivery:
    """A stream: a wait before the first event, then one before each that carries tokens."""
    steps = _paced(events, pace, chance)
    return Delivery(steps=steps) if fault is None else _faulty(steps, error_event, chance, fault)


def joined(steps: Sequence[Step]) -> Sequence[Step]:
    """Runs of steps without a wait between them as one step each, so that they are one write.

    What must arrive in pieces (`ragged`) has a wait between them, if the shortest there is.
    """
    if len(steps) < 2:
        return steps
    runs: list[Step] = []
    parts: list[bytes] = []
    wait = tokens = 0
    for step in steps:
        if step.wait_us and parts:
            runs.append(Step(wait, b"".join(parts), tokens))
            parts, tokens, wait = [], 0, 0
        wait = wait or step.wait_us
        parts.append(step.data)
        tokens += step.tokens
    runs.append(Step(wait, b"".join(parts), tokens))
    return runs


def _paced(events: Sequence[Event], pace: Pace, chance: Chance) -> list[Step]:
    if pace.first_byte_ms < _PLAIN_WAITS and pace.token_ms < _PLAIN_WAITS:
        return [Step(0, event.data, event.tokens) for event in events]
    steps: list[Step] = []
    wait = chance.lognormal_us(pace.first_byte_ms, pace.first_byte_sigma)
    for event in events:
        if steps and event.tokens:
            wait = chance.lognormal_us(pace.token_ms * event.tokens, pace.token_sigma)
        steps.append(Step(wait, event.data, event.tokens))
        wait = 0
    return steps


def _faulty(steps: list[Step], error_event: bytes, chance: Chance, fault: Fault) -> Delivery:
    after = min(fault.after, len(steps) - 1)
    match fault.kind:
        case FaultKind.SLOW:
            steps[0] = _later(steps[0], fault.seconds)
        case FaultKind.STALL:
            steps[after] = _later(steps[after], fault.seconds)
        case FaultKind.CUT:
            return Delivery(steps=steps[:after], ending=Ending.DROPPED)
        case FaultKind.TRUNCATE:
            return Delivery(steps=steps[:after])
        case FaultKind.MALFORMED:
            steps[after] = Step(steps[after].wait_us, _BROKEN, 0)
        case FaultKind.ERROR_EVENT:
            return Delivery(steps=[*steps[:after], Step(0, error_event)])
        case FaultKind.DRIP:
            return Delivery(steps=_dripped(steps, fault))
        case FaultKind.RAGGED:
            return Delivery(steps=_ragged(steps, chance))
        case _:
            pass
    return Delivery(steps=steps)


def _later(step: Step, seconds: float) -> Step:
    return Step(step.wait_us + _us(seconds), step.data, step.tokens)


def _dripped(steps: Sequence[Step], fault: Fault) -> list[Step]:
    size, pause = max(1, fault.bytes), round(fault.pause_ms * 1000)
    return [
        Step(pause if at else step.wait_us, step.data[at : at + size], 0 if at else step.tokens)
        for step in steps
        for at in range(0, len(step.data), size)
    ]


def _ragged(steps: Sequence[Step], chance: Chance) -> list[Step]:
    """The same bytes in pieces of 1 to 40 bytes that know nothing of events or characters."""
    data = b"".join(step.data for step in steps)
    cut: list[Step] = []
    at = 0
    while at < len(data):
        size = chance.random.randint(1, 40)
        cut.append(Step(_RAGGED_WAIT_US, data[at : at + size]))
        at += size
    wait, tokens = steps[0].wait_us, sum(step.tokens for step in steps)
    cut[0] = Step(wait, cut[0].data)
    cut[-1] = Step(cut[-1].wait_us, cut[-1].data, tokens)
    return cut


def _us(seconds: float) -> int:
    return round(seconds * _US_PER_S)
