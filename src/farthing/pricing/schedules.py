"""Hours of the day that multiply a provider's list prices, dated as they were announced.

A multiplier applies to the rates of tokens on whatever list price holds, never to a price of the
user's own. Hours are UTC; weekdays and holidays are those of the provider's own time zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.pricing.holidays import CALENDARS
from farthing.pricing.rows import day_us

__all__ = ["SCHEDULES", "Hours", "Rush", "Schedule", "rush"]

_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000


class Hours(msgspec.Struct, frozen=True, array_like=True):
    """A daily window, UTC, in minutes from midnight; it may run past midnight."""

    start_minute: int
    end_minute: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies within."""
        if self.start_minute < self.end_minute:
            return self.start_minute <= minute < self.end_minute
        return minute >= self.start_minute or minute < self.end_minute


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hours that multiply the prices of `models` (shell patterns) from a day on, up to another.

    `weekdays`: Monday to Friday only; `calendar`: not on these public holidays; both by the
    clock of `zone_minutes` east of UTC.
    """

    models: tuple[str, ...]
    hours: tuple[Hours, ...]
    multiplier: str
    valid_from: str
    source: str
    valid_to: str = ""
    recorded: str = ""
    weekdays: bool = False
    calendar: str = ""
    zone_minutes: int = 0

    def concerns(self, model: str, known_us: int | None) -> bool:
        """Whether it is about a model, and was known at an instant (None: today)."""
        is_known = known_us is None or day_us(self.recorded or self.valid_from) <= known_us
        return is_known and any(fnmatchcase(model, pattern) for pattern in self.models)

    def is_valid(self, at_us: int, known_us: int | None) -> bool:
        """Whether the instant is within its days; an end that came later was not yet known."""
        if at_us < day_us(self.valid_from):
            return False
        if not self.valid_to or at_us < day_us(self.valid_to):
            return True
        return known_us is not None and known_us < day_us(self.valid_to)

    def holds(self, at_us: int) -> bool:
        """Whether the instant is within its hours."""
        minute = at_us % _DAY_US // _MINUTE_US
        if not any(hours.holds(minute) for hours in self.hours):
            return False
        day = self._day(at_us)
        is_weekend = self.weekdays and day.weekday() >= 5
        return not is_weekend and not (self.calendar and day in CALENDARS[self.calendar])

    def doubt(self, at_us: int) -> str:
        """What is not known about an instant at which it holds; empty: nothing."""
        day = self._day(at_us)
        if not self.calendar or CALENDARS[self.calendar].knows(day):
            return ""
        return (
            f"the public holidays of {CALENDARS[self.calendar].country} in {day.year} are not "
            "known here: weekdays count as working days, which is the most it can cost"
        )

    def turns_us(self, at_us: int) -> list[int]:
        """The nearest instants at which an hour or a day turns."""
        start = at_us - at_us % _DAY_US
        turns = {0, 1440, (1440 - self.zone_minutes) % 1440}
        for hours in self.hours:
            turns |= {hours.start_minute, hours.end_minute}
        return [start + minute * _MINUTE_US for minute in turns]

    def _day(self, at_us: int) -> date:
        """The day by the provider's own clock."""
        local = datetime.fromtimestamp(at_us // 1_000_000, UTC) + timedelta(
            minutes=self.zone_minutes
        )
        return local.date()


class Rush(msgspec.Struct, frozen=True, kw_only=True):
    """What the schedules make of an instant: a factor, until when, and why."""

    factor: Fraction
    edges_us: tuple[int, ...]
    notes: tuple[str, ...]


def rush(schedules: Sequence[Schedule], model: str, at_us: int, known_us: int | None) -> Rush:
    """The factor on a model's list prices at an instant, as far as was known at another."""
    factor, edges, notes = Fraction(1), list[int](), list[str]()
    for schedule in schedules:
        if not schedule.concerns(model, known_us):
            continue
        edges += [day_us(day) for day in (schedule.valid_from, schedule.valid_to) if day]
        if not schedule.is_valid(at_us, known_us):
            continue
        edges += schedule.turns_us(at_us)
        if schedule.holds(at_us):
            factor *= Fraction(schedule.multiplier)
            notes.append(f"{schedule.multiplier}x at this hour: {schedule.source}")
            notes += [text for text in (schedule.doubt(at_us),) if text]
    return Rush(factor=factor, edges_us=tuple(edges), notes=tuple(notes))


_PEAK = (Hours(60, 240), Hours(360, 600))
_PRICING_PAGE = "https://api-docs.deepseek.com/quick_start/pricing"

SCHEDULES: Mapping[str, tuple[Schedule, ...]] = MappingProxyType(
    {
        "deepseek": (
            Schedule(
                models=("deepseek-chat",),
                hours=(Hours(990, 30),),
                multiplier="1/2",
                valid_from="2025-02-26T16:30:00+00:00",
                recorded="2025-02-26T11:25:00+00:00",
                valid_to="2025-09-05T16:00:00+00:00",
                source="https://x.com/deepseek_ai/status/1894710448676884671 (2025-02-26)",
            ),
            Schedule(
                models=("deepseek-reasoner",),
                hours=(Hours(990, 30),),
                multiplier="1/4",
                valid_from="2025-02-26T16:30:00+00:00",
                recorded="2025-02-26T11:25:00+00:00",
                valid_to="2025-09-05T16:00:00+00:00",
                source="https://x.com/deepseek_ai/status/1894710448676884671 (2025-02-26)",
            ),
            # The page first said every day; Monday to Friday stands on it from 2026-08-23 on
            # (Beijing), the exception for holidays from 2026-09-18 on, before the first of them.
            Schedule(
                models=("*",),
                hours=_PEAK,
                multiplier="2",
                valid_from="2026-08-16T16:00:00+00:00",
                recorded="2026-07-31",
                valid_to="2026-08-22T16:00:00+00:00",
                source=f"{_PRICING_PAGE} (2026-08-16)",
            ),
            Schedule(
                models=("*",),
                hours=_PEAK,
                multiplier="2",
                valid_from="2026-08-22T16:00:00+00:00",
                source=f"{_PRICING_PAGE} (2026-10-27)",
                weekdays=True,
                calendar="cn",
                zone_minutes=480,
            ),
        ),
        "alibaba": (
            Schedule(
                models=("deepseek-v4-flash-0731",),
                hours=(Hours(840, 0),),
                multiplier="1/2",
                valid_from="2026-08-16T16:00:00+00:00",
                source="https://www.alibabacloud.com/help/en/model-studio/model-pricing (2026-10)",
            ),
        ),
    }
)
