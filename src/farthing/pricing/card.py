"""A rate card: what one model at one provider costs, from when to when, on which terms.

A card holds one `RateSet` for each combination of terms and context tier that its sources price;
every set is complete (see `compose`). A set applies to prompts of more than `context_over` tokens:
tiers are cliffs, the whole call is billed at the rates of the tier that its prompt falls in.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import msgspec

from farthing.money import Money, round_half_even
from farthing.pricing.cost import Cost, Line, Priced, Unpriced, UnpricedReason
from farthing.pricing.price import UNITS, Price
from farthing.usage import STANDARD, TOKEN_UNITS, Terms, Unit, Usage

__all__ = ["UNITS", "Price", "RateCard", "RateSet", "Region", "card_id"]

_REQUEST = UNITS.index(Unit.REQUEST)
_PLANS_MOST = 64  # terms come from answers: a provider that invents some fills no memory


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
    """An inference region that multiplies the rates of tokens by numerator/denominator."""

    name: str
    numerator: int
    denominator: int


class _Plan(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The rates of one tier, made ready to multiply.

    `rates` in the order of `UNITS`, region included. Where the four common ones are a whole
    number of nanodollars a token and no fee is due per request, `is_plain` holds and they stand
    apart as integers: most calls are then four multiplications, and nothing needs rounding.
    """

    context_over: int
    rates: tuple[Price | None, ...]
    is_plain: bool
    input: int
    cache_read: int
    output: int
    reasoning: int


class RateCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """What `model` at `provider` costs from `valid_from_us` (included) to `valid_to_us` (not).

    Instants are microseconds since the epoch, UTC; None: open. They bound the whole card: tiers,
    hours and announced ends included. `source` says who quotes the standard rates, `since` from
    which day or time (empty: nobody noted it), `layer` how far it is trusted (contract, verified,
    history, catalogue), `kind` why it came to be (see `rows.Row`; `contract` and `estimate`
    besides). `discount` is the user's own discount in the rates, `note` what the reader ought to
    know.
    """

    id: str
    provider: str
    model: str
    layer: str
    source: str
    sets: tuple[RateSet, ...]
    kind: str = "price"
    since: str = ""
    valid_from_us: int | None = None
    valid_to_us: int | None = None
    regions: tuple[Region, ...] = ()
    discount: str = ""
    note: str = ""

    def to_json(self) -> bytes:
        """The card as JSON; `msgspec.json.decode(..., type=RateCard)` reads it back."""
        return msgspec.json.encode(self)

    def cost(self, usage: Usage, terms: Terms = STANDARD) -> Cost:
        """The bill for `usage` on `terms`, line by line; each line is rounded once, half to even.

        Source of the tiers' rule: https://ai.google.dev/gemini-api/docs/pricing and
        https://developers.openai.com/api/docs/pricing (the whole prompt decides, 2026-11).
        """
        plan = self._plan(usage, terms)
        if isinstance(plan, Unpriced):
            return plan
        lines: list[Line] = []
        for unit, price, count in zip(UNITS, plan.rates, _counts(usage, plan), strict=True):
            if not count:
                continue
            if price is None:
                return self._no(f"the card has no price for {unit.value} on these terms")
            lines.append(
                Line(
                    unit=unit,
                    count=count,
                    nanodollars=price.nanodollars,
                    per=price.per,
                    cost=price.of(count),
                )
            )
        total = Money(sum(line.cost.nanodollars for line in lines))
        return Priced(total=total, lines=tuple(lines), card_id=self.id)

    def total(self, usage: Usage, terms: Terms = STANDARD) -> Money | Unpriced:
        """The sum alone: what `cost` says, without its lines."""
        tiers = self._plans.get(terms)
        if (
            tiers is None
            or usage.cache_write_5m
            or usage.cache_write_1h
            or usage.web_search
            or usage.audio_input
            or usage.audio_output
            or usage.image_input
            or usage.request
        ):
            return self._sum(usage, terms)
        plan = tiers[0]
        fresh, read = usage.input, usage.cache_read
        if len(tiers) > 1:
            plan = _tier(tiers, fresh + read)
        if not plan.is_plain:
            return self._sum(usage, terms)
        return Money(
            fresh * plan.input
            + read * plan.cache_read
            + usage.output * plan.output
            + usage.reasoning * plan.reasoning
        )

    def _sum(self, usage: Usage, terms: Terms) -> Money | Unpriced:
        """`total` in every other case, and the first time on its terms."""
        plan = self._plan(usage, terms)
        if isinstance(plan, Unpriced):
            return plan
        nanodollars = 0
        for unit, price, count in zip(UNITS, plan.rates, _counts(usage, plan), strict=True):
            if count:
                if price is None:
                    return self._no(f"the card has no price for {unit.value} on these terms")
                nanodollars += round_half_even(count * price.nanodollars, price.per)
        return Money(nanodollars)

    @cached_property
    def _plans(self) -> dict[Terms, tuple[_Plan, ...]]:
        """The plans made so far, by terms; tiers by rising context."""
        return {}

    def _plan(self, usage: Usage, terms: Terms) -> _Plan | Unpriced:
        tiers = self._plans.get(terms)
        if tiers is None:
            made = self._make_plans(terms)
            if isinstance(made, Unpriced):
                return made
            tiers = made
            if len(self._plans) < _PLANS_MOST:
                self._plans[terms] = tiers
        return _tier(tiers, usage.prompt_tokens)

    def _make_plans(self, terms: Terms) -> tuple[_Plan, ...] | Unpriced:
        wanted = (terms.service_tier, terms.is_batch, terms.speed)
        sets = [rates for rates in self.sets if rates.terms == wanted]
        if not sets:
            return self._no(f"the card has no rates for {_said(terms)}")
        factor = self._factor(terms)
        if factor is None:
            return self._no(f"no price is known for the region {terms.region!r}")
        return tuple(
            _planned(rates, factor) for rates in sorted(sets, key=lambda s: s.context_over)
        )

    def _factor(self, terms: Terms) -> tuple[int, int] | None:
        """What multiplies the rates of tokens; None: the region is not known."""
        if not terms.region:
            return (1, 1)
        return next(
            ((r.numerator, r.denominator) for r in self.regions if r.name == terms.region), None
        )

    def _no(self, detail: str) -> Unpriced:
        return Unpriced(
            provider=self.provider,
            model=self.model,
            reason=UnpricedReason.CONDITION,
            detail=f"{detail} ({self.id})",
        )


