"""Looks at nested sets of lookups, fixed beforehand: which of them do the labels so far prove?

A set is proven where its labels reject an error rate above the limit. Looks come after as many
labels as one set needs without an error, and after so many times that number. Each has its share of
alpha, so the chance that any set whose error rate is above the limit is ever proven is at most alpha.

The early looks stand for themselves, for few sets are proven there. The later ones share most of
alpha, and see mostly the same labels: a set that fails at one would rarely have passed at the next by
luck alone. So how many wrong answers a set may have at each is worked out from all of them together,
exactly (as in a group sequential trial with a spending function; Lan and DeMets, "Discrete sequential
boundaries for clinical trials", Biometrika 1983), which leaves more of alpha to each than
parts that are added up.

At a look sets are tried in groups, from the surest set of a group on, until one fails; what a group has
of alpha passes on to the next if all of its sets passed (the fallback procedure of Wiens, 2003).
Where groups begin is chosen by how many labels a set has and not by what these say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from farthing.evidence import binomial_at_most
from farthing.levers.cache.semantic.eprocess import Tally, proof_wealth, sums

__all__ = ["WAITED", "Looks", "most_wrong"]

_TIMES = (1, 2, 4, 6, 8, 12)  # the labels that a set needs without an error
_PARTS = (2, 1, 1, 22, 2, 2)  # of alpha, for each look
_EARLY = 3  # looks that stand for themselves
WAITED = _EARLY + 1  # looks for a larger set, before what is proven begins to serve
# Chains of sets at an early look: the first has so many times the labels that it needs, and that
# share of all; and the chain's share of the look's alpha. The second is for where few lookups are sure.
_CHAINS = ((1.0, 1 / 3, 0.75), (1.5, 0.0, 0.25))
# Groups of sets at the later looks: the share of labels that the first has, and the group's of alpha.
_GROUPS = ((0.09, 0.15), (0.18, 0.2), (0.33, 0.65))


@dataclass(slots=True)
class Looks:
    """The looks at one namespace's labels while all are taken alike, before anything is served."""

    limit: float
    alpha: float
    taken: int = 0
    _starts: list[int] = field(default_factory=list[int])
    _seen: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def needed(self) -> int:
        """Labels without any error that a set needs to be proven at the first look."""
        return math.ceil(math.log(_CHAINS[0][2] * self._alpha_at(0)) / math.log1p(-self.limit))

    def is_due(self, labels: int) -> bool:
        """Whether so many labels are enough for the next look."""
        return self.taken < len(_TIMES) and labels >= self.needed * _TIMES[self.taken]

    def look(self, sets: Sequence[Sequence[Tally]], labels: int) -> int:
        """Take the next look at the sets, surest first, each within the next: the last one proven.

        -1 where none is. `labels` counts those in no set too.
        """
        look = self.taken
        self.taken += 1
        return self._early(sets, labels, look) if look < _EARLY else self._late(sets, labels, look)

    def _alpha_at(self, look: int) -> float:
        return self.alpha * _PARTS[look] / sum(_PARTS)

    def _early(self, sets: Sequence[Sequence[Tally]], labels: int, look: int) -> int:
        counts = [sums(one)[0] for one in sets]
        proven = -1
        for times, share, part in _CHAINS:
            at = _first(counts, max(times * self.needed, share * labels))
            while at < len(sets) and self._is_shown(sets[at], self._alpha_at(look) * part):
                proven = max(proven, at)
                at += 1
        return proven

    def _late(self, sets: Sequence[Sequence[Tally]], labels: int, look: int) -> int:
        counts = [sums(one)[0] for one in sets]
        self._seen.append(counts)
        if not self._starts:
            self._starts = [_first(counts, share * labels) for share, _ in _GROUPS]
        ends = [*self._starts[1:], len(sets)]
        parts = [part for _, part in _GROUPS]
        proven, passed_on = -1, 0.0
        for group, (start, end) in enumerate(zip(self._starts, ends, strict=True)):
            part, at = parts[group] + passed_on, start
            more = [sum(parts[other : group + 1]) for other in range(group + 1)]
            shares = [share for share in more if share >= part - 1e-9]
            while at < end and self._is_shown_jointly(sets[at], at, look, shares):
                proven = at
                at += 1
            passed_on = part if at == end else 0.0
        return proven

    def _is_shown(self, tallies: Sequence[Tally], alpha: float) -> bool:
        """Whether a set's labels reject an error rate above the limit, at this alpha.

        Where they weigh alike the test is the exact binomial one, else a bet's wealth.
        """
        if len(tallies) == 1:
            labels, wrong = sums(tallies)
            return binomial_at_most(wrong, labels, self.limit) <= alpha
        return proof_wealth(tallies, self.limit) >= 1 / alpha

    def _is_shown_jointly(
        self, tallies: Sequence[Tally], at: int, look: int, shares: Sequence[float]
    ) -> bool:
        """The same at this look, given the later looks before it.

        `shares` of alpha are the one in force and all larger ones that the set might have had: who
        has more must never be allowed less.
        """
        if len(tallies) != 1:
            return self._is_shown(tallies, shares[0] * self._alpha_at(look))
        labels = [counts[at] for counts in self._seen]
        spent = list(accumulate(self._alpha_at(_EARLY + one) for one in range(len(labels))))
        wrong = sums(tallies)[1]
        return all(
            wrong <= most_wrong(labels, [share * one for one in spent], self.limit)
            for share in shares
        )


def _first(counts: Sequence[int], wanted: float) -> int:
    """The surest set with so many labels."""
    return next((at for at, count in enumerate(counts) if count >= wanted), len(counts))


def most_wrong(labels: Sequence[int], spent: Sequence[float], limit: float) -> int:
    """How many wrong answers among the last count of `labels` still prove a rate below `limit`.

    -1: no number does. Counts grow from look to look; by each look, a rate of `limit` may have
    passed one of them with the chance `spent` there, and with no more than that.
    """
    most = _bound(labels[-1], spent[-1], limit)
    chances, before, used, allowed = [1.0] + [0.0] * most, 0, 0.0, -1
    for count, ends_at in zip(labels, spent, strict=True):
        chances = _after(chances, count - before, limit)
        before, allowed = count, -1
        while allowed < most and used + chances[allowed + 1] <= ends_at:
            allowed += 1
            used += chances[allowed]
            chances[allowed] = 0.0  # passed: it takes no further look
    return allowed


def _bound(labels: int, alpha: float, limit: float) -> int:
    """A number of wrong answers of which so few are likelier than alpha: none larger is allowed."""
    low, high = 0, labels
    while low < high:
        middle = (low + high) // 2
        if binomial_at_most(middle, labels, limit) > alpha:
            high = middle
        else:
            low = middle + 1
    return low


def _after(chances: Sequence[float], labels: int, limit: float) -> list[float]:
    """The chances of 0, 1, ... wrong answers after so many more labels, as far as they are kept."""
    more = [math.exp(_log_chance(wrong, labels, limit)) for wrong in range(len(chances))]
    return [
        sum(chances[before] * more[wrong - before] for before in range(wrong + 1))
        for wrong in range(len(chances))
    ]


def _log_chance(wrong: int, labels: int, limit: float) -> float:
    if wrong > labels:
        return -math.inf
    ways = math.lgamma(labels + 1) - math.lgamma(wrong + 1) - math.lgamma(labels - wrong + 1)
    return ways + wrong * math.log(limit) + (labels - wrong) * math.log1p(-limit)
