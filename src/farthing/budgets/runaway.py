"""Finds sessions and traces that run away: loops of near-identical calls, endless steps, a burn.

Pure and bounded: what it knows of a session is a few numbers and the marks of its last calls, and
it forgets the sessions not seen for longest. A worker judges by the calls that it served itself. It
decides before a call is sent (`look`) and learns what it cost after it (`book`).

A call's mark is a hash of the last message's text without digits and blanks, so that counters,
clocks and page numbers do not make two calls different. An agent that works sends a new message
each time; one that is stuck sends the same few again and again. So a loop is many equal marks
among the last calls, in one kind of message or in a cycle of several.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from farthing.money import Money

__all__ = ["Evidence", "RunawayDetector", "RunawaySettings", "mark_of"]

_SECOND_US: Final = 1_000_000
_USD: Final = r"^\d{1,9}(\.\d{1,9})?$"
_MARKED_BYTES: Final = 2048
_BLANKED: Final = b"0123456789 \t\r\n"
_RATE_CALLS_LEAST: Final = 5  # one dear call is no rate

Reason = Literal["loop", "steps", "spend_rate"]


class RunawaySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """When a session or trace counts as running away, as one worker sees it; 0 turns a rule off."""

    loop_window: Annotated[
        int, Meta(ge=2, le=1024, description="How many of its last calls are compared.")
    ] = 32
    loop_notify: Annotated[
        int, Meta(ge=0, description="Calls among them, alike but for digits, that are told.")
    ] = 8
    loop_stop: Annotated[
        int, Meta(ge=0, description="Calls among them, alike but for digits, that end it.")
    ] = 0
    steps_notify: Annotated[int, Meta(ge=0, description="Calls that are told.")] = 200
    steps_stop: Annotated[int, Meta(ge=0, description="Calls that end it.")] = 0
    spend_usd_per_hour_notify: Annotated[
        str, Meta(pattern=_USD, description="Rate of spending that is told, after five calls.")
    ] = "25"
    spend_usd_per_hour_stop: Annotated[
        str, Meta(pattern=_USD, description="Rate of spending that ends it, after five calls.")
    ] = "0"
    spend_window_s: Annotated[
        int, Meta(ge=1, description="How long spending must last to count as a rate.")
    ] = 600
    sessions_most: Annotated[
        int,
        Meta(ge=1, description="Sessions remembered; beyond, the one not seen for longest goes."),
    ] = 20_000


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a session is told of or stopped, in figures that can be checked."""

    action: Literal["notify", "stop"]
    reason: Reason
    session: str
    steps: int
    equal_calls: int
    of_last: int
    spent: Money
    rate_usd_hour: Money
    since_us: int
    at_us: int

    def __str__(self) -> str:
        """The evidence in a sentence."""
        took_s = (self.at_us - self.since_us) // _SECOND_US
        if self.reason == "loop":
            why = f"{self.equal_calls} of its last {self.of_last} calls are the same but for digits"
        elif self.reason == "steps":
            why = f"it made {self.steps} calls"
        else:
            why = f"it spends ${self.rate_usd_hour} an hour"
        return f"Session {self.session}: {why}; ${self.spent} in {self.steps} calls and {took_s} s."


class _Session:
    """What is remembered of a session. `burn` is spend that fades with the window's length."""

    __slots__ = (
        "at_us", "burn", "burn_us", "counts", "marks", "most", "since_us", "spent", "steps", "stopped", "told",
    )  # fmt: skip

    def __init__(self, now_us: int, window: int) -> None:
        self.since_us = self.at_us = self.burn_us = now_us
        self.steps = self.spent = self.most = 0
        self.burn = 0.0
        self.marks: deque[int] = deque(maxlen=window)
        self.counts: dict[int, int] = {}
        self.told: set[str] = set()
        self.stopped: Evidence | None = None


