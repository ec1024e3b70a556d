"""The price book: finds the card for a provider, a model and an instant.

Layers, the highest wins rate by rate: contract (`[[price]]`), verified rows, dated history,
compiled catalogue. The book reads its data once and composes a card when it is first asked for;
after that a lookup is one dictionary access.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from types import MappingProxyType

import msgspec

from farthing.pricing.card import UNITS, RateCard, RateSet, card_id
from farthing.pricing.catalogue import Catalogue, Quarantined, read_catalogue
from farthing.pricing.compose import View, compose
from farthing.pricing.cost import Cost, Unpriced, UnpricedReason
from farthing.pricing.names import canonical_provider, maker_of, spellings
from farthing.pricing.price import exact_text, price_of
from farthing.pricing.retired import RETIRED
from farthing.pricing.rows import Layer, Quote, Row, day_us
from farthing.pricing.schedules import SCHEDULES, rush
from farthing.pricing.settings import PriceOverride, PricingSettings
from farthing.pricing.verified import VERIFIED
from farthing.usage import STANDARD, Terms, Unit, Usage

__all__ = ["Catalogue", "PriceBook", "read_catalogue"]

_OPEN_FROM, _OPEN_TO = -(2**62), 2**62
_CARDS_MOST = 50_000  # names come from callers
# Where a host lists no price of its own it resells at the maker's list price.
# Source: https://azure.microsoft.com/pricing/details/cognitive-services/openai-service/ (2026-11);
# genai-prices 0.2.3, `fallback_model_providers` of azure and google.
_LISTS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"azure": ("openai", "anthropic"), "google": ("anthropic",)}
)


class PriceBook:
    """Finds cards; immutable but for what it remembers."""

    def __init__(self, catalogue: Catalogue, settings: PricingSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        own = {canonical_provider(given.provider) for given in settings.overrides}
        self._providers = {*catalogue.rows, *own} - {""}
        self._cards: dict[tuple[str, str], tuple[int, int, RateCard | Unpriced]] = {}

    @classmethod
    def load(cls, settings: PricingSettings = PricingSettings()) -> PriceBook:  # noqa: B008 - frozen
        """The book of the packaged catalogue, with the settings' prices over it."""
        return cls(read_catalogue(), settings)

    def card(
        self, provider: str, model: str, at_us: int, *, as_known_at_us: int | None = None
    ) -> RateCard | Unpriced:
        """The card at an instant; `provider` may be empty where the model tells its maker.

        `as_known_at_us` asks for what the book would have said then: rows recorded since are
        left out, rows superseded since still stand.
        """
        if as_known_at_us is not None:
            return self._compose(provider, model, at_us, as_known_at_us)
        cached = self._cards.get((provider, model))
        if cached is not None and cached[0] <= at_us < cached[1]:
            return cached[2]
        found = self._compose(provider, model, at_us, None)
        if len(self._cards) < _CARDS_MOST:
            bounds = (at_us, at_us + 1)
            if isinstance(found, RateCard):
                start, end = found.valid_from_us, found.valid_to_us
                bounds = (
                    _OPEN_FROM if start is None else start,
                    _OPEN_TO if end is None else end,
                )
            self._cards[provider, model] = (*bounds, found)
        return found

    def served_card(self, provider: str, served: str, sent: str, at_us: int) -> RateCard | Unpriced:
        """The card of the model that served; a contract for the model sent holds for its answers.

        The book knows which names are snapshots of a model. A name that merely begins alike is
        another model: it is never priced as the one sent.
        """
        card = self.card(provider, served, at_us)
        if isinstance(card, RateCard) or served == sent:
            return card
        own = self.card(provider, sent, at_us)
        return own if isinstance(own, RateCard) and own.layer == "contract" else card

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
        cards = (self.card(who, model, at_us) for who, model, _ in self.listings(query, provider))
        return [card for card in cards if isinstance(card, RateCard)]

    def listings(
        self, query: str = "", provider: str = ""
    ) -> Iterator[tuple[str, str, tuple[Row, ...]]]:
        """Each listed provider and model with all its rows, those of the past included."""
        wanted = canonical_provider(provider)
        known = self._catalogue.rows
        for who in sorted({*known, *VERIFIED}):
            if wanted and who != wanted:
                continue
            for model in sorted({*known.get(who, {}), *VERIFIED.get(who, {})}):
                if query.lower() in model:
                    yield who, model, self._rows(who, model)

    def own_prices(self) -> tuple[PriceOverride, ...]:
        """The user's own prices and discounts, as they were given."""
        return self._settings.overrides

    def quarantined(self, query: str = "", provider: str = "") -> list[Quarantined]:
        """The rows that look wrong and price nothing."""
        wanted = canonical_provider(provider)
        return [
            found
            for found in self._catalogue.quarantine
            if query.lower() in found.model and wanted in ("", found.provider)
        ]

    def near(self, provider: str, model: str) -> list[str]:
        """Known models whose names come close to one that is unknown, those that begin alike first."""
        maker, low = canonical_provider(provider) or maker_of(model.lower()), model.lower()
        known = list(self._catalogue.rows.get(maker, {}))
        known = known or [m for models in self._catalogue.rows.values() for m in models]
        close = difflib.get_close_matches(low, set(known), n=12, cutoff=0.5)
        return sorted(close, key=lambda name: (not low.startswith(name), -_shared(name, low)))[:3]

    def near_providers(self, provider: str) -> list[str]:
        """Known providers whose names come close to one that is unknown; none where it is known."""
        who = canonical_provider(provider)
        if not who or who in self._providers:
            return []
        return difflib.get_close_matches(who, sorted(self._providers), n=3, cutoff=0.5)

    def _compose(
        self, provider: str, model: str, at_us: int, known_us: int | None
    ) -> RateCard | Unpriced:
        who, name = self._resolve(provider, model)
        own = [
            _contract(o)
            for o in self._settings.overrides
            if not o.discount_percent and (_is_meant(o, who, name) or _is_meant(o, who, model))
        ]
        found = [*self._listed(who, name), *own]
        rows = [row for row in found if row.is_known(known_us)]
        edges = [edge for row in rows for edge in row.edges_us()]
        held = [row for row in rows if row.holds(at_us)]
        hour = rush(SCHEDULES.get(who, ()), name.lower(), at_us, known_us)
        discount, cuts = self._discount(who, name, at_us)
        view = View(known_us=known_us, rush=hour.factor, discount=discount)
        card = compose(who, name, held, view)
        if card is None:
            return self._unknown(provider, model, who)
        edges += [*hour.edges_us, *cuts]
        retired = [
            f"retired on {row.valid_from[:10]}: {row.source}"
            for row in held
            if row.kind == "retired"
        ]
        bounded = msgspec.structs.replace(
            card,
            valid_from_us=max((e for e in edges if e <= at_us), default=None),
            valid_to_us=min((e for e in edges if e > at_us), default=None),
            note="; ".join([*hour.notes, *retired]),
            discount=_percent(discount) if len(found) > len(own) else "",
        )
        return msgspec.structs.replace(bounded, id=card_id(bounded))

    def _unknown(self, provider: str, model: str, who: str) -> Unpriced:
        at = f" at provider {who or provider!r}" if who or provider else ""
        detail = f"no price is known for {model!r}{at}"
        low = model.lower()
        for held in self._catalogue.quarantine:
            if held.provider == who and held.model == low:
                detail += f"; its listing is in quarantine ({held.detail})"
                break
        return Unpriced(provider=provider, model=model, reason=UnpricedReason.MODEL, detail=detail)

    def _resolve(self, provider: str, model: str) -> tuple[str, str]:
        """The book's provider and the model's own name."""
        head, slash, rest = model.partition("/")
        if not provider and slash and canonical_provider(head) in self._providers:
            return canonical_provider(head), rest
        return canonical_provider(provider) or maker_of(model.lower()), model

    def _listed(self, who: str, model: str) -> tuple[Row, ...]:
        """The rows of a model at a provider, or at the maker whose prices the provider lists."""
        for lister in (who, *_LISTS_OF.get(who, ())):
            rows = self._rows(lister, model)
            if rows:
                return rows
        return ()

    def _rows(self, provider: str, model: str) -> tuple[Row, ...]:
        models = self._catalogue.rows.get(provider, {})
        aliases = self._catalogue.aliases.get(provider, {})
        verified = VERIFIED.get(provider, {})
        retired = RETIRED.get(provider, {})
        for name in spellings(provider, model):
            alias = aliases.get(name, "")
            found = models.get(name) or models.get(alias, ())
            if found or name in verified:
                own = verified.get(name) or verified.get(alias, ())
                return (*found, *own, *(retired.get(name) or retired.get(alias, ())))
        return ()

    def _discount(self, provider: str, model: str, at_us: int) -> tuple[Fraction, list[int]]:
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
        return factor, edges


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _percent(factor: Fraction) -> str:
    """A discount's factor in words, or nothing."""
    return "" if factor == 1 else f"{exact_text((1 - factor) * 100)} %"


def _is_meant(given: PriceOverride, provider: str, model: str) -> bool:
    named = not given.provider or canonical_provider(given.provider) == provider
    return named and fnmatchcase(model.lower(), given.model.lower())


def _contract(given: PriceOverride) -> Row:
    """The row that a `[[price]]` of rates stands for."""
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
