"""The price book: finds the card for a provider, a model and an instant.

Layers, the highest wins rate by rate: contract (`[[price]]`), verified rows, dated history,
compiled catalogue. The book reads its data once and composes a card when it is first asked for;
after that a lookup is one dictionary access.
"""

from __future__ import annotations

import difflib
import gzip
from collections.abc import Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from importlib import resources

import msgspec

from farthing.pricing.card import UNITS, RateCard, RateSet, card_id
from farthing.pricing.compose import compose
from farthing.pricing.cost import Cost, Unpriced, UnpricedReason
from farthing.pricing.names import canonical_provider, maker_of, spellings
from farthing.pricing.rows import Layer, Quote, Row, day_us, price_of
from farthing.pricing.settings import PriceOverride, PricingSettings
from farthing.pricing.verified import VERIFIED
from farthing.usage import STANDARD, Terms, Unit, Usage

__all__ = ["Catalogue", "PriceBook", "read_catalogue"]

_OPEN_FROM, _OPEN_TO = -(2**62), 2**62
# Where a host lists no price of its own it resells at the maker's list price.
# Source: https://azure.microsoft.com/pricing/details/cognitive-services/openai-service/ (2026-11).
_LISTS_OF: Mapping[str, tuple[str, ...]] = {"azure": ("openai",)}


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """The compiled data: rows by provider and model, and the models other names stand for."""

    note: str
    rows: dict[str, dict[str, tuple[Row, ...]]]
    aliases: dict[str, dict[str, str]]


