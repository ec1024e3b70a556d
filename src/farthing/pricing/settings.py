"""The settings of pricing: what to do about unknown prices, and prices of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.pricing.names import canonical_provider

__all__ = ["PriceOverride", "PricingSettings", "doubled"]

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
        if bool(self.discount_percent) == bool(self.rated):
            raise ValueError("give either rates or discount_percent")
        if self.discount_percent and Fraction(self.discount_percent) > 100:
            raise ValueError("discount_percent must not exceed 100")
        for day in filter(None, (self.valid_from, self.valid_to)):
            date.fromisoformat(day)  # 2026-13-01 looks like a day and is none
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to must come after valid_from")

    @property
    def rated(self) -> tuple[str, ...]:
        """The names of the rates it gives; none for a discount."""
        return tuple(name for name in self.__struct_fields__[2:13] if getattr(self, name))


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


def doubled(prices: Iterable[tuple[str, PriceOverride]]) -> list[str]:
    """The faults of rows that give one rate twice: same model, provider, terms and validity.

    Each comes with the name a fault calls it by. Rows that begin on other days follow each other,
    rows of other rates complete each other, and discounts multiply: none of these is a fault.
    """
    seen: dict[tuple[object, ...], list[tuple[str, frozenset[str]]]] = {}
    faults: list[str] = []
    for named, price in prices:
        rates = frozenset(price.rated)
        key = (
            price.model.lower(),
            canonical_provider(price.provider),
            (price.service_tier, price.batch, price.context_above),
            (price.valid_from, price.valid_to),
        )
        alike = seen.setdefault(key, [])
        for other, others in alike:
            twice = [rate for rate in price.rated if rate in others]
            if twice:
                faults.append(
                    f"{other} and {named} both give {', '.join(twice)} of "
                    f"{_subject(price)}, for the same terms and days; keep one, or give the later "
                    "price its valid_from"
                )
        alike.append((named, rates))
    return faults


def _subject(price: PriceOverride) -> str:
    """Whose price it is, for a fault."""
    return f"{price.model!r} at {price.provider or 'every provider'}"
