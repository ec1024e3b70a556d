"""The settings of pricing: what to do about unknown prices, and prices of one's own."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["PriceOverride", "PricingSettings"]

_NUMBER = r"^(\d+(\.\d+)?|\d+/[1-9]\d*)?$"  # a decimal text, or n/d where no decimal is exact
_DECIMAL = r"^\d+(\.\d+)?$"
_Amount = Annotated[
    str, Meta(pattern=_NUMBER, description="USD per million tokens, as a decimal text.")
]


class PriceOverride(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A price of your own, or a discount; wins over every other layer while it is valid."""

    model: Annotated[
        str, Meta(min_length=1, description="Model; for a discount also a shell pattern.")
    ]
    provider: Annotated[str, Meta(description="Provider; empty: every provider.")] = ""
    input: _Amount = ""
    output: _Amount = ""
    cache_read: _Amount = ""
    cache_write_5m: _Amount = ""
    cache_write_1h: _Amount = ""
    reasoning: _Amount = ""
    audio_input: _Amount = ""
    audio_output: _Amount = ""
    image_input: _Amount = ""
    web_search: Annotated[str, Meta(pattern=_NUMBER, description="USD per thousand searches.")] = ""
    request: Annotated[str, Meta(pattern=_NUMBER, description="USD per request.")] = ""
    service_tier: Annotated[str, Meta(description="The tier these rates are for.")] = "default"
    batch: Annotated[bool, Meta(description="Whether they are for the batch API.")] = False
    context_above: Annotated[
        int, Meta(ge=0, description="For prompts of more than so many tokens.")
    ] = 0
    discount_percent: Annotated[
        str,
        Meta(
            pattern=_NUMBER,
            description="Instead of rates: percent off the listed prices.",
        ),
    ] = ""
    valid_from: Annotated[
        str,
        Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$", description="First day, UTC; empty: always."),
    ] = ""
    valid_to: Annotated[
        str, Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$", description="First day no longer, UTC.")
    ] = ""
    source: Annotated[str, Meta(description="Where the price comes from, for reports.")] = (
        "farthing.toml"
    )

    def __post_init__(self) -> None:
        rated = any(getattr(self, name) for name in self.__struct_fields__[2:13])
        if bool(self.discount_percent) == rated:
            raise ValueError("give either rates or discount_percent")
        if self.discount_percent and Fraction(self.discount_percent) > 100:
            raise ValueError("discount_percent must not exceed 100")
        for day in filter(None, (self.valid_from, self.valid_to)):
            date.fromisoformat(day)  # 2026-13-01 looks like a day and is none
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to must come after valid_from")


class PricingSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Section `[pricing]` of `farthing.toml`."""

    unknown: Annotated[
        Literal["allow", "estimate", "refuse"],
        Meta(
            description="What to do with a call whose price is not known: `allow` it and flag it as "
            "unpriced, `estimate` it at the ceilings below, or `refuse` it. Never zero."
        ),
    ] = "allow"
    ceiling_input: Annotated[
        str,
        Meta(
            pattern=_DECIMAL,
            description="USD per million input tokens where the price is not known.",
        ),
    ] = "75"
    ceiling_output: Annotated[
        str,
        Meta(
            pattern=_DECIMAL,
            description="USD per million output tokens where the price is not known.",
        ),
    ] = "150"
    overrides: Annotated[
        tuple[PriceOverride, ...], Meta(description="Prices of your own; written as [[price]].")
    ] = ()
