"""An exchange: one question on its way to a script, with what both protocols do alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from farthing.sim.chance import Chance
from farthing.sim.delivery import Delivery, Event, deliver_stream, deliver_whole
from farthing.sim.faults import Fault, FaultKind
from farthing.sim.plan import Plan
from farthing.sim.script import Ending, Question, Script, Served, Step
from farthing.sim.steering import NO_STEERING, Steering
from farthing.sim.world import Conditions
from farthing.usage import Unit, Usage

__all__ = ["JSON", "Exchange", "retry_headers"]

JSON: Final = (b"content-type", b"application/json")
_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_HTML: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
_HEADLESS: Final = frozenset({FaultKind.CLOSE, FaultKind.HTML, FaultKind.EMPTY})

Headers = list[tuple[bytes, bytes]]


class Exchange(msgspec.Struct, kw_only=True):
    """One question, and what is known about its answer so far."""

    question: Question
    path: str  # without the provider's prefix
    style: str
    served: Served
    steering: Steering = NO_STEERING
    conditions: Conditions | None = None

    @property
    def fault(self) -> Fault | None:
        """The fault that happens to this exchange."""
        return None if self.conditions is None else self.conditions.fault

    def meet(self, conditions: Conditions) -> None:
        """Take note of the conditions; a giant answer is a matter of steering."""
        self.conditions = conditions
        fault = conditions.fault
        if fault is None:
            return
        self.served.fault = fault.name
        if fault.kind is FaultKind.GIANT:
            self.steering = msgspec.structs.replace(self.steering, output_tokens=fault.tokens)

    def without_answer(self) -> Script | None:
        """The script of a fault that leaves no room for an answer of the provider."""
        fault = self.fault
        if fault is None or fault.kind not in _HEADLESS:
            return None
        match fault.kind:
            case FaultKind.CLOSE:
                return self.script(0, [], Delivery(steps=(), ending=Ending.UNANSWERED))
            case FaultKind.HTML:
                headers = [(b"content-type", b"text/html")]
                status = fault.status or 502
                return self.script(status, headers, Delivery(steps=(Step(0, _HTML),)))
            case _:
                return self.script(200, [JSON], Delivery(steps=(Step(0, b""),)))

    def note(self, plan: Plan, answer_id: str, service_tier: str) -> Usage | None:
        """Log what is answered; returns the usage to tell, None for none."""
        served = self.served
        served.id = answer_id
        served.service_tier = service_tier
        served.usage = plan.usage
        served.score = plan.score
        told = _told(plan.usage, self.fault)
        if told != plan.usage:
            served.told = told
        return told

    def whole(self, headers: Headers, body: bytes, chance: Chance) -> Script:
        """The script of a whole answer."""
        conditions = self.conditions
        assert conditions is not None  # noqa: S101 - met before anything is answered
        tokens = self.served.usage.completion_tokens
        made = deliver_whole(body, tokens, conditions.pace, chance, conditions.fault)
        return self.script(200, [*self._scored(headers), JSON], made)

    def stream(
        self, headers: Headers, events: Sequence[Event], error_event: bytes, chance: Chance
    ) -> Script:
        """The script of a streamed answer."""
        conditions = self.conditions
        assert conditions is not None  # noqa: S101 - met before anything is answered
        made = deliver_stream(events, error_event, conditions.pace, chance, conditions.fault)
        self.served.is_streamed = True
        return self.script(200, [*self._scored(headers), *_STREAM_HEADERS], made)

    def script(self, status: int, headers: Headers, made: Delivery) -> Script:
        """The script, with its status logged."""
        self.served.status = status
        return Script(
            status=status,
            headers=headers,
            steps=made.steps,
            ending=made.ending,
            is_streamed=self.served.is_streamed,
            served=self.served,
        )

    def _scored(self, headers: Headers) -> Headers:
        if self.served.score is not None:
            headers.append((b"x-sim-score", b"%g" % self.served.score))
        return headers


def _told(usage: Usage, fault: Fault | None) -> Usage | None:
    if fault is None:
        return usage
    if fault.kind is FaultKind.NO_USAGE:
        return None
    if fault.kind is FaultKind.WRONG_USAGE:
        counts = {unit.value: usage.count(unit) * fault.factor for unit in Unit}
        return msgspec.convert(counts, Usage)
    return usage


def retry_headers(fault: Fault | None) -> Headers:
    """`retry-after` and `retry-after-ms`, where the fault sets them."""
    headers: Headers = []
    if fault is None:
        return headers
    if fault.retry_after_s >= 0:
        headers.append((b"retry-after", b"%g" % fault.retry_after_s))
    if fault.retry_after_ms >= 0:
        headers.append((b"retry-after-ms", b"%d" % fault.retry_after_ms))
    return headers
