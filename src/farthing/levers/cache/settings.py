"""The settings of the exact cache: for which calls it works, how long an answer stands."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.levers.cache.semantic_settings import SemanticSettings

__all__ = ["CacheMode", "CacheSettings", "FeatureCache", "Rules", "Share", "Volatility", "rules_of"]

CacheMode = Literal["off", "shadow", "on"]
Share = Literal["tenant", "user"]
Volatility = Literal["static", "slow", "fast", "live"]

_TTL_S = {"static": 30 * 86_400, "slow": 86_400, "fast": 600, "live": 0}


class FeatureCache(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is different for one feature; what is left out is as in `[cache]`."""

    mode: Annotated[CacheMode | None, Meta(description="See `[cache]`.")] = None
    share: Annotated[Share | None, Meta(description="See `[cache]`.")] = None
    volatility: Annotated[Volatility | None, Meta(description="See `[cache]`.")] = None
    ttl_s: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="See `[cache]`.")] = None
    tool_ttl_s: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="See `[cache]`.")] = (
        None
    )
    temperature_max: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="See `[cache]`.")
    ] = None
    has_live_words: Annotated[bool | None, Meta(description="See `[cache]`.")] = None
    is_canonical: Annotated[bool | None, Meta(description="See `[cache]`.")] = None
    epoch: Annotated[str | None, Meta(description="See `[cache]`.")] = None


class CacheSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The exact cache: an answer given once is given again to a call that asks just the same."""

    mode: Annotated[
        CacheMode,
        Meta(
            description="`on` serves; `shadow` stores and counts what it would have served, and "
            "serves nothing."
        ),
    ] = "off"
    store: Annotated[
        Literal["sqlite", "memory"],
        Meta(
            description="`sqlite`: encrypted in the data folder, shared by all workers; `memory`: "
            "each worker its own, gone with it."
        ),
    ] = "sqlite"
    share: Annotated[
        Share,
        Meta(
            description="Who may get an answer that was given once: all of the `tenant`, or only "
            "the same `user`. Tenants never share."
        ),
    ] = "tenant"
    volatility: Annotated[
        Volatility,
        Meta(
            description="How long answers stand: `static` 30 days, `slow` a day, `fast` ten "
            "minutes, `live` not at all."
        ),
    ] = "slow"
    ttl_s: Annotated[
        int, Meta(ge=0, description="How long answers stand instead; 0: as `volatility` says.")
    ] = 0
    tool_ttl_s: Annotated[
        int,
        Meta(
            ge=0,
            description="How long at most, where tools are called or were; 0: such calls are "
            "never served.",
        ),
    ] = 600
    temperature_max: Annotated[
        float,
        Meta(
            ge=0,
            description="Calls with a higher temperature want another answer each time and are "
            "not served; a call that names none has the provider's, 1.",
        ),
    ] = 0.3
    has_live_words: Annotated[
        bool,
        Meta(
            description="Whether a short question with words such as `today` or `latest` is taken "
            "for `live`, and one about `my order` or a year for `fast`."
        ),
    ] = True
    is_canonical: Annotated[
        bool,
        Meta(
            description="Whether the last text may differ in spaces, its final full stop or its "
            "question mark, where it is one line without code; spaces not where quotes are in it.",
        ),
    ] = True
    epoch: Annotated[
        str,
        Meta(
            description="Any text; another one, and nothing stored before is served again: a "
            "policy, a knowledge base, a template has changed."
        ),
    ] = ""
    headers_neutral: Annotated[
        list[str],
        Meta(
            description="Further request headers that do not change an answer; shell patterns. "
            "All others that go to the provider must be equal."
        ),
    ] = []
    entry_bytes_max: Annotated[int, Meta(ge=1, description="Largest answer that is stored.")] = (
        1_000_000
    )
    memory_bytes_max: Annotated[
        int, Meta(ge=0, description="Memory for answers at each worker.")
    ] = 64_000_000
    disk_bytes_max: Annotated[
        int, Meta(ge=0, description="Disk for answers; those unused for longest go first.")
    ] = 1_000_000_000
    features: Annotated[
        dict[str, FeatureCache], Meta(description="What is different for a feature, by its name.")
    ] = {}
    semantic: SemanticSettings = SemanticSettings()

    @property
    def is_used(self) -> bool:
        """Whether it works for any call at all."""
        return self.mode != "off" or any(
            feature.mode not in (None, "off") for feature in self.features.values()
        )


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one feature."""

    mode: CacheMode
    share: Share
    ttl_s: int
    tool_ttl_s: int
    temperature_max: float
    has_live_words: bool
    is_canonical: bool
    epoch: str


def rules_of(settings: CacheSettings, feature: str) -> Rules:
    """What holds for a feature; a time to live given for it counts over its volatility."""
    own = settings.features.get(feature, FeatureCache())
    given = {n: v for n in own.__struct_fields__ if (v := getattr(own, n)) is not None}
    merged = {n: given.get(n, getattr(settings, n)) for n in own.__struct_fields__}
    ttl_s: int = merged.pop("ttl_s")
    volatility: str = merged.pop("volatility")
    if not ttl_s or ("volatility" in given and "ttl_s" not in given):
        ttl_s = _TTL_S[volatility]
    return Rules(ttl_s=ttl_s, **merged)
