"""Scored calls of a traffic log as outcomes: calls of one prompt by several models are one line.

A line that tells nothing of the prompt compares with no other; one without a score says nothing.
What was asked several times of a model is its mean over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from statistics import fmean
from typing import Annotated, Any

import msgspec

from farthing.levers.routing.outcome import Prompt, Result, checked, text_of
from farthing.money import round_half_even

__all__ = ["CallLine", "Traffic"]

_Count = Annotated[int, msgspec.Meta(ge=0)] | None


class _Usage(msgspec.Struct):
    input_tokens: _Count = None
    output_tokens: _Count = None


class CallLine(msgspec.Struct):
    """A call as a traffic log has it; `status` is the call's HTTP status or a word."""

    model: str
    feature: str | None = None
    prompt: Any = None
    messages: Any = None
    prompt_hash: str | None = None
    usage: _Usage = msgspec.field(default_factory=_Usage)
    cost_usd: Decimal | None = None
    score: bool | Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class Traffic:
    """Gathers calls by their prompt: `merged` of them joined others, `unscored` say nothing."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str | None, str], dict[str, list[Result]]] = {}
        self._texts: dict[tuple[str | None, str], str] = {}
        self.unscored = 0
        self.merged = 0

    def add(self, line: CallLine, number: int) -> None:
        """One more call, of the line with that number.

        Raises:
            ValueError: its cost is none.
        """
        if line.score is None:
            self.unscored += 1
            return
        text = text_of(line.prompt if line.messages is None else line.messages)
        key = line.prompt_hash or (hashlib.sha256(text.encode()).hexdigest() if text else "")
        where = (line.feature or None, key or f"line {number}")
        result = Result(
            score=line.score,
            input_tokens=line.usage.input_tokens,
            output_tokens=line.usage.output_tokens,
            cost_usd=line.cost_usd,
        )
        checked(line.model, result)
        self.merged += where in self._texts
        self._texts.setdefault(where, text)
        self._calls.setdefault(where, {}).setdefault(line.model, []).append(result)

    def prompts(self) -> list[Prompt]:
        """The prompts, each with what its models made of it."""
        return [
            Prompt(
                id=f"{where[0] or ''}:{where[1]}",
                outcomes={model: _mean(results) for model, results in by_model.items()},
                prompt=self._texts[where],
                task=where[0],
            )
            for where, by_model in self._calls.items()
        ]


def _mean(results: Sequence[Result]) -> Result:
    if len(results) == 1:
        return results[0]
    costs = [one.cost_usd for one in results if one.cost_usd is not None]
    return Result(
        score=fmean(one.score for one in results),
        input_tokens=_mean_count([one.input_tokens for one in results]),
        output_tokens=_mean_count([one.output_tokens for one in results]),
        cost_usd=sum(costs, Decimal()) / len(costs) if costs else None,
    )


def _mean_count(counts: Sequence[int | None]) -> int | None:
    known = [one for one in counts if one is not None]
    return round_half_even(sum(known), len(known)) if known else None
