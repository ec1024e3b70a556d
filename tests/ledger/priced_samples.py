"""A price book small enough to check by hand: nanodollars per token, by model."""

from farthing.money import Money
from farthing.pricing.cost import Line, Priced, Unpriced, UnpricedReason
from farthing.usage import Unit


class FlatCard:
    """Every token of a kind costs the same; terms other than standard have no price."""

    def __init__(self, rates, card_id="flat"):
        self.rates = rates
        self.id = card_id

    def cost(self, usage, terms):
        if terms.is_batch:
            return Unpriced(provider="", model="", reason=UnpricedReason.CONDITION, detail="batch")
        lines = tuple(
            Line(unit=unit, count=count, nanodollars=rate, per=1, cost=Money(rate * count))
            for unit, rate in self.rates.items()
            if (count := usage.count(unit))
        )
        total = Money(sum(line.cost.nanodollars for line in lines))
        return Priced(total=total, lines=lines, card_id=self.id)


class FlatBook:
    """Cards by (provider, model); the price doubles at `doubles_us`."""

    def __init__(self, rates, doubles_us=2**62):
        self.rates = rates
        self.doubles_us = doubles_us

    def card(self, provider, model, at_us):
        if (provider, model) not in self.rates:
            return Unpriced(
                provider=provider, model=model, reason=UnpricedReason.MODEL, detail="unknown"
            )
        rate = self.rates[provider, model] * (2 if at_us >= self.doubles_us else 1)
        return FlatCard({Unit.INPUT: rate, Unit.CACHE_READ: rate, Unit.OUTPUT: rate})

    def served_card(self, provider, served, sent, at_us):
        del sent
        return self.card(provider, served, at_us)
