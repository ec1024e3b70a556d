"""Puts a price on each attempt: what is reserved before it, and what it cost after."""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.call import Call, Endpoint, Pricing
from farthing.codecs import Answer, RequestView
from farthing.config import Config
from farthing.errors import CallerError
from farthing.gateway.targets import Target
from farthing.money import ZERO, Money
from farthing.pricing import PriceBook, RateCard, Unpriced
from farthing.usage import STANDARD, Terms, Usage

__all__ = ["FREE", "Price", "Pricer", "UnknownPrice"]


_CARD: Final = Pricing.CARD  # to find a member of an enum takes time
_PLAIN_TIERS = frozenset({"", "auto", "default", "standard_only"})
_WITHOUT_OUTPUT = frozenset({Endpoint.OPENAI_EMBEDDINGS, Endpoint.ANTHROPIC_COUNT_TOKENS})


class UnknownPrice(CallerError):
    """The policy refuses calls whose price is not known."""

    code = "unknown_price"
    status = 400


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt costs and how we know; `card` is noted in the journal once."""

    pricing: Pricing
    cost: Money | None
    card_cost: Money | None = None
    card: RateCard | None = None
    detail: str = ""


FREE = Price(pricing=Pricing.FREE, cost=ZERO)


class Pricer:
    """Prices attempts by the book and the policy for unknown prices."""

    def __init__(self, config: Config, book: PriceBook) -> None:
        self._book = book
        self._policy = config.pricing.unknown
        self._reserve_output = config.gateway.reserve_output_tokens
        self._price_as = {
            name: provider.price_as or name for name, provider in config.providers.items()
        }

    def reserve(self, call: Call, view: RequestView, target: Target) -> tuple[Usage, Price]:
        """The most this attempt is expected to use, and its price, before it is sent.

        Input is a length estimate; output the caller's own maximum, or the configured reserve.

        Raises:
            UnknownPrice: no price is known and the policy is to refuse.
        """
        output = 0
        if call.endpoint not in _WITHOUT_OUTPUT:
            output = (call.output_most or self._reserve_output) * max(1, view.choices)
        usage = Usage(input=view.input_estimate, output=output, is_estimated=True)
        price = self.price(call, target, target.model, usage, STANDARD)
        if price.cost is None and self._policy == "refuse":
            raise UnknownPrice(
                f"No price is known for {target.model!r} at provider {target.provider!r}, and the "
                "policy for unknown prices is to refuse. Nothing was sent and nothing was "
                "charged. Add a [[price]] row for it, or set pricing.unknown to allow or estimate."
            )
        return usage, price

    def worst(
        self, call: Call, view: RequestView, target: Target, output: int
    ) -> tuple[Usage, Price]:
        """The most an attempt can use if each choice is at most `output` tokens, and its price.

        Of the ways in which its input may be billed (plain, or written to a cache if it asks for
        that) and the tiers at which it may be served, the dearest that has a price.
        """
        if not view.cache_write_ttl and view.service_tier in _PLAIN_TIERS:
            tokens = 0 if call.endpoint in _WITHOUT_OUTPUT else output * max(1, view.choices)
            usage = Usage(input=view.input_most, output=tokens, is_estimated=True)
            return usage, self.price(call, target, target.model, usage, STANDARD)
        return self._dearest(call, view, target, output)

    def _dearest(
        self, call: Call, view: RequestView, target: Target, output: int
    ) -> tuple[Usage, Price]:
        written = {"5m": "cache_write_5m", "1h": "cache_write_1h"}.get(view.cache_write_ttl)
        has_output = call.endpoint not in _WITHOUT_OUTPUT
        counts = {"output": output * max(1, view.choices)} if has_output else {}
        usages = [
            Usage(**{name: view.input_most}, **counts, is_estimated=True)
            for name in ("input", written)
            if name is not None
        ]
        tiers = [STANDARD]
        if view.service_tier not in _PLAIN_TIERS:
            tiers.append(Terms(service_tier=view.service_tier))
        priced = [
            (usage, self.price(call, target, target.model, usage, terms))
            for usage in usages
            for terms in tiers
        ]
        return max(
            priced, key=lambda pair: -1 if pair[1].cost is None else pair[1].cost.nanodollars
        )

    def settle(self, call: Call, target: Target, answer: Answer) -> Price:
        """The price of an answer: the provider's own figure where it sends one, else the card's."""
        if answer.usage is None:
            return FREE
        served = answer.model_served or target.model
        price = self.price(call, target, served, answer.usage, answer.terms)
        if answer.provider_cost is None:
            return price
        return msgspec.structs.replace(
            price, pricing=Pricing.PROVIDER, cost=answer.provider_cost, card_cost=price.card_cost
        )

    def price(self, call: Call, target: Target, model: str, usage: Usage, terms: Terms) -> Price:
        """The price of `usage` on `terms`, by the card that is valid when the call starts."""
        provider = self._price_as[target.provider]
        card = self._book.served_card(provider, model, target.model, call.started_us)
        if isinstance(card, RateCard):
            total = card.total(usage, terms)
            if isinstance(total, Money):
                return Price(pricing=_CARD, cost=total, card_cost=total, card=card)
            unpriced = total
        else:
            unpriced = card
        if self._policy == "estimate":
            return self._estimate(provider, model, usage, call.started_us, unpriced)
        return Price(pricing=Pricing(unpriced.reason.value), cost=None, detail=unpriced.detail)

    def _estimate(
        self, provider: str, model: str, usage: Usage, at_us: int, why: Unpriced
    ) -> Price:
        card = self._book.substitute(provider, model, at_us)
        cost = card.cost(usage, STANDARD)
        if isinstance(cost, Unpriced):
            return Price(pricing=Pricing(why.reason.value), cost=None, detail=why.detail)
        return Price(pricing=Pricing.ESTIMATED, cost=cost.total, card=card, detail=why.detail)
