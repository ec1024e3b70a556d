"""Uplifts for inference that stays in a region, with the models they begin with.

An uplift holds for models released from a day on. The older models are a closed list, so that a
model nobody knows yet counts as new; they cost the same in every region. Cloud platforms price
their regions by other ids, and have no entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec

from farthing.pricing.card import Region

__all__ = ["Uplift", "regions_of"]


class Uplift(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens cost more, in which regions, and the models released before `since`."""

    regions: tuple[str, ...]
    numerator: int
    denominator: int
    since: str
    older: tuple[str, ...]
    source: str


_UPLIFTS: Mapping[str, Uplift] = MappingProxyType(
    {
        "anthropic": Uplift(
            regions=("us",),
            numerator=11,
            denominator=10,
            since="2026-02-01",
            older=(
                "claude-1*", "claude-2*", "claude-3*", "claude-instant*", "claude-v1*",
                "claude-opus-4", "claude-opus-4-0*", "claude-opus-4-1*", "claude-opus-4-2*",
                "claude-opus-4-5*", "claude-sonnet-4", "claude-sonnet-4-0*", "claude-sonnet-4-2*",
                "claude-sonnet-4-5*", "claude-haiku-4-5*",
            ),
            source="https://platform.claude.com/docs/en/release-notes/overview (2026-02)",
        ),
        "openai": Uplift(
            regions=("us", "eu", "au", "in", "jp"),
            numerator=11,
            denominator=10,
            since="2026-03-05",
            older=(
                "gpt-3*", "gpt-4*", "chatgpt-*", "gpt-5", "gpt-5-*", "gpt-5.1*", "gpt-5.2*",
                "gpt-5.3*", "o1*", "o3*", "o4*", "codex-*", "text-*", "davinci*", "babbage*",
                "ft:*", "gpt-audio*", "gpt-image-1*", "gpt-realtime", "gpt-realtime-mini*",
                "computer-use*", "whisper*", "tts-*", "gpt-oss*",
            ),
            source="https://developers.openai.com/api/docs/guides/data-residency (2026-11)",
        ),
    }
)  # fmt: skip


def regions_of(provider: str, model: str) -> tuple[Region, ...]:
    """The regions that a model's card knows, with their factors."""
    uplift = _UPLIFTS.get(provider)
    if uplift is None:
        return ()
    is_older = any(fnmatchcase(model, pattern) for pattern in uplift.older)
    factor = (1, 1) if is_older else (uplift.numerator, uplift.denominator)
    return tuple(Region(name, *factor) for name in uplift.regions)
