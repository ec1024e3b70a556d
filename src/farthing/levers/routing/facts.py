"""Facts of models: what their cards charge, which snapshot answers, what a call needs of them."""

from __future__ import annotations

import hashlib

import msgspec

from farthing.codecs import Demands
from farthing.levers.routing.settings import ModelFacts
from farthing.pricing import RateCard

__all__ = ["is_snapshot_of", "lacks", "price_mark"]


def price_mark(card: RateCard) -> str:
    """A mark of what a card charges: equal exactly where its rates are.

    The dates a card holds for are not in it: a change that is announced for later changes nothing
    before it comes. Behind `#` it is of the rates alone, so that two hosts can be compared.
    """
    told = msgspec.json.encode((card.sets, card.discount))
    return f"{card.provider}/{card.model}#{hashlib.sha256(told).hexdigest()[:10]}"


def is_snapshot_of(served: str, asked: str) -> bool:
    """Whether a served name is the asked one, or a dated snapshot of it.

    Providers name a snapshot by a date behind the alias: `-2024-08-06`, `-20241022`, `@20250929`.
    A name that merely begins alike (`gpt-4o-mini` for `gpt-4o`) is another model.
    """
    if served == asked:
        return True
    rest = served.removeprefix(asked)
    if rest == served or rest[:1] not in ("-", "@"):
        return False
    digits = rest[1:].replace("-", "")
    return digits.isdigit() and 4 <= len(digits) <= 8


def lacks(facts: ModelFacts, demands: Demands, tokens: int, region: str) -> str:
    """What a call needs and a model lacks; empty: nothing. `tokens`: prompt and answer at most."""
    most = facts.context_tokens
    needs = (
        (bool(most) and tokens > most, f"the call may need more than its {most:,} tokens"),
        (demands.tools and not facts.has_tools, "it calls no tools"),
        (demands.images and not facts.has_images, "it takes no pictures"),
        (demands.schema is not None and not facts.has_schema, "it keeps to no JSON schema"),
        (bool(region) and facts.region != region, f"it is not in {region}"),
    )
    return next((told for is_lacking, told in needs if is_lacking), "")
