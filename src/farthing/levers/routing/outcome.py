"""What one model made of one prompt, and the prompt with what all models made of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, cast

import msgspec

from farthing.money import Money, round_half_even

__all__ = ["Prompt", "Result", "checked", "text_of"]

_NANODOLLARS_MOST: Final = 10**15  # a million dollars for one call is a slip, not a price


class Result(msgspec.Struct, frozen=True, gc=False):
    """How one model did on one prompt; `answer` is equal where final answers are equal."""

    score: bool | Annotated[float, msgspec.Meta(ge=0, le=1)]
    input_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    output_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    cost_usd: Decimal | None = None
    answer: str | int | float | bool | None = None

    @property
    def cost(self) -> Money | None:
        """The cost that the line tells, to the nanodollar; None where it tells none."""
        if self.cost_usd is None:
            return None
        return Money(round_half_even(*self.cost_usd.scaleb(9).as_integer_ratio()))


class Prompt(msgspec.Struct, frozen=True):
    """One prompt with the results of the models that were tried on it."""

    id: str
    outcomes: dict[str, Result]
    prompt: str = ""
    task: str | None = None


def checked(model: str, result: Result) -> None:
    """Raises ValueError: what it cost is no sum that a call could cost."""
    cost = result.cost_usd
    if cost is not None and not (cost.is_finite() and 0 <= cost.scaleb(9) <= _NANODOLLARS_MOST):
        raise ValueError(f"the cost of {model} is {cost} USD")


def text_of(prompt: Any) -> str:
    """A prompt as one text; of messages their texts, as serving reads them."""
    if prompt is None or isinstance(prompt, str):
        return prompt or ""
    if isinstance(prompt, list) and prompt:
        texts = [_content(turn) for turn in cast("list[Any]", prompt)]
        if None not in texts:
            return "\n".join(cast("list[str]", texts))  # as serving reads a call's messages
    return msgspec.json.encode(prompt).decode()


def _content(turn: Any) -> str | None:
    """The text of a message; None where it is none, or of another form."""
    content = cast("dict[str, Any]", turn).get("content") if isinstance(turn, dict) else None
    if isinstance(content, list):
        blocks = [cast("Any", b) for b in cast("list[Any]", content) if isinstance(b, dict)]
        parts = [block.get("text") for block in blocks]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None
