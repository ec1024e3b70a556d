"""A judge that is itself a model: asked in both orders, believed only where both agree.

The caller passes the function that asks; nothing here opens a socket. A judge of the candidate's
own family is refused, for models prefer their own. Before its word counts it is calibrated on
answers that people have labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from farthing.errors import CallerError
from farthing.evidence.betting import Interval
from farthing.evidence.binomial import binomial_interval
from farthing.evidence.judges import Judged
from farthing.money import ZERO, Money

__all__ = ["Asked", "Calibration", "ModelJudge", "calibrate"]

LABELS_LEAST: Final = 50
_QUESTION: Final = """{rubric}

Two answers to the same request follow. Judge only how well each serves the request; length and
order must not count.

<request>
{request}
</request>
<answer_a>
{first}
</answer_a>
<answer_b>
{second}
</answer_b>

Reply with one word: A if answer A is better, B if answer B is better, SAME if they serve equally.
"""


class Asked(msgspec.Struct, frozen=True):
    """What the judging model replied, and what the question cost."""

    text: str
    cost: Money = ZERO


class ModelJudge:
    """Compares a candidate with the reference through `ask`, in both orders.

    Raises:
        CallerError: the judge is of the candidate's family.
    """

    def __init__(
        self,
        ask: Callable[[str], Asked],
        *,
        rubric: str,
        family: str,
        candidate_family: str,
    ) -> None:
        if family == candidate_family:
            raise CallerError(
                f"The judge and the candidate are both of the family {family!r}; models prefer "
                "their own answers.\nNothing was asked.\nName a judge of another family."
            )
        self._ask = ask
        self._rubric = rubric

    def judge(self, request: str, candidate: str, reference: str) -> Judged:
        """1 as good or better, 0 worse, 0.5 where the two orders disagree or a reply is unclear."""
        first = self._ask(self._question(request, candidate, reference))
        second = self._ask(self._question(request, reference, candidate))
        cost = first.cost + second.cost
        told = (_choice(first.text, "A", "B"), _choice(second.text, "B", "A"))
        if None in told or told[0] != told[1]:
            return Judged(0.5, f"no clear word: {told[0]} and {told[1]} in the two orders", cost)
        reason = f"{told[0]} in both orders"
        return Judged(0.0 if told[0] == "reference" else 1.0, reason, cost)

    def _question(self, request: str, first: str, second: str) -> str:
        return _QUESTION.format(rubric=self._rubric, request=request, first=first, second=second)


class Calibration(msgspec.Struct, frozen=True):
    """How often a judge agrees with people, with an exact 95 % interval."""

    agreed: int
    labels: int
    agreement: Interval
    is_enough: bool


def calibrate(judged: Sequence[float], labels: Sequence[bool]) -> Calibration:
    """A judge's scores beside people's labels (`True`: the candidate is as good or better).

    A score of exactly 0.5 counts as disagreement. Fewer than 50 labels are not enough.

    Raises:
        ValueError: not one score for each label.
    """
    if len(judged) != len(labels):
        raise ValueError(f"{len(judged)} scores for {len(labels)} labels")
    agreed = sum(
        (score > 0.5) == label for score, label in zip(judged, labels, strict=True) if score != 0.5
    )
    bounds = binomial_interval(agreed, len(labels), alpha=0.05)
    return Calibration(agreed, len(labels), bounds, len(labels) >= LABELS_LEAST)


def _choice(text: str, candidate: str, reference: str) -> str | None:
    word = text.strip().strip(".*\"'").upper()
    named = {candidate: "candidate", reference: "reference", "SAME": "same"}
    return named.get(word)