class RunawayDetector:
    """All sessions of one worker. A rule notifies once a session; a stopped one stays stopped.

    It is free again when it is forgotten: when the worker ends, or `sessions_most` others were seen
    since its last call.
    """

    def __init__(self, settings: RunawaySettings) -> None:
        self._settings = settings
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._most = settings.sessions_most
        self._window = settings.loop_window
        self._fade_us = settings.spend_window_s * _SECOND_US
        self._loop = _lowest(settings.loop_notify, settings.loop_stop)
        self._steps = _lowest(settings.steps_notify, settings.steps_stop)
        self._rate_notify = self._burn_at(settings.spend_usd_per_hour_notify)
        self._rate_stop = self._burn_at(settings.spend_usd_per_hour_stop)
        self._rate = _lowest(self._rate_notify, self._rate_stop)

    def look(self, session: str, mark: int, now_us: int) -> Evidence | None:
        """Count a call that is about to be sent; None: nothing to say.

        `session` names a session or a trace (the caller says which, never an empty text);
        `mark` is the call's `mark_of`.
        """
        sessions = self._sessions
        held = sessions.get(session)
        if held is None:
            held = self._remember(session, now_us)
        else:
            sessions.move_to_end(session)
        held.steps += 1
        held.at_us = now_us
        marks, counts = held.marks, held.counts
        if len(marks) == self._window:
            oldest = marks[0]
            left = counts[oldest] - 1
            if left:
                counts[oldest] = left
            else:
                del counts[oldest]
        marks.append(mark)
        equal = counts[mark] = counts.get(mark, 0) + 1
        held.most = equal
        if (
            held.stopped is not None
            or equal >= self._loop
            or held.steps >= self._steps
            or held.burn >= self._rate
        ):
            return self._judge(session, held)
        return None

    def book(self, session: str, cost: Money, now_us: int) -> None:
        """Add what a call cost."""
        held = self._sessions.get(session)
        if held is None:
            return
        nanodollars = cost.nanodollars
        held.spent += nanodollars
        self._fade(held, now_us)
        held.burn += nanodollars

    def __len__(self) -> int:
        return len(self._sessions)

    def _fade(self, held: _Session, now_us: int) -> None:
        passed_us = now_us - held.burn_us
        if passed_us > 0:
            held.burn *= math.exp(-passed_us / self._fade_us)
            held.burn_us = now_us

    def _burn_at(self, usd_per_hour: str) -> float:
        """The fading sum at which a steady rate has lasted long enough to count as that rate."""
        per_hour = Money.usd(usd_per_hour).nanodollars
        return per_hour * self._fade_us / (3600 * _SECOND_US)

    def _remember(self, session: str, now_us: int) -> _Session:
        made = self._sessions[session] = _Session(now_us, self._window)
        if len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return made

    def _judge(self, session: str, held: _Session) -> Evidence | None:
        if held.stopped is not None:
            return held.stopped
        self._fade(held, held.at_us)
        burn = held.burn if held.steps > _RATE_CALLS_LEAST else 0.0
        rules = self._settings
        levels: tuple[tuple[Reason, float, float, float], ...] = (
            ("loop", held.most, rules.loop_notify, rules.loop_stop),
            ("steps", held.steps, rules.steps_notify, rules.steps_stop),
            ("spend_rate", burn, self._rate_notify, self._rate_stop),
        )
        for reason, value, notify, stop in levels:
            if stop and value >= stop:
                held.stopped = self._evidence(session, held, reason, "stop")
                return held.stopped
            if notify and value >= notify and reason not in held.told:
                held.told.add(reason)
                return self._evidence(session, held, reason, "notify")
        return None

    def _evidence(
        self, session: str, held: _Session, reason: Reason, action: Literal["notify", "stop"]
    ) -> Evidence:
        per_hour = held.burn * (3600 * _SECOND_US) / self._fade_us
        return Evidence(
            action=action,
            reason=reason,
            session=session,
            steps=held.steps,
            equal_calls=held.most,
            of_last=len(held.marks),
            spent=Money(held.spent),
            rate_usd_hour=Money(round(per_hour)),
            since_us=held.since_us,
            at_us=held.at_us,
        )


def mark_of(last_message: bytes) -> int:
    """What a call's last message says, without digits and blanks, as a number.

    Of a long message its last 2 kB, for what repeats stands at the end. Equal within one process
    only.
    """
    return hash(last_message[-_MARKED_BYTES:].translate(None, _BLANKED))


def _lowest(notify: float, stop: float) -> float:
    """The first of two levels that is set."""
    return min((level for level in (notify, stop) if level), default=math.inf)
