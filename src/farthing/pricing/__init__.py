"""Prices: rate cards, and the book that finds the one for a provider, a model and an instant."""

from farthing.pricing.book import PriceBook
from farthing.pricing.card import RateCard, RateSet
from farthing.pricing.catalogue import Catalogue, Quarantined, read_catalogue
from farthing.pricing.checks import Finding, Signal, check_prices
from farthing.pricing.cost import Cost, Line, Priced, Unpriced, UnpricedReason
from farthing.pricing.gap import CostGap, cost_gap
from farthing.pricing.price import Price
from farthing.pricing.projection import DAYS_PER_MONTH, Projection, Volume, project
from farthing.pricing.settings import PriceOverride, PricingSettings

__all__ = [
    "DAYS_PER_MONTH",
    "Catalogue",
    "Cost",
    "CostGap",
    "Finding",
    "Line",
    "Price",
    "PriceBook",
    "PriceOverride",
    "Priced",
    "PricingSettings",
    "Projection",
    "Quarantined",
    "RateCard",
    "RateSet",
    "Signal",
    "Unpriced",
    "UnpricedReason",
    "Volume",
    "check_prices",
    "cost_gap",
    "project",
    "read_catalogue",
]
