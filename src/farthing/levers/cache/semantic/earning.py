"""Whether a namespace may serve by what it earns: its measured account over a stated window.

Counted are look-ups, answers served (`hits`, `alias_hits`) and what they saved, answers that would
have been served (`would_hits`) and what those calls cost, checks, and what judges cost. Processor
time is an estimate (`LOOKUP_COST` a look-up); wrong answers are reckoned at the certified bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from farthing.levers.cache.semantic.economics import LOOKUP_COST, Assumptions, serve_limit
from farthing.money import ZERO, Money

__all__ = ["Earned", "at_other_prices", "earned", "why_not_serve"]

_CALLS_LEAST = 30  # served or would-be served, before a mean cost means anything
_HITS_LEAST = 100


class Earned(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one namespace over a window; `error_max` is None while too little is known."""

    lookups: int
    hits: int
    alias_hits: int
    checks: int
    saved: Money
    judging: Money
    embedding: Money
    wrong_answers: Money
    call_cost: Money
    error_max: float | None

    @property
    def net(self) -> Money:
        """What is left."""
        return self.saved - self.judging - self.embedding - self.wrong_answers


def earned(counts: Mapping[str, int], *, error: float, loss: Money, sampling: float) -> Earned:
    """The account from what was counted. `error` is the bound of P(wrong | served)."""
    lookups, hits = counts.get("lookups", 0), counts.get("hits", 0)
    seen = hits + counts.get("would_hits", 0)
    sums = counts.get("saved_nd", 0) + counts.get("would_save_nd", 0)
    call_cost = Money(round(Fraction(sums, seen))) if seen else ZERO
    judged = counts.get("judged", 0)
    judging = Money(counts.get("judge_nd", 0))
    error_max = None
    if seen >= _CALLS_LEAST:
        error_max = serve_limit(
            Assumptions(
                lookups=max(1, lookups),
                hit_share=min(1.0, seen / max(1, lookups)),
                error=error,
                call_cost=call_cost,
                loss_per_wrong=loss,
                sampling=sampling,
                judge_cost=Money(round(Fraction(judging.nanodollars, judged))) if judged else ZERO,
            )
        )
    return Earned(
        lookups=lookups,
        hits=hits,
        alias_hits=counts.get("alias_hits", 0),
        checks=counts.get("checks", 0),
        saved=Money(counts.get("saved_nd", 0) + counts.get("alias_saved_nd", 0)),
        judging=judging,
        embedding=Money(lookups * LOOKUP_COST.nanodollars),
        wrong_answers=Money(round(hits * Fraction(error) * loss.nanodollars)),
        call_cost=call_cost,
        error_max=error_max,
    )


def why_not_serve(account: Earned, *, error: float, days: int) -> str:
    """Why it should not serve; empty: it may."""
    if account.error_max is not None and error > account.error_max:
        return (
            f"a call saves ${account.call_cost} on average, so at most {account.error_max:.3%} of "
            f"the answers served may be wrong, and only {error:.3%} is certified"
        )
    if account.hits >= _HITS_LEAST and account.net < ZERO:
        return (
            f"over {days} days it saved ${account.saved} and cost ${account.judging} of judging, "
            f"${account.embedding} of processor time and up to ${account.wrong_answers} by wrong "
            f"answers: net ${account.net}"
        )
    return ""


def at_other_prices(counts: Mapping[str, int], factor: float) -> dict[str, int]:
    """The same counts, had tokens cost `factor` times as much."""
    scaled = {
        name: round(v * Fraction(factor)) for name, v in counts.items() if name.endswith("_nd")
    }
    return {**counts, **scaled}