def _tier(tiers: tuple[_Plan, ...], prompt_tokens: int) -> _Plan:
    """The tier of the highest threshold that the prompt exceeds; the first has none."""
    found = tiers[0]
    for plan in tiers:
        if prompt_tokens > plan.context_over:
            found = plan
    return found


def _counts(usage: Usage, plan: _Plan) -> tuple[int, ...]:
    """The counts in the order of `UNITS`; a fee per request is due once if nobody counted."""
    counts = msgspec.structs.astuple(usage)[:-1]
    if not usage.request and plan.rates[_REQUEST] is not None:
        return (*counts[:_REQUEST], 1)
    return counts


def _planned(rates: RateSet, factor: tuple[int, int]) -> _Plan:
    """The tier's plan; a region raises the price of tokens, never a fee.

    Source: https://platform.claude.com/docs/en/about-claude/pricing ("all token pricing
    categories", 2026-11).
    """
    priced = tuple(
        price.times(*factor) if price is not None and unit in TOKEN_UNITS else price
        for unit, price in zip(UNITS, rates.rates, strict=True)
    )
    common = [
        priced[UNITS.index(u)] for u in (Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.REASONING)
    ]
    whole = [p.nanodollars // p.per for p in common if p is not None and not p.nanodollars % p.per]
    is_plain = len(whole) == len(common) and priced[_REQUEST] is None
    return _Plan(rates.context_over, priced, is_plain, *(whole if is_plain else (0, 0, 0, 0)))


def _said(terms: Terms) -> str:
    """The terms in words."""
    said = (
        f"service tier {terms.service_tier!r}",
        "batch" if terms.is_batch else "",
        f"speed {terms.speed!r}" if terms.speed else "",
    )
    return ", ".join(text for text in said if text)


def card_id(card: RateCard) -> str:
    """The id of a card: readable, and equal exactly where the content is."""
    nameless = msgspec.structs.replace(card, id="")
    digest = hashlib.sha256(msgspec.json.encode(nameless)).hexdigest()[:10]
    return f"{card.provider}/{card.model}#{digest}"
