"""A judge that is itself a model: asked in both orders, believed only where both agree.

The caller passes the function that asks; nothing here opens a socket. A judge of the candidate's
own family is refused, for models prefer their own. Before its word counts it is calibrated on
answers that people have labelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.errors import CallerError
from farthing.evidence.betting import Interval
from farthing.evidence.binomial import binomial_interval
from farthing.evidence.judges import Judged
from farthing.money import ZERO, Money

__all__ = [
    "Asked",
    "Calibration",
    "ModelJudge",
    "Questioned",
    "calibrate",
    "family_of",
    "judged_of",
    "questions_of",
    "read_question",
    "refuse_family",
]

LABELS_LEAST: Final = 50
_FAMILIES: Final = MappingProxyType(
    {
        "gpt": ("gpt", "chatgpt", "o1", "o3", "o4", "codex"),
        "claude": ("claude",),
        "gemini": ("gemini", "gemma"),
        "llama": ("llama", "meta-llama"),
        "mistral": ("mistral", "mixtral", "ministral", "codestral", "magistral", "devstral"),
        "qwen": ("qwen", "qwq"),
        "deepseek": ("deepseek",),
        "grok": ("grok",),
        "command": ("command", "c4ai"),
    }
)
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

_END: Final = _QUESTION.rpartition("\n\n")[2].rstrip()
_READ: Final = re.compile(
    r"<request>\n(.*?)\n</request>\n<answer_a>\n(.*?)\n</answer_a>\n"
    r"<answer_b>\n(.*)\n</answer_b>\n",
    re.DOTALL,
)


class Asked(msgspec.Struct, frozen=True):
    """What the judging model replied, and what the question cost."""

    text: str
    cost: Money = ZERO


class Questioned(msgspec.Struct, frozen=True):
    """What a judging model is asked: the request, and the answers in their order."""

    request: str
    first: str
    second: str


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
        refuse_family(family, candidate_family)
        self._ask = ask
        self._rubric = rubric

    def judge(self, request: str, candidate: str, reference: str) -> Judged:
        """1 as good or better, 0 worse, 0.5 where the two orders disagree or a reply is unclear."""
        first, second = questions_of(self._rubric, request, candidate, reference)
        return judged_of(self._ask(first), self._ask(second))


def questions_of(rubric: str, request: str, candidate: str, reference: str) -> tuple[str, str]:
    """What the judging model is asked: the candidate first, then the reference first."""
    first, second = (
        _QUESTION.format(rubric=rubric, request=request, first=one, second=other)
        for one, other in ((candidate, reference), (reference, candidate))
    )
    return first, second


def read_question(text: str) -> Questioned | None:
    """What a question of `questions_of` asks; None where the text is none."""
    if not text.rstrip().endswith(_END):
        return None
    found = _READ.search(text)
    return None if found is None else Questioned(*found.groups())


def judged_of(first: Asked, second: Asked) -> Judged:
    """The word of the two replies together, in the order of `questions_of`."""
    cost = first.cost + second.cost
    told = (_choice(first.text, "A", "B"), _choice(second.text, "B", "A"))
    if None in told or told[0] != told[1]:
        return Judged(0.5, f"no clear word: {told[0]} and {told[1]} in the two orders", cost)
    return Judged(0.0 if told[0] == "reference" else 1.0, f"{told[0]} in both orders", cost)


def refuse_family(family: str, candidate_family: str) -> None:
    """Raises CallerError: the judge is of the candidate's own family."""
    if family == candidate_family:
        raise CallerError(
            f"The judge and the candidate are both of the family {family!r}; models prefer "
            "their own answers.\nNothing was asked.\nName a judge of another family."
        )


def family_of(model: str) -> str:
    """The family of a model by its name: `openai/gpt-4o-mini` is `gpt`, as are `o3` and `o4-mini`."""
    name = model.rpartition("/")[2].lower()
    for family, beginnings in _FAMILIES.items():
        if any(part.startswith(beginnings) for part in re.split(r"[.:@]", name)):
            return family
    return re.split(r"[-.:@\d]", name, maxsplit=1)[0] or name


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How often a judge agrees with people, with an exact 95 % interval.

    `sensitivity` is the share of what people call good that it calls good, `specificity` the share
    of what they call bad that it calls bad; None where there was none.
    """

    agreed: int
    labels: int
    agreement: Interval
    is_enough: bool
    sensitivity: float | None = None
    specificity: float | None = None

    def corrected(self, share: float) -> float | None:
        """The share that people would call good, from the share that the judge does (estimate).

        None where the judge says nothing: it calls bad answers good as often as good ones. Source:
        Rogan and Gladen, American Journal of Epidemiology 107 (1978).
        """
        if self.sensitivity is None or self.specificity is None:
            return None
        told = self.sensitivity + self.specificity - 1
        return None if told <= 0 else min(1.0, max(0.0, (share + self.specificity - 1) / told))


def calibrate(judged: Sequence[float], labels: Sequence[bool]) -> Calibration:
    """A judge's scores beside people's labels (`True`: the candidate is as good or better).

    A score of exactly 0.5 counts as disagreement. Fewer than 50 labels are not enough.

    Raises:
        ValueError: not one score for each label.
    """
    if len(judged) != len(labels):
        raise ValueError(f"{len(judged)} scores for {len(labels)} labels")
    right = [
        score != 0.5 and (score > 0.5) == label for score, label in zip(judged, labels, strict=True)
    ]
    agreed = sum(right)
    goods, bads = (
        [is_right for is_right, label in zip(right, labels, strict=True) if label is kind]
        for kind in (True, False)
    )
    return Calibration(
        agreed=agreed,
        labels=len(labels),
        agreement=binomial_interval(agreed, len(labels), alpha=0.05),
        is_enough=len(labels) >= LABELS_LEAST,
        sensitivity=sum(goods) / len(goods) if goods else None,
        specificity=sum(bads) / len(bads) if bads else None,
    )


def _choice(text: str, candidate: str, reference: str) -> str | None:
    word = text.strip().strip(".*\"'").upper()
    named = {candidate: "candidate", reference: "reference", "SAME": "same"}
    return named.get(word)
