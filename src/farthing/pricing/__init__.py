"""Prices: rate cards, and the book that finds the one for a provider, a model and an instant."""

from farthing.pricing.book import PriceBook
from farthing.pricing.card import RateCard, RateSet
from farthing.pricing.catalogue import Catalogue, Quarantined, read_catalogue
from farthing.pricing.cost import Cost, Line, Priced, Unpriced, UnpricedReason
from farthing.pricing.price import Price
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
    "Quarantined",
    "RateCard",
    "RateSet",
    "Unpriced",
    "UnpricedReason",
    "Volume",
    "project",
    "read_catalogue",
]
