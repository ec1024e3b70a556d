"""Usage: what a provider billed for, in disjoint counts, and the terms it billed them on.

Providers report overlapping counts (OpenAI's input includes cached tokens, Anthropic's does not;
OpenAI's output includes reasoning, Gemini's does not). The codecs resolve every overlap once;
from there on each token stands in exactly one bucket, so that sums and prices are plain.
"""

from __future__ import annotations

import enum

import msgspec

__all__ = ["NO_USAGE", "STANDARD", "TOKEN_UNITS", "Terms", "Unit", "Usage"]


class Unit(enum.StrEnum):
    """The billable units; tokens unless said otherwise."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    OUTPUT = "output"
    REASONING = "reasoning"
    AUDIO_INPUT = "audio_input"
    AUDIO_OUTPUT = "audio_output"
    IMAGE_INPUT = "image_input"
    WEB_SEARCH = "web_search"  # searches
    REQUEST = "request"  # requests


TOKEN_UNITS = tuple(unit for unit in Unit if unit not in (Unit.WEB_SEARCH, Unit.REQUEST))


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Disjoint counts per `Unit`; the fields bear the units' names.

    `input` is fresh text input only, `output` visible text output only. `is_estimated` says that
    no provider confirmed the counts (a length estimate, or a stream that was cut).
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    web_search: int = 0
    request: int = 0
    is_estimated: bool = False

    def __post_init__(self) -> None:
        # The bitwise or of whole numbers is negative exactly where one of them is.
        if (
            self.input
            | self.cache_read
            | self.cache_write_5m
            | self.cache_write_1h
            | self.output
            | self.reasoning
            | self.audio_input
            | self.audio_output
            | self.image_input
            | self.web_search
            | self.request
        ) < 0:
            negative = {u.value: self.count(u) for u in Unit if self.count(u) < 0}
            raise ValueError(f"usage counts must not be negative: {negative}")

    def count(self, unit: Unit) -> int:
        """How many of `unit` were billed."""
        return int(getattr(self, unit.value))

    @property
    def prompt_tokens(self) -> int:
        """All tokens that went in: fresh, cached, written to cache, audio and images.

        Context-length tiers look at this sum.
        """
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            + self.image_input
        )

    @property
    def completion_tokens(self) -> int:
        """All tokens that came out: visible, reasoning and audio."""
        return self.output + self.reasoning + self.audio_output

    def __add__(self, other: Usage) -> Usage:
        """Bucket by bucket; estimated if either side is."""
        counts = {unit.value: self.count(unit) + other.count(unit) for unit in Unit}
        return Usage(**counts, is_estimated=self.is_estimated or other.is_estimated)


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The conditions a call was billed on, taken from the provider's answer where it says them.

    `service_tier` is the served tier ("default", "flex", "priority", ...); `region` the inference
    region where it carries a price; `speed` a provider's speed mode.
    """

    service_tier: str = "default"
    is_batch: bool = False
    region: str = ""
    speed: str = ""


NO_USAGE = Usage()
STANDARD = Terms()
