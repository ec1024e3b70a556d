"""The cost a provider states in its own answer, exactly as it is written.

OpenRouter: usage.cost in USD; with the caller's own provider key the provider's bill comes on top,
in cost_details.upstream_inference_cost. https://openrouter.ai/docs/use-cases/usage-accounting
xAI: usage.cost_in_usd_ticks, 1e-10 USD each. https://docs.x.ai/developers/cost-tracking
DeepInfra: usage.estimated_cost in USD. https://deepinfra.com/docs/openai_api
Perplexity: usage.cost.total_cost in USD. https://docs.perplexity.ai/api-reference
(the first two read 2026-11-24; DeepInfra and Perplexity from memory, not checked)
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import cast

import msgspec

from farthing.codecs.counts.decoder import CountsDecoder
from farthing.codecs.counts.overlap import Count, UsageError
from farthing.money import NANODOLLARS_PER_USD, Money, round_half_even

__all__ = ["StatedCost", "read_cost"]

_TICKS_PER_NANODOLLAR = 10
_EMPTY = msgspec.Raw(b"")


class _CostDetails(msgspec.Struct, frozen=True):
    upstream_inference_cost: msgspec.Raw = _EMPTY


class _CostTotal(msgspec.Struct, frozen=True):
    total_cost: msgspec.Raw = _EMPTY


class StatedCost(msgspec.Struct, frozen=True):
    """The members of a `usage` object that state a cost; numbers as they are written."""

    cost: msgspec.Raw = _EMPTY
    cost_in_usd_ticks: msgspec.Raw = _EMPTY
    estimated_cost: msgspec.Raw = _EMPTY
    is_byok: bool | None = None
    cost_details: _CostDetails | None = None


_ticks = CountsDecoder(cast("type[int]", Count))


def _usd(number: bytes) -> Money | None:
    """The sum for a JSON number of USD, rounded half to even to the nanodollar.

    Raises:
        UsageError: the text is no amount.
    """
    if number in (b"", b"null"):
        return None
    try:
        value = Decimal(number.decode())
    except InvalidOperation as error:
        raise UsageError(f"The provider's cost {number[:40]!r} is not an amount.") from error
    if value < 0 or (value and not -40 < value.adjusted() < 10):
        raise UsageError(f"The provider's cost {number[:40]!r} is out of range.")
    numerator, denominator = value.as_integer_ratio()
    return Money(round_half_even(numerator * NANODOLLARS_PER_USD, denominator))


def read_cost(stated: StatedCost) -> Money | None:
    """What the provider says the call cost; None where it says nothing.

    Raises:
        UsageError: the stated cost is no amount.
        DecodeError: the ticks are no count.
    """
    ticks = bytes(stated.cost_in_usd_ticks)
    if ticks not in (b"", b"null"):
        return Money(round_half_even(_ticks.decode(ticks), _TICKS_PER_NANODOLLAR))
    cost = bytes(stated.cost)
    if cost.startswith(b"{"):
        return _usd(bytes(msgspec.json.decode(cost, type=_CostTotal).total_cost))
    own = _usd(cost or bytes(stated.estimated_cost))
    if own is None or not stated.is_byok or stated.cost_details is None:
        return own
    upstream = _usd(bytes(stated.cost_details.upstream_inference_cost))
    return own if upstream is None else own + upstream
