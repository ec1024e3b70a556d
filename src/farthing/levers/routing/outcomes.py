"""Outcomes: what many models made of the same prompts, as users bring it (JSON lines, Parquet).

A line that cannot be read is counted and told with its number; the rest goes on. Costs become
integer nanodollars here, once, half to even; what has no cost stays unknown, never zero.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from farthing.compression import unpacked
from farthing.errors import CallerError
from farthing.levers.routing.outcome import Prompt, Result, checked, text_of
from farthing.levers.routing.step import alone
from farthing.levers.routing.traffic import CallLine, Traffic

__all__ = ["BadLine", "Outcomes", "Prompt", "Result", "read_outcomes"]

_LINE_BYTES_MOST: Final = 64 << 20
_FORM: Final = (
    'each line must be like {"id": "1", "prompt": "...", "outcomes": {"MODEL": '
    '{"score": 1, "cost_usd": 0.01}}}, with scores of 0 to 1.'
)
_NOT_JSON: Final = re.compile(rb":\s*-?(NaN|Infinity)\b")


class BadLine(msgspec.Struct, frozen=True):
    """A line that was left out, by its number (from 1), and why."""

    line: int
    reason: str


class Outcomes(msgspec.Struct, frozen=True):
    """What a file of outcomes holds; `content_hash` is of its bytes (SHA-256, hex).

    `unscored` calls of a traffic log have no score, and say nothing.
    """

    prompts: tuple[Prompt, ...]
    bad_lines: tuple[BadLine, ...]
    content_hash: str
    unscored: int = 0

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that appears, by name."""
        return tuple(sorted({model for prompt in self.prompts for model in prompt.outcomes}))

    def of_models(self, allowed: frozenset[str]) -> Outcomes:
        """Those of these models alone; of all, where none is named."""
        if not allowed:
            return self
        kept = (
            replace(
                one,
                outcomes={m: told for m, told in one.outcomes.items() if alone(m).model in allowed},
            )
            for one in self.prompts
        )
        return replace(self, prompts=tuple(one for one in kept if one.outcomes))


class _Shape(msgspec.Struct):
    outcomes: msgspec.Raw | UnsetType = UNSET
    model: msgspec.Raw | UnsetType = UNSET


class _Line(msgspec.Struct):
    outcomes: dict[str, Result | None]
    id: str | int | None = None
    prompt: Any = None
    task: str | int | None = None


def read_outcomes(path: Path) -> Outcomes:
    """Read a file of outcomes: `.jsonl`, also with `.gz` or `.zst`, or `.parquet`.

    A traffic log is read too: one call a line, with its `model` and `score`.

    Raises:
        CallerError: the file is not there, not of these kinds, or holds no usable line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CallerError(
            f"{path} can't be read: {error.strerror or error}.\nNothing was done.\n"
            "Name a file of outcomes (one JSON object a line)."
        ) from error
    lines = _parquet_lines(path) if path.suffix == ".parquet" else _lines(path, raw)
    prompts, bad, traffic = _parse(lines)
    unscored = traffic.unscored
    if unscored and not prompts:
        raise CallerError(
            f"None of the {unscored:,} calls in {path} has a score.\nNothing was done.\nGive each "
            'call a "score" of 0 to 1, or write what your gateway compared: farthing route outcomes'
        )
    if not prompts or len(bad) > len(prompts) + traffic.merged + unscored:
        raise CallerError(f"{path} {_fault(prompts, bad)}\nNothing was done.\n{_hint(path, bad)}")
    return Outcomes(tuple(prompts), tuple(bad), hashlib.sha256(raw).hexdigest(), unscored)


def _fault(prompts: Sequence[Prompt], bad: Sequence[BadLine]) -> str:
    if not bad:
        return "holds no outcomes. It is empty."
    first = f"Line {bad[0].line}: {bad[0].reason}."
    if not prompts:
        return f"holds no outcomes. {first}"
    return f"can be read in {len(prompts):,} of {len(prompts) + len(bad):,} lines only. {first}"


def _hint(path: Path, bad: Sequence[BadLine]) -> str:
    if path.suffix in (".csv", ".tsv"):
        return f"CSV is not read: {_FORM}"
    if len(bad) == 1 and "got `array`" in bad[0].reason:
        return f"Write each member of the array on a line of its own (jq -c '.[]'): {_FORM}"
    return _FORM[0].upper() + _FORM[1:]


def _parse(lines: Iterator[bytes]) -> tuple[list[Prompt], list[BadLine], Traffic]:
    decoder = msgspec.json.Decoder(_Line)
    calls, traffic = msgspec.json.Decoder(CallLine), Traffic()
    prompts: list[Prompt] = []
    bad: list[BadLine] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if _is_call(line):
                traffic.add(calls.decode(line), number)
                continue
            prompt = _prompt(decoder.decode(line), number)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
            bad.append(BadLine(number, _reason(line, error)))
            continue
        if prompt.id in seen:
            bad.append(BadLine(number, f"the id {prompt.id!r} was there before"))
            continue
        seen.add(prompt.id)
        prompts.append(prompt)
    return prompts + traffic.prompts(), bad, traffic


def _is_call(line: bytes) -> bool:
    """Whether a line is a call of a traffic log rather than outcomes of many models."""
    shape = msgspec.json.decode(line, type=_Shape)
    return shape.outcomes is UNSET and shape.model is not UNSET


def _reason(line: bytes, error: Exception) -> str:
    odd = _NOT_JSON.search(line) if isinstance(error, msgspec.DecodeError) else None
    if odd is not None:
        return f"{odd[1].decode()} is no number in JSON; leave out what is not known"
    return str(error) or type(error).__name__


def _prompt(line: _Line, number: int) -> Prompt:
    results = {model: one for model, one in line.outcomes.items() if one is not None}
    if not results:
        raise ValueError("no model has an outcome")
    for model, one in results.items():
        checked(model, one)
    return Prompt(
        id=f"line {number}" if line.id is None else str(line.id),
        outcomes=results,
        prompt=text_of(line.prompt),
        task=None if line.task in (None, "") else str(line.task),
    )


def _lines(path: Path, raw: bytes) -> Iterator[bytes]:
    try:
        plain = unpacked(raw)
    except ValueError as error:
        raise CallerError(
            f"{path} can't be unpacked: {error}.\nNothing was done.\nPack it again."
        ) from error
    yield from plain.removeprefix(codecs.BOM_UTF8).splitlines()


def _parquet_lines(path: Path) -> Iterator[bytes]:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise CallerError(
            "Parquet files need DuckDB, which is not installed.\nNothing was done.\n"
            "Install it: pip install 'farthing[archive]'"
        ) from error
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as engine:
        try:
            found = engine.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or []]
            rows = found.fetchall()
        except duckdb.Error as error:
            raise CallerError(
                f"{path} can't be read as Parquet: {error}.\nNothing was done.\nWrite it again."
            ) from error
    for row in rows:
        told = dict(zip(names, row, strict=True))
        if isinstance(told.get("outcomes"), str):  # a JSON column
            told["outcomes"] = msgspec.Raw(told["outcomes"].encode())
        yield msgspec.json.encode(told, enc_hook=str)
