"""An attempt's cost by unit: which bucket of tokens stands for how much of the bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from farthing.call import Attempt
from farthing.ledger.reprice import Card
from farthing.money import ZERO, Money
from farthing.pricing.cost import Line, Priced
from farthing.usage import Unit

__all__ = ["Bills", "Share", "shares"]


class Share(msgspec.Struct, frozen=True):
    """A part of an attempt's cost; `unit` is None where the sum can't be told apart by unit."""

    unit: Unit | None
    count: int
    cost: Money


class Bills:
    """The bills behind attempts, drawn up again from the cards that the ledger keeps.

    `content` gives a card's JSON by id, `decode` makes a card of it.
    """

    def __init__(
        self, content: Callable[[str], bytes | None], decode: Callable[[bytes], Card]
    ) -> None:
        self._content = content
        self._decode = decode
        self._cards: dict[str, Card | None] = {}

    def bill(self, attempt: Attempt) -> Priced | None:
        """The bill by the card that the attempt names; None where it names or has none."""
        card = self._card(attempt.card_id) if attempt.card_id else None
        cost = None if card is None else card.cost(attempt.usage, attempt.terms)
        return cost if isinstance(cost, Priced) else None

    def shares(self, attempt: Attempt) -> tuple[Share, ...]:
        """The attempt's cost by unit, by the lines of its bill."""
        bill = self.bill(attempt)
        return shares(attempt, () if bill is None else bill.lines)

    def _card(self, card_id: str) -> Card | None:
        if card_id not in self._cards:
            content = self._content(card_id)
            self._cards[card_id] = None if content is None else self._decode(content)
        return self._cards[card_id]


def shares(attempt: Attempt, lines: Sequence[Line]) -> tuple[Share, ...]:
    """The attempt's cost by unit; the shares add up to it exactly.

    With the card's lines each unit bears its line; a sum booked otherwise (the provider's own
    figure) is shared out in proportion to them. An unpriced attempt has shares of cost zero.
    """
    counts = {unit: count for unit in Unit if (count := attempt.usage.count(unit))}
    if attempt.cost is None:
        return tuple(Share(unit, count, ZERO) for unit, count in counts.items())
    weights: dict[Unit, int] = {}
    for line in lines:
        weights[line.unit] = weights.get(line.unit, 0) + line.cost.nanodollars
        counts.setdefault(line.unit, line.count)  # a fee due without being counted
    whole = sum(weights.values())
    if whole <= 0:
        tokens = attempt.usage.prompt_tokens + attempt.usage.completion_tokens
        return (Share(None, tokens, attempt.cost),) if attempt.cost or tokens else ()
    parts = _apportion(attempt.cost.nanodollars, weights, whole)
    return tuple(
        Share(unit, counts[unit], Money(parts.get(unit, 0))) for unit in Unit if unit in counts
    )


def _apportion(sum_: int, weights: dict[Unit, int], whole: int) -> dict[Unit, int]:
    """The sum in proportion to the weights, in whole nanodollars, largest remainders first."""
    floors = {unit: divmod(sum_ * weight, whole) for unit, weight in weights.items()}
    left = sum_ - sum(quotient for quotient, _ in floors.values())
    foremost = sorted(floors, key=lambda unit: -floors[unit][1])[:left]
    return {unit: floors[unit][0] + (unit in foremost) for unit in floors}
