"""Whether a policy's scores are shown to reach a floor of the reference's, prompt by prompt.

Where every score is 0 or 1 the test is exact and about as sharp as the normal approximation: it
counts the prompts won and lost. All other scores, and prompts that weigh differently, are tested
by a bet, which holds for any bounded scores and asks for about twice the labels.

The counting test. The claim to reject is that wins come less often than losses by at least
`(1 - floor) * reference`, the reference's share of right answers. That share is replaced by a lower
bound, so the claim holds wherever the true one does. What is left unknown under the claim is how
often the two differ at all: the p-value is the largest over an interval for it, and what the two
bounds may err is taken off alpha (Berger and Boos). What is counted is the surplus of wins in
standard errors, whose distribution hardly depends on how often they differ, and is summed in full.

Source: Berger and Boos, "P values maximized over a confidence set for the nuisance parameter",
JASA 89 (1994); read 2026-11-25.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from farthing.evidence import comparisons_needed, exceeds, labels_needed
from farthing.levers.routing.table import Floats, Ints

__all__ = ["is_counted", "is_shown", "prompts_needed"]

_BOUNDS_SHARE: Final = 0.01  # of alpha, for each of the bounds that the counting test needs
_HOPELESS: Final = 1.0  # standard errors below which no test at a usual alpha rejects
_DIFFERS: Final = 3  # shares of prompts that differ at which the p-value is worked out
_SELDOM: Final = 1.1  # the reference's share is bounded from below as well
_BISECTIONS: Final = 40
_SPREADS: Final = 6.0  # standard deviations that sums go to on either side
_NIL: Final = 1e-9


def is_shown(
    score: Floats, reference: Floats, weight: Floats, *, floor: float, alpha: float
) -> bool:
    """Whether the mean of score less floor times reference is shown to be above 0.

    `weight` are the prompts' weights, relative to each other.
    """
    if not len(score):
        return False
    if floor <= 1 and is_counted(score, reference, weight):
        won, lost = int((score > reference).sum()), int((score < reference).sum())
        right = int(reference.sum())
        return _is_counted_above(won, lost, right, len(score), floor=floor, alpha=alpha)
    margin = (score - floor * reference).tolist()
    relative = (weight / weight.max()).tolist()
    return exceeds(margin, null=0.0, alpha=alpha, bounds=(-floor, 1.0), weights=relative)


def is_counted(score: Floats, reference: Floats, weight: Floats) -> bool:
    """Whether wins and losses are counted: all scores 0 or 1, and all prompts weigh the same."""
    is_plain = bool((weight == weight[:1]).all())
    return is_plain and all(bool(((one == 0) | (one == 1)).all()) for one in (score, reference))


def prompts_needed(margin: float, spread: float, *, confidence: float, counted: bool) -> int | None:
    """About how many prompts the test of `is_shown` asks for (estimate); None: no number would do.

    `counted`: wins and losses are counted; else it is a bet.
    """
    if not counted or margin <= 0:
        return comparisons_needed(margin, spread, confidence=confidence)
    needed = labels_needed(margin, spread, confidence=confidence)
    # However seldom the two differ, that has to be seen: so many prompts without a loss.
    seldom = math.log(1 / (_BOUNDS_SHARE * (1 - confidence))) / margin
    return None if needed is None else max(needed, math.ceil(_SELDOM * seldom))


def _is_counted_above(
    won: int, lost: int, right: int, count: int, *, floor: float, alpha: float
) -> bool:
    share = _BOUNDS_SHARE * alpha
    allowed = 0.0 if floor == 1 else (1 - floor) * _bound(right, count, share, is_upper=False)
    left = alpha - (2 if floor == 1 else 3) * share
    high = _bound(won + lost, count, share, is_upper=True)
    low = _bound(won + lost, count, share, is_upper=False)
    if high <= allowed:  # they differ too seldom for that many losses
        return True
    surplus = won - lost + count * allowed
    errors = surplus / math.sqrt(max(1, won + lost))
    if surplus <= 0 or errors < _HOPELESS:
        return False
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, count + 1)))))
    return all(
        _chance(errors, count, differs, allowed, logs) <= left
        for differs in np.linspace(high, max(low, allowed), _DIFFERS).tolist()
    )


def _chance(errors: float, count: int, differs: float, fewer: float, logs: Floats) -> float:
    """P(surplus of wins >= `errors` standard errors) under the claim, at most.

    The two differ with chance `differs`, and wins come less often by `fewer`. `logs` are the
    logarithms of the factorials. Sums leave out less than `_NIL`, which is added.
    """
    wide = _SPREADS * math.sqrt(count * differs) + _SPREADS
    middle = count * differs
    times = np.arange(max(0, math.floor(middle - wide)), min(count, math.ceil(middle + wide)) + 1)
    log_times = logs[count] - logs[times] - logs[count - times] + _powers(differs, times, count)
    least = np.ceil((times + errors * np.sqrt(np.maximum(times, 1)) - count * fewer) / 2 - 1e-9)
    least = np.maximum(least, 0).astype(np.int64)
    reach = np.arange(math.ceil(_SPREADS * math.sqrt(times[-1])) + math.ceil(_SPREADS))
    wins = least[:, None] + reach
    is_there = wins <= times[:, None]
    wins = np.minimum(wins, times[:, None])
    most = times[:, None]
    odds = _powers((differs - fewer) / (2 * differs), wins, most)
    log_wins = logs[most] - logs[wins] - logs[most - wins] + odds
    return float(np.exp((log_times[:, None] + log_wins)[is_there]).sum()) + _NIL


def _powers(share: float, hits: Ints, count: Ints | int) -> Floats:
    """The logarithm of share**hits * (1 - share)**(count - hits)."""
    yes, no = max(share, 1e-300), max(1 - share, 1e-300)
    return hits * math.log(yes) + (count - hits) * math.log(no)


def _bound(hits: int, count: int, alpha: float, *, is_upper: bool) -> float:
    """A share that the true one is below (above) with confidence 1 - alpha, by Chernoff."""
    if hits == (count if is_upper else 0):
        return 1.0 if is_upper else 0.0
    seen, goal = hits / count, math.log(1 / alpha) / count
    near, far = seen, (1.0 - 1e-12 if is_upper else 1e-12)
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        if _divergence(seen, middle) > goal:
            far = middle
        else:
            near = middle
    return far


def _divergence(seen: float, share: float) -> float:
    yes = seen * math.log(seen / share) if seen > 0 else 0.0
    no = (1 - seen) * math.log((1 - seen) / (1 - share)) if seen < 1 else 0.0
    return yes + no
