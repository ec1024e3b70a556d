"""The world behind every answer: settings, text, memories and counts, shared by all protocols."""

from __future__ import annotations

from collections import Counter

import msgspec

from farthing.clock import Clock
from farthing.sim.chance import Chance
from farthing.sim.faults import Fault, read_fault
from farthing.sim.judging import verdict
from farthing.sim.plan import Ask, Given
from farthing.sim.prompt_cache import PromptCache
from farthing.sim.prose import Prose
from farthing.sim.recorded import Recorded
from farthing.sim.settings import Judging, Pace, Rule, SimSettings
from farthing.sim.steering import Steering

__all__ = ["Conditions", "FixedClock", "World"]

_US_PER_S = 1_000_000


class FixedClock:
    """A clock that stands still."""

    def __init__(self, at_s: int) -> None:
        self._at_us = at_s * _US_PER_S

    def now_us(self) -> int:
        """Always the same instant."""
        return self._at_us

    def monotonic_us(self) -> int:
        """Always the same instant."""
        return self._at_us


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one request: the first rule that says something wins, headers before rules."""

    pace: Pace
    fault: Fault | None = None
    accuracy: float | None = None
    judging: Judging | None = None
    serves: str = ""
    style: str = ""
    usd_per_million_input: str = ""
    usd_per_million_output: str = ""


class World:
    """All that is remembered between requests; `reset` forgets it."""

    def __init__(self, settings: SimSettings, clock: Clock, recorded: Recorded) -> None:
        self.settings = settings
        self.recorded = recorded
        self.prose = Prose(settings.seed)
        self.prompt_cache = PromptCache()
        self._clock = FixedClock(settings.fixed_clock_s) if settings.fixed_clock_s else clock
        self._started_us = self._clock.monotonic_us()
        self._matched = [0] * len(settings.rules)
        self._asked: Counter[bytes] = Counter()
        self._plain = Conditions(pace=settings.pace)

    def reset(self) -> None:
        """Back to the state after start: counts, repeats and prompt caches are empty."""
        self.prompt_cache.clear()
        self._asked.clear()
        self._matched = [0] * len(self.settings.rules)
        self._started_us = self._clock.monotonic_us()

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return self._clock.now_us()

    def now_s(self) -> int:
        """Whole seconds since the epoch."""
        return self._clock.now_us() // _US_PER_S

    def is_known(self, model: str) -> bool:
        """Whether the model is answered for."""
        settings = self.settings
        return (
            model in settings.models
            or model in self.recorded.models
            or any(Rule(model=glob).matches(model, "") for glob in settings.accepted)
        )

    def models(self) -> list[str]:
        """The models that are listed: the settings' own, then the recorded ones by name."""
        listed = list(self.settings.models)
        return listed + sorted(self.recorded.models.difference(listed))

    def conditions(self, model: str, path: str, steering: Steering) -> Conditions:
        """What holds for this request; counts it against the rules it matches."""
        found = self._ruled(model, path) if self.settings.rules else self._plain
        if steering.first_byte_ms is not None or steering.token_ms is not None:
            pace = Pace(
                first_byte_ms=steering.first_byte_ms or 0,
                first_byte_sigma=0,
                token_ms=steering.token_ms or 0,
                token_sigma=0,
            )
            found = msgspec.structs.replace(found, pace=pace)
        if steering.fault is not None:
            found = msgspec.structs.replace(found, fault=steering.fault)
        return found

    def _ruled(self, model: str, path: str) -> Conditions:
        said: dict[str, object] = {}
        elapsed_s = (self._clock.monotonic_us() - self._started_us) / _US_PER_S
        for index, rule in enumerate(self.settings.rules):
            if not rule.matches(model, path):
                continue
            self._matched[index] += 1
            matched = self._matched[index]
            if not rule.is_due(matched, elapsed_s):
                continue
            if rule.fault:
                drawn = Chance(self.settings.seed, b"rule", bytes(f"{index}.{matched}", "ascii"))
                if drawn.happens(rule.probability):
                    said.setdefault("fault", read_fault(rule.fault))
            for name in ("pace", "accuracy", "judging", *_TEXTS):
                value = getattr(rule, name)
                if value not in (None, ""):
                    said.setdefault(name, value)
        return msgspec.structs.replace(self._plain, **said)

    def given(self, ask: Ask, question: bytes, steering: Steering, conditions: Conditions) -> Given:
        """What an answer to `ask` is made from; counts the repeats of a question.

        `question` is the request without what only concerns its transport.
        """
        settings = self.settings
        is_recorded = self.recorded.knows(ask.last_user, ask.model)
        repeat = 0
        if is_recorded or settings.is_varied:
            asked = (
                f"{ask.model}\0{' '.join(ask.last_user.split())}".encode()
                if is_recorded
                else question
            )
            key = Chance(0, asked).digest
            repeat = self._asked[key]
            self._asked[key] += ask.choices
        varied = b"%d" % repeat if settings.is_varied else b""
        chance = Chance(settings.seed, question, varied)
        recorded = self.recorded.answer(ask.last_user, ask.model, repeat, settings.seed)
        return Given(
            chance=chance,
            prose=self.prose,
            steering=steering,
            recorded=recorded,
            score=_score(recorded.score if recorded else None, conditions.accuracy, chance),
            is_worked=settings.is_worked,
            verdict=verdict(ask.last_user, self.recorded, conditions.judging, settings.seed),
        )


_TEXTS = ("serves", "style", "usd_per_million_input", "usd_per_million_output")


def _score(recorded: float | None, accuracy: float | None, chance: Chance) -> float | None:
    """How good the answer is; a rule's accuracy turns right answers wrong, never the reverse."""
    if accuracy is None or (recorded is not None and recorded < 0.5):
        return recorded
    drawn = Chance(0, chance.digest, b"accuracy")
    return (1.0 if recorded is None else recorded) if drawn.happens(accuracy) else 0.0
