"""The packaged book, and small books made of a few rows."""

from farthing.money import Money
from farthing.pricing import Catalogue, PriceBook, PriceOverride, PricingSettings
from farthing.pricing.rows import Layer, Quote, Row, day_us
from farthing.usage import STANDARD

BOOK = PriceBook.load()
TODAY = "2026-11-24"
NOW = day_us(TODAY)
MILLION = 1_000_000


def usd(amount):
    return Money.usd(amount)


def cost(model, usage, *, provider="", at=TODAY, terms=STANDARD, book=BOOK):
    """What `usage` costs by the packaged book on a day."""
    return book.cost(usage, provider=provider, model=model, at_us=day_us(at), terms=terms)


def rate(model, unit, *, provider="", at=TODAY, book=BOOK):
    """The standard rate of a unit on a day, in USD per million."""
    card = book.card(provider, model, day_us(at))
    return card.sets[0].rates[list(type(unit)).index(unit)].per_million


def row(fresh, out="", *, layer=Layer.CATALOGUE, over=None, terms=None, **given):
    """A row of a price per million in and out, with a context tier if asked for."""
    rates = {"input": fresh, "output": out} if out else {"input": fresh}
    quotes = [Quote(rates=rates, **(terms or {}))]
    if over is not None:
        threshold, dear = over
        quotes.append(Quote(rates={"input": dear}, context_over=threshold, **(terms or {})))
    return Row(source=given.pop("source", "test"), layer=layer, quotes=tuple(quotes), **given)


def book_of(*rows, provider="house", model="m", aliases=None, quarantine=(), overrides=()):
    """A book with one model's rows."""
    catalogue = Catalogue(
        note="test",
        rows={provider: {model: rows}},
        aliases={provider: aliases or {}},
        quarantine=quarantine,
    )
    return PriceBook(catalogue, PricingSettings(overrides=overrides))


def own(model="m", **given):
    return PriceOverride(model=model, **given)