def read_catalogue() -> Catalogue:
    """The catalogue that this version of Farthing ships."""
    packed = resources.files("farthing.pricing").joinpath("data/catalogue.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=Catalogue)


class PriceBook:
    """Finds cards; immutable but for what it remembers."""

    def __init__(self, catalogue: Catalogue, settings: PricingSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._cards: dict[tuple[str, str], tuple[int, int, RateCard | Unpriced]] = {}

    @classmethod
    def load(cls, settings: PricingSettings = PricingSettings()) -> PriceBook:  # noqa: B008 - frozen
        """The book of the packaged catalogue, with the settings' prices over it."""
        return cls(read_catalogue(), settings)

    def card(
        self, provider: str, model: str, at_us: int, *, as_known_at_us: int | None = None
    ) -> RateCard | Unpriced:
        """The card at an instant; `provider` may be empty where the model tells its maker.

        `as_known_at_us` asks for what the book knew then, before later corrections.
        """
        if as_known_at_us is None:
            cached = self._cards.get((provider, model))
            if cached is not None and cached[0] <= at_us < cached[1]:
                return cached[2]
        found = self._compose(provider, model, at_us, as_known_at_us)
        if as_known_at_us is None and len(self._cards) < 50_000:  # names come from callers
            bounds = (at_us, at_us + 1)
            if isinstance(found, RateCard):
                start, end = found.valid_from_us, found.valid_to_us
                bounds = (
                    _OPEN_FROM if start is None else start,
                    _OPEN_TO if end is None else end,
                )
            self._cards[provider, model] = (*bounds, found)
        return found

    def cost(
        self,
        usage: Usage,
        *,
        provider: str,
        model: str,
        at_us: int,
        terms: Terms = STANDARD,
    ) -> Cost:
        """What `usage` costs at the card of that instant, with its lines; or why it has no price."""
        card = self.card(provider, model, at_us)
        return card.cost(usage, terms) if isinstance(card, RateCard) else card

    def substitute(self, provider: str, model: str, at_us: int) -> RateCard:
        """The declared ceiling, for the policy `estimate`; its kind says `estimate`."""
        del at_us
        rates = {
            Unit.INPUT: self._settings.ceiling_input,
            Unit.OUTPUT: self._settings.ceiling_output,
        }
        out = (Unit.OUTPUT, Unit.REASONING, Unit.AUDIO_OUTPUT)
        prices = tuple(
            price_of(unit, rates[Unit.OUTPUT if unit in out else Unit.INPUT]) for unit in UNITS[:9]
        )
        card = RateCard(
            id="",
            provider=provider,
            model=model,
            layer="contract",
            source="pricing.ceiling_input, pricing.ceiling_output",
            kind="estimate",
            sets=(RateSet(rates=(*prices, price_of(Unit.WEB_SEARCH, "100"), None)),),
        )
        return msgspec.structs.replace(card, id=card_id(card))

    def models(self, at_us: int, query: str = "", provider: str = "") -> list[RateCard]:
        """The cards at an instant whose model holds `query`, by provider and model."""
        wanted = canonical_provider(provider)
        cards: list[RateCard] = []
        for name, models in sorted(self._catalogue.rows.items()):
            if wanted and name != wanted:
                continue
            for model in sorted(models):
                if query.lower() in model:
                    card = self.card(name, model, at_us)
                    cards += [card] if isinstance(card, RateCard) else []
        return cards

    def near(self, provider: str, model: str) -> list[str]:
        """Known models whose names come close to one that is unknown."""
        makers = (canonical_provider(provider) or maker_of(model.lower()),)
        known = [m for p in makers for m in self._catalogue.rows.get(p, {})]
        known = known or [m for models in self._catalogue.rows.values() for m in models]
        return difflib.get_close_matches(model.lower(), known, n=3, cutoff=0.5)

    def _compose(
        self, provider: str, model: str, at_us: int, known_us: int | None
    ) -> RateCard | Unpriced:
        who, name = self._resolve(provider, model)
        rows: list[Row] = []
        for lister in (who, *_LISTS_OF.get(who, ())):
            all_rows = self._rows(lister, name)
            if all_rows:
                rows = [row for row in all_rows if row.is_valid(at_us, known_us)]
                edges = [edge for row in all_rows for edge in row.edges_us(at_us)]
                break
        else:
            edges = []
        own = [row for o in self._settings.overrides if (row := _contract(o, who, model, name))]
        rows += [row for row in own if row.is_valid(at_us, known_us)]
        edges += [edge for row in own for edge in row.edges_us(at_us)]
        discount, cuts = self._discount(who, name, at_us)
        card = compose(who, name, rows, at_us, discount)
        if card is None:
            detail = f"no price is known for {model!r} at provider {who or provider or 'unknown'!r}"
            return Unpriced(
                provider=provider, model=model, reason=UnpricedReason.MODEL, detail=detail
            )
        edges += cuts
        bounded = msgspec.structs.replace(
            card,
            valid_from_us=max((e for e in edges if e <= at_us), default=None),
            valid_to_us=min((e for e in edges if e > at_us), default=None),
        )
        return msgspec.structs.replace(bounded, id=card_id(bounded))

    def _resolve(self, provider: str, model: str) -> tuple[str, str]:
        """The book's provider and the model's own name."""
        head, slash, rest = model.partition("/")
        if not provider and slash and canonical_provider(head) in self._catalogue.rows:
            return canonical_provider(head), rest
        return canonical_provider(provider) or maker_of(model.lower()), model

    def _rows(self, provider: str, model: str) -> tuple[Row, ...]:
        models = self._catalogue.rows.get(provider, {})
        aliases = self._catalogue.aliases.get(provider, {})
        verified = VERIFIED.get(provider, {})
        for name in spellings(provider, model):
            found = models.get(name) or models.get(aliases.get(name, ""), ())
            if found or name in verified:
                return (*found, *verified.get(name, ()))
        return ()

    def _discount(self, provider: str, model: str, at_us: int) -> tuple[tuple[int, int], list[int]]:
        """All discounts that hold, multiplied; and the instants at which any begins or ends."""
        factor, edges = Fraction(1), list[int]()
        for given in self._settings.overrides:
            if not given.discount_percent or not _is_meant(given, provider, model):
                continue
            days = [day_us(day) for day in (given.valid_from, given.valid_to) if day]
            edges += days
            begun = not given.valid_from or at_us >= day_us(given.valid_from)
            if begun and (not given.valid_to or at_us < day_us(given.valid_to)):
                factor *= 1 - Fraction(given.discount_percent) / 100
        return (factor.numerator, factor.denominator), edges


def _is_meant(given: PriceOverride, provider: str, model: str) -> bool:
    named = not given.provider or canonical_provider(given.provider) == provider
    return named and fnmatchcase(model.lower(), given.model.lower())


def _contract(given: PriceOverride, provider: str, written: str, model: str) -> Row | None:
    """The row that a `[[price]]` of rates stands for, where it is about this model."""
    if given.discount_percent or not (
        _is_meant(given, provider, model) or _is_meant(given, provider, written)
    ):
        return None
    units = {unit.value: getattr(given, unit.value) for unit in Unit}
    quote = Quote(
        rates={unit: amount for unit, amount in units.items() if amount},
        service_tier=given.service_tier,
        is_batch=given.batch,
        context_over=given.context_above,
    )
    return Row(
        layer=Layer.CONTRACT,
        source=given.source,
        quotes=(quote,),
        valid_from=given.valid_from,
        valid_to=given.valid_to,
        kind="contract",
    )
