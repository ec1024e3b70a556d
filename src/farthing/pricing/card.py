"""A rate card: what one model at one provider costs, from when to when, on which terms.

A card holds one `RateSet` for each combination of terms and context tier that its sources price;
every set is complete (see `compose`). A set applies to prompts of more than `context_over` tokens:
tiers are cliffs, the whole call is billed at the rates of the tier that its prompt falls in.
"""

from __future__ import annotations

import hashlib

import msgspec

from farthing.money import Money, round_half_even
from farthing.pricing.cost import Cost, Line, Priced, Unpriced, UnpricedReason
from farthing.usage import STANDARD, Terms, Unit, Usage

__all__ = ["UNITS", "Price", "RateCard", "RateSet", "card_id"]

UNITS = tuple(Unit)  # the order of a set's rates, and of the counts in a `Usage`
_REQUEST = UNITS.index(Unit.REQUEST)


class Price(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount as the vendor quotes it: `nanodollars` for `per` units."""

    nanodollars: int
    per: int


class RateSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rates on one set of terms, for prompts over `context_over` tokens.

    `rates` stand in the order of `UNITS`; None: no price is known for that unit on these terms.
    """

    rates: tuple[Price | None, ...]
    service_tier: str = "default"
    is_batch: bool = False
    speed: str = ""
    context_over: int = 0

    @property
    def terms(self) -> tuple[str, bool, str]:
        """The terms it stands for, the context apart."""
        return (self.service_tier, self.is_batch, self.speed)


class Region(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An inference region that multiplies all rates by numerator/denominator."""

    name: str
    numerator: int
    denominator: int


class RateCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `model` at `provider` costs from `valid_from_us` (included) to `valid_to_us` (not).

    Instants are microseconds since the epoch, UTC; None: open. `source` says who quotes the
    standard rates, `layer` how far it is trusted (contract, verified, history, catalogue),
    `kind` why it came to be (price, change, correction, promo, scheduled, estimate). `discount`
    multiplies every rate, as (numerator, denominator).
    """

    id: str
    provider: str
    model: str
    layer: str
    source: str
    sets: tuple[RateSet, ...]
    kind: str = "price"
    valid_from_us: int | None = None
    valid_to_us: int | None = None
    regions: tuple[Region, ...] = ()
    discount: tuple[int, int] = (1, 1)

    def to_json(self) -> bytes:
        """The card as JSON; `msgspec.json.decode(..., type=RateCard)` reads it back."""
        return msgspec.json.encode(self)

    def cost(self, usage: Usage, terms: Terms = STANDARD) -> Cost:
        """The bill for `usage` on `terms`, line by line; each line is rounded once, half to even.

        Source of the tiers' rule: https://ai.google.dev/gemini-api/docs/pricing and
        https://developers.openai.com/api/docs/pricing (the whole prompt decides, 2026-11).
        """
        found = self._set(usage, terms)
        if isinstance(found, Unpriced):
            return found
        factor = self._factor(terms)
        if factor is None:
            return self._no(f"no price is known for the region {terms.region!r}")
        lines: list[Line] = []
        for unit, price, count in zip(UNITS, found.rates, self._counts(usage, found), strict=False):
            if not count:
                continue
            if price is None:
                return self._no(f"the card has no price for {unit.value} on these terms")
            numerator, denominator = factor
            cost = Money(
                round_half_even(count * price.nanodollars * numerator, price.per * denominator)
            )
            rate = price.nanodollars * numerator
            lines.append(
                Line(
                    unit=unit,
                    count=count,
                    nanodollars=rate if denominator == 1 else rate // denominator,
                    per=price.per,
                    cost=cost,
                )
            )
        total = Money(sum(line.cost.nanodollars for line in lines))
        return Priced(total=total, lines=tuple(lines), card_id=self.id)

    def total(self, usage: Usage, terms: Terms = STANDARD) -> Money | Unpriced:
        """The sum alone: what `cost` says, without its lines."""
        found = self._set(usage, terms)
        factor = self._factor(terms)
        if isinstance(found, Unpriced) or factor is None:
            cost = self.cost(usage, terms)
            return cost if isinstance(cost, Unpriced) else cost.total
        numerator, denominator = factor
        nanodollars = 0
        for price, count in zip(found.rates, self._counts(usage, found), strict=False):
            if count:
                if price is None:
                    return self._missing(usage, terms)
                nanodollars += round_half_even(
                    count * price.nanodollars * numerator, price.per * denominator
                )
        return Money(nanodollars)

    def _missing(self, usage: Usage, terms: Terms) -> Unpriced:
        cost = self.cost(usage, terms)
        return cost if isinstance(cost, Unpriced) else self._no("a unit has no price")

    def _counts(self, usage: Usage, found: RateSet) -> tuple[int, ...]:
        """The counts in the order of `UNITS`; a fee per request is due once if nobody counted."""
        counts = msgspec.structs.astuple(usage)
        if not usage.request and found.rates[_REQUEST] is not None:
            return (*counts[:_REQUEST], 1)
        return counts

    def _set(self, usage: Usage, terms: Terms) -> RateSet | Unpriced:
        first = self.sets[0]
        if terms is STANDARD and len(self.sets) == 1:
            return first
        wanted = (terms.service_tier, terms.is_batch, terms.speed)
        prompt = usage.prompt_tokens
        found: RateSet | None = None
        for rates in self.sets:  # by rising context_over: the last that fits counts
            if rates.terms == wanted and (prompt > rates.context_over or not rates.context_over):
                found = rates
        if found is None:
            said = ", ".join(
                text
                for text in (
                    f"service tier {terms.service_tier!r}",
                    "batch" if terms.is_batch else "",
                    f"speed {terms.speed!r}" if terms.speed else "",
                )
                if text
            )
            return self._no(f"the card has no rates for {said}")
        return found

    def _factor(self, terms: Terms) -> tuple[int, int] | None:
        """What multiplies the rates; None: the region is not known."""
        if not terms.region:
            return self.discount
        for region in self.regions:
            if region.name == terms.region:
                return (
                    self.discount[0] * region.numerator,
                    self.discount[1] * region.denominator,
                )
        return None

    def _no(self, detail: str) -> Unpriced:
        return Unpriced(
            provider=self.provider,
            model=self.model,
            reason=UnpricedReason.CONDITION,
            detail=f"{detail} ({self.id})",
        )


def card_id(card: RateCard) -> str:
    """The id of a card: readable, and equal exactly where the content is."""
    nameless = msgspec.structs.replace(card, id="")
    digest = hashlib.sha256(msgspec.json.encode(nameless)).hexdigest()[:10]
    return f"{card.provider}/{card.model}#{digest}"
