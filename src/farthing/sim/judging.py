"""A model that is asked which of two answers is better says what the recorded outcomes imply.

The question is known by its form (`farthing.evidence.questions_of`), the prompt within it by the
record, and an answer by what it claims in its end. A rule makes the judge err: by content, the same
in both orders, and by position. Both are seeded, so the same question gets the same word.
"""

from __future__ import annotations

from typing import Final

from farthing.evidence import Questioned, read_question
from farthing.sim.chance import Chance
from farthing.sim.recorded import Recorded
from farthing.sim.settings import Judging

__all__ = ["verdict"]

_ROLE: Final = "user: "
_CLAIM: Final = "Answer: "
_SAME: Final = "SAME"


def verdict(question: str, recorded: Recorded, judging: Judging | None, seed: int) -> str:
    """`A`, `B` or `SAME`; empty where nothing is asked of two answers to a prompt that is known."""
    asked = read_question(question) if recorded else None
    scores = None if asked is None else _scores(asked, recorded)
    if asked is None or scores is None:
        return ""
    first, second = scores
    told = _SAME if first == second else "A" if first > second else "B"
    return told if judging is None else _erring(told, asked, judging, seed)


def _scores(asked: Questioned, recorded: Recorded) -> tuple[float, float] | None:
    """How good both answers are; what no record knows is no good. None: nor is the prompt known."""
    known = _known(asked.request, recorded)
    if known is None:
        return None
    first, second = (known.get(_claimed(text), 0.0) for text in (asked.first, asked.second))
    return first, second


def _known(request: str, recorded: Recorded) -> dict[str, float] | None:
    """The scores of all answers to the request's last user turn, wherever that begins."""
    at = len(request)
    while (at := request.rfind(_ROLE, 0, at)) >= 0:
        known = recorded.scores(request[at + len(_ROLE) :])
        if known is not None:
            return known
    return recorded.scores(request)


def _claimed(text: str) -> str:
    """What an answer comes to: what follows the last `Answer:`, else all of it."""
    return text.rpartition(_CLAIM)[2].strip()


def _erring(told: str, asked: Questioned, judging: Judging, seed: int) -> str:
    both = (asked.first.encode(), asked.second.encode())
    if Chance(seed, b"position", asked.request.encode(), *both).happens(judging.first):
        return "A"
    pair = sorted(both)
    chance = Chance(seed, b"verdict", asked.request.encode(), *pair)
    if not chance.happens(judging.wrong):
        return told
    if told == _SAME:  # then one of them is taken for the better, in both orders the same
        better = pair[int(chance.happens(0.5))]
        return "A" if better == both[0] else "B"
    return "B" if told == "A" else "A"
