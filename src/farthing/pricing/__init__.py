"""Prices: rate cards, and the book that finds the one for a provider, a model and an instant."""

from farthing.pricing.book import Catalogue, PriceBook, read_catalogue
from farthing.pricing.card import Price, RateCard, RateSet
from farthing.pricing.cost import Cost, Line, Priced, Unpriced, UnpricedReason
from farthing.pricing.projection import DAYS_PER_MONTH, Projection, Volume, project
from farthing.pricing.settings import PriceOverride, PricingSettings

__all__ = [
    "DAYS_PER_MONTH",
    "Catalogue",
    "Cost",
    "Line",
    "Price",
    "PriceBook",
    "PriceOverride",
    "Priced",
    "PricingSettings",
    "Projection",
    "RateCard",
    "RateSet",
    "Unpriced",
    "UnpricedReason",
    "Volume",
    "project",
    "read_catalogue",
]
