"""Recorded answers: Outcomes and Samples files, looked up by prompt and model.

A prompt is known when its whitespace-normalised text is equal to the recorded one. Both formats
are described in docs/simulator.md; gzip and zstd are read, known by their first bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from farthing.compression import unpacked
from farthing.sim.chance import Chance
from farthing.sim.errors import BadRules

__all__ = ["Recorded", "RecordedAnswer", "right_answer", "wrong_answer"]


class RecordedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a model answered a prompt. Counts of 0 were not recorded; no answer is the empty text.

    `wrong_answer` is another model's wrong answer to the same prompt, for degrading this one.
    """

    score: float
    answer: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    wrong_answer: str = ""


class _Outcome(msgspec.Struct, frozen=True):
    score: float
    answer: str | int | float | bool | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class _OutcomesLine(msgspec.Struct, frozen=True):
    prompt: str
    outcomes: dict[str, _Outcome]


class _Sample(msgspec.Struct, frozen=True):
    answer: str | int | float | bool | None = None
    correct: bool = False
    output_tokens: int = 0


class _Sampled(msgspec.Struct, frozen=True):
    samples: list[_Sample]
    input_tokens: int = 0


class _SamplesLine(msgspec.Struct, frozen=True):
    question: str
    models: dict[str, _Sampled]


_Line = TypeVar("_Line", _OutcomesLine, _SamplesLine)
_OUTCOMES: Final = msgspec.json.Decoder(_OutcomesLine)
_SAMPLES: Final = msgspec.json.Decoder(_SamplesLine)


class Recorded:
    """Everything recorded, by normalised prompt and model."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[str, tuple[RecordedAnswer, ...]]] = {}
        self.models: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._answers)

    def add_outcomes(self, path: Path) -> int:
        """Read an Outcomes file; returns how many prompts it holds.

        Raises:
            BadRules: a line is no Outcomes line.
        """
        count = 0
        for number, line in _lines(path):
            read = _decoded(_OUTCOMES, line, path, number)
            wrong = [_text(o.answer) for o in read.outcomes.values() if o.score < 0.5]
            self._add(
                read.prompt,
                {
                    model: (
                        RecordedAnswer(
                            score=outcome.score,
                            answer=_text(outcome.answer),
                            input_tokens=outcome.input_tokens,
                            output_tokens=outcome.output_tokens,
                            wrong_answer=next(filter(None, wrong), ""),
                        ),
                    )
                    for model, outcome in read.outcomes.items()
                },
            )
            count += 1
        return count

    def add_samples(self, path: Path) -> int:
        """Read a Samples file; returns how many questions it holds.

        Raises:
            BadRules: a line is no Samples line.
        """
        count = 0
        for number, line in _lines(path):
            read = _decoded(_SAMPLES, line, path, number)
            models: dict[str, tuple[RecordedAnswer, ...]] = {}
            for model, sampled in read.models.items():
                wrong = [_text(s.answer) for s in sampled.samples if not s.correct]
                models[model] = tuple(
                    RecordedAnswer(
                        score=float(sample.correct),
                        answer=_text(sample.answer),
                        input_tokens=sampled.input_tokens,
                        output_tokens=sample.output_tokens,
                        wrong_answer=next(filter(None, wrong), ""),
                    )
                    for sample in sampled.samples
                )
            self._add(read.question, models)
            count += 1
        return count

    def _add(self, prompt: str, models: dict[str, tuple[RecordedAnswer, ...]]) -> None:
        self._answers.setdefault(_normalised(prompt), {}).update(models)
        self.models.update(models)

    def knows(self, prompt: str, model: str) -> bool:
        """Whether there is an answer of `model` to `prompt`."""
        return bool(self._answers) and model in self._answers.get(_normalised(prompt), {})

    def scores(self, prompt: str) -> dict[str, float] | None:
        """How good each answer to the prompt is that some model gave; None: the prompt is unknown.

        Answers that were not recorded count under the texts that stand for them.
        """
        known = self._answers.get(_normalised(prompt))
        if known is None:
            return None
        found = {right_answer(prompt): 1.0}
        for one in (one for samples in known.values() for one in samples if one.answer):
            text = one.answer.strip()
            found[text] = max(found.get(text, 0.0), one.score)
        return found

    def answer(self, prompt: str, model: str, repeat: int, seed: int) -> RecordedAnswer | None:
        """The answer of `model` to the `repeat`-th asking of `prompt` (0 is the first).

        Samples come in their recorded order from the first on with seed 0, else from a seeded
        place on, and start again after the last.
        """
        if not self._answers:
            return None
        samples = self._answers.get(_normalised(prompt), {}).get(model)
        if not samples:
            return None
        first = 0
        if seed and len(samples) > 1:
            drawn = Chance(seed, model.encode(), prompt.encode())
            first = drawn.random.randrange(len(samples))
        return samples[(first + repeat) % len(samples)]


def right_answer(prompt: str) -> str:
    """What models claim that are right where no answer was recorded: all the same."""
    return "right-" + Chance(0, prompt.encode()).hexadecimal("answer", 8)


def wrong_answer(prompt: str, model: str) -> str:
    """What a model claims that is wrong where no answer was recorded: each its own."""
    return "wrong-" + Chance(0, prompt.encode(), model.encode()).hexadecimal("answer", 8)


def _normalised(text: str) -> str:
    return " ".join(text.split())


def _text(answer: str | float | bool | None) -> str:  # noqa: FBT001 - a recorded JSON value
    return "" if answer is None else str(answer)


def _decoded(decoder: msgspec.json.Decoder[_Line], line: bytes, path: Path, number: int) -> _Line:
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise BadRules(
            f"{path}, line {number}: {error}. Nothing was started; mend or leave out that line."
        ) from error


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        plain = unpacked(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadRules(f"{path}: {error}. Nothing was started.") from error
    for number, line in enumerate(plain.splitlines(), start=1):
        if line.strip():
            yield number, line
