"""What a class of calls is served by: a ladder of typed steps, and the pure decision over them.

A step says which models to ask and when an answer is good enough; steps nest into chains. The
decision sees only the answers so far, so the gateway, shadow mode and replay share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

__all__ = [
    "Accept",
    "Agree",
    "Answered",
    "Ask",
    "Route",
    "Single",
    "Step",
    "Verify",
    "alone",
    "arm_of",
    "decide",
    "describe",
    "models_of",
]

_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})


class Single(msgspec.Struct, frozen=True, tag="single", omit_defaults=True):
    """One model answers, at one reasoning effort (empty: the model's default)."""

    model: str
    effort: str = ""


def alone(arm: str) -> Single:
    """The step of a model as outcomes name it: `o3`, or at an effort, `o3@low`."""
    model, _, effort = arm.rpartition("@")
    return Single(model, effort) if model and effort in _EFFORTS else Single(arm)


def arm_of(step: Single) -> str:
    """The name that outcomes have for it."""
    return f"{step.model}@{step.effort}" if step.effort else step.model


class Agree(msgspec.Struct, frozen=True, tag="agree"):
    """The first two models answer; if they agree, that is the answer; else the next is asked.

    As soon as any two agree, the earlier of them is taken; if none do, `otherwise` serves.
    """

    models: tuple[str, ...]
    otherwise: Step


class Verify(msgspec.Struct, frozen=True, tag="verify"):
    """One model answers; the answer is taken if it passes all `validators`, else `otherwise`."""

    model: str
    validators: tuple[str, ...]
    otherwise: Step


class Route(msgspec.Struct, frozen=True, tag="route"):
    """Calls whose `score` is below the threshold go one way, the others (and unknowns) the other."""

    score: str
    threshold: float
    cheap: Step
    strong: Step


Step = Single | Agree | Verify | Route


class Answered(msgspec.Struct, frozen=True):
    """An answer as a decision sees it.

    Two answers agree where their keys are equal; None agrees with nothing. `passed` names the
    validators that it satisfies.
    """

    key: str | None = None
    passed: frozenset[str] = frozenset()


class Ask(msgspec.Struct, frozen=True):
    """These models must answer next; they can be asked at the same time."""

    models: tuple[str, ...]


class Accept(msgspec.Struct, frozen=True):
    """This model's answer is the one to give."""

    model: str


def decide(
    step: Step, answers: Mapping[str, Answered], scores: Mapping[str, float] | None = None
) -> Ask | Accept:
    """The next move for a call, from the answers so far; pure, and without a wait.

    `scores` are what is known of the call before it is answered, by name.
    """
    match step:
        case Single():
            return Accept(step.model) if step.model in answers else Ask((step.model,))
        case Agree():
            return _agreement(step, answers, scores)
        case Verify():
            if step.model not in answers:
                return Ask((step.model,))
            if answers[step.model].passed.issuperset(step.validators):
                return Accept(step.model)
            return decide(step.otherwise, answers, scores)
        case Route():
            known = (scores or {}).get(step.score)
            is_cheap = known is not None and known < step.threshold
            return decide(step.cheap if is_cheap else step.strong, answers, scores)


def _agreement(
    step: Agree, answers: Mapping[str, Answered], scores: Mapping[str, float] | None
) -> Ask | Accept:
    for count in range(2, len(step.models) + 1):
        asked = step.models[:count]
        wanting = tuple(model for model in asked if model not in answers)
        if wanting:
            return Ask(wanting)
        seen: dict[str, str] = {}
        for model in asked:
            key = answers[model].key
            if key is not None and key in seen:
                return Accept(seen[key])
            if key is not None:
                seen[key] = model
    return decide(step.otherwise, answers, scores)


def describe(step: Step) -> str:
    """The step in one line, for people."""
    match step:
        case Single():
            return f"{step.model} ({step.effort})" if step.effort else step.model
        case Agree():
            return f"agree({', '.join(step.models)}) else {describe(step.otherwise)}"
        case Verify():
            checks = ", ".join(step.validators)
            return f"{step.model} if it passes {checks}, else {describe(step.otherwise)}"
        case Route():
            cheap, strong = describe(step.cheap), describe(step.strong)
            return f"{cheap} where {step.score} < {step.threshold:g}, else {strong}"


def models_of(step: Step) -> Iterator[str]:
    """Each model that the step can ask, in the order in which it would."""
    match step:
        case Single():
            yield step.model
        case Agree():
            yield from step.models
            yield from models_of(step.otherwise)
        case Verify():
            yield step.model
            yield from models_of(step.otherwise)
        case Route():
            yield from models_of(step.cheap)
            yield from models_of(step.strong)
