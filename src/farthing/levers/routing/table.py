"""Outcomes as arrays: models by prompts. Needs numpy (`farthing[routing]`).

Costs are int64 nanodollars throughout. A prompt without the reference's outcome compares with
nothing and is left out; a model without any cost is left out, for unknown is never free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.errors import CallerError
from farthing.levers.routing.classes import UNKNOWN, Classes
from farthing.levers.routing.outcomes import Outcomes, Prompt, Result
from farthing.money import Money, round_half_even

__all__ = ["Bools", "Floats", "Ints", "Pricer", "Table", "make_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Pricer = Callable[[str, int, int], Money | None]
_UNKNOWN_COST: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`scores`, `costs` (nanodollars), `answers` (-1: none) and `known` are models x prompts.

    Where an outcome is not known, the reference's stands in its place and `known` is False.
    `classes` gives each prompt's index in `class_names`; `is_open` says which classes may be
    served by anything but the incumbent. `texts` are the prompts.
    """

    models: tuple[str, ...]
    reference: int
    scores: Floats
    costs: Ints
    known: Bools
    answers: Ints
    classes: Ints
    class_names: tuple[str, ...]
    is_open: Bools
    naming: Classes
    texts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many prompts."""
        return len(self.texts)


def make_table(outcomes: Outcomes, reference: str, price: Pricer | None = None) -> Table:
    """The arrays for a reference model; `price` gives a cost from tokens where a line has none.

    Raises:
        CallerError: the reference has no outcomes, no costs, or scores nothing.
    """
    prompts = [prompt for prompt in outcomes.prompts if reference in prompt.outcomes]
    if not prompts:
        known = ", ".join(outcomes.models)
        raise CallerError(
            f"The file has no outcomes of {reference!r}.\nNothing was done.\nIt has: {known}."
        )
    notes: list[str] = []
    if outcomes.unscored:
        notes.append(f"{outcomes.unscored:,} calls without a score were left out")
    if len(prompts) < len(outcomes.prompts):
        lost = len(outcomes.prompts) - len(prompts)
        notes.append(f"{lost} prompts without an outcome of {reference} were left out")
    costs, models = _costs(prompts, outcomes.models, price, notes)
    if reference not in models:
        raise CallerError(
            f"No cost of {reference!r} is known, so nothing can be compared with it.\n"
            "Nothing was done.\nGive cost_usd, or input_tokens and output_tokens of a model whose "
            "price is known (farthing models)."
        )
    at = models.index(reference)
    if not costs[at].any():
        raise CallerError(
            f"{reference!r} costs nothing in this file, so nothing can be saved.\n"
            "Nothing was done.\nGive what it costs, or name another model."
        )
    scores, known, answers = _answers(prompts, models)
    known &= costs != _UNKNOWN_COST
    known[at] = True
    if not scores[at].any():
        raise CallerError(
            f"{reference!r} scores 0 on each of {len(prompts):,} prompts: it has no quality to keep."
            "\nNothing was done.\nLook at what scored it, or name another model."
        )
    _note_copies(prompts, notes)
    naming = Classes.of(prompts)
    named = [naming.name(prompt.task, prompt.prompt) for prompt in prompts]
    names = tuple(sorted(set(named)))
    place = {name: index for index, name in enumerate(names)}
    _note_missing(models, known, scores[at], notes)
    return Table(
        models=models,
        reference=at,
        scores=np.where(known, scores, scores[at]),
        costs=np.where(known, costs, costs[at]),
        known=known,
        answers=np.where(known, answers, -1),
        classes=np.array([place[name] for name in named], dtype=np.int64),
        class_names=names,
        is_open=np.array([name != UNKNOWN for name in names]),
        naming=naming,
        texts=tuple(prompt.prompt for prompt in prompts),
        notes=tuple(notes),
    )


def _answers(prompts: Sequence[Prompt], models: tuple[str, ...]) -> tuple[Floats, Bools, Ints]:
    shape = (len(models), len(prompts))
    scores, known = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    answers = np.full(shape, -1, dtype=np.int64)
    keys: dict[object, int] = {}
    for row, model in enumerate(models):
        for column, prompt in enumerate(prompts):
            one = prompt.outcomes.get(model)
            if one is None:
                continue
            scores[row, column] = one.score
            known[row, column] = True
            if one.answer is not None:
                key = (type(one.answer) is bool, one.answer)
                answers[row, column] = keys.setdefault(key, len(keys))
    return scores, known, answers


def _costs(
    prompts: Sequence[Prompt],
    models: tuple[str, ...],
    price: Pricer | None,
    notes: list[str],
) -> tuple[Ints, tuple[str, ...]]:
    rows: list[list[int]] = []
    kept: list[str] = []
    for model in models:
        results = [prompt.outcomes.get(model) for prompt in prompts]
        row = [_cost(model, one, price) for one in results]
        told = [cost for cost in row if cost != _UNKNOWN_COST]
        present = sum(one is not None for one in results)
        if not told:
            if present:
                notes.append(f"{model} has no known cost and was left out")
            continue
        if len(told) < present:
            mean = round_half_even(sum(told), len(told))
            row = [
                mean if cost == _UNKNOWN_COST and one is not None else cost
                for cost, one in zip(row, results, strict=True)
            ]
            notes.append(f"{present - len(told)} costs of {model} are estimated by its mean cost")
        rows.append(row)
        kept.append(model)
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(prompts)), tuple(kept)


def _cost(model: str, one: Result | None, price: Pricer | None) -> int:
    if one is None:
        return _UNKNOWN_COST
    cost = one.cost
    if cost is None and price is not None and one.input_tokens is not None:
        cost = price(model, one.input_tokens, one.output_tokens or 0)
    return _UNKNOWN_COST if cost is None else cost.nanodollars


def _note_copies(prompts: Sequence[Prompt], notes: list[str]) -> None:
    """Say how many lines say the same as another, for each counts as a call of its own."""
    copies = len(prompts) - len(
        {msgspec.json.encode((one.prompt, one.task, one.outcomes)) for one in prompts if one.prompt}
    )
    copies -= sum(not one.prompt for one in prompts)
    if copies:
        notes.append(
            f"{copies:,} prompts are copies of others, with the same outcomes; each counts as a "
            "call of its own, so leave them out unless they were asked so often"
        )


def _note_missing(
    models: tuple[str, ...], known: Bools, reference: Floats, notes: list[str]
) -> None:
    """Say where a model is missing, and where it is missing on other prompts than the rest."""
    for model, has in zip(models, known, strict=True):
        missing = int((~has).sum())
        if not missing:
            continue
        told = f"{model} is missing on {missing} prompts; it is compared on the others only"
        if missing >= 20 and has.sum() >= 20:
            gap = float(reference[~has].mean() - reference[has].mean())
            error = float(reference.std()) * float(np.sqrt(1 / missing + 1 / has.sum()))
            if abs(gap) > 3 * max(error, 1e-9):
                told += f", where the reference scores {-gap:+.3f} otherwise: not missing by chance"
        notes.append(told)
