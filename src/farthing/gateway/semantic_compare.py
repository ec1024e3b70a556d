"""What follows a look-up once the real answer is there: compare, label, approve, keep the question.

Nothing here is on a caller's path. An answer that nobody could compare counts as wrong for the
certificate, and waits for a person.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from farthing.clock import Clock
from farthing.gateway.semantic_acts import Answered, Doubt, Judged
from farthing.gateway.semantic_judge import answer_mark, cheap_verdict, said_of
from farthing.gateway.semantic_plan import Found
from farthing.gateway.semantic_reader import Hands, SemanticReader
from farthing.levers.cache import SqliteAnswers
from farthing.levers.cache.entry import decode_stored
from farthing.levers.cache.semantic import Decision
from farthing.levers.cache.semantic.shelf import Held
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import LabelRow, SemanticTables, WordingRow

__all__ = ["Comparer"]

_DOUBTS_MAX: Final = 512  # that a model has not answered; further ones wait for a person


class _Near(msgspec.Struct, frozen=True, kw_only=True):
    """A look-up that found something to compare with, and what both answers say.

    `marks` stand for what they say, the fresh one first.
    """

    act: Answered
    found: Found
    decision: Decision
    chosen: Held
    propensity: float
    marks: tuple[bytes, bytes]


class _Word(msgspec.Struct, frozen=True):
    """What a judge said: whether the answers are the same (None: it could not tell)."""

    verdict: bool | None
    judge: str
    cost_nd: int = 0


class Comparer:
    """All methods are called in the one thread of the reader's."""

    def __init__(
        self, reader: SemanticReader, settings: SemanticSettings, clock: Clock, hands: Hands
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._hands = hands
        self._doubts: OrderedDict[int, _Near] = OrderedDict()

    def answered(self, act: Answered, found: Found | None) -> None:
        """The real answer to a call was stored: see what it tells of the one that was near."""
        doubt = Doubt(act.number)
        try:
            doubt = self._compared(act, found)
        finally:
            if act.is_asking:
                self._hands.tell(doubt)

    def judged(self, act: Judged) -> None:
        """A model compared two answers."""
        near = self._doubts.pop(act.number, None)
        if near is not None:
            model = near.act.plan.rules.judge_model
            self._note(near, _Word(act.is_same, model, act.cost_nd))

    def _compared(self, act: Answered, found: Found | None) -> Doubt:
        plan, nothing = act.plan, Doubt(act.number)
        fresh = said_of(act.endpoint, decode_stored(act.stored))
        mark = answer_mark(plan.keys, fresh)
        self._reader.keep(plan, found, mark)
        comparable = _comparable(found, self._settings.near_min)
        if comparable is None:
            return nothing
        found, decision, chosen = comparable
        self._reader.sharing.asked_alike(plan, chosen, (b"", b""))
        self._tell_gain(act, decision)
        propensity = self._propensity(act, decision)
        stored = None if propensity is None else self._reader.answer(chosen.entry, plan.keys)
        old = "" if stored is None else said_of(act.endpoint, stored)
        if propensity is None or not old:
            return nothing
        near = _Near(
            act=act,
            found=found,
            decision=decision,
            chosen=chosen,
            propensity=propensity,
            marks=(mark, answer_mark(plan.keys, old)),
        )
        verdict = cheap_verdict(fresh, old)
        if verdict is not None or not act.is_asking:
            self._note(near, _Word(verdict, "nobody" if verdict is None else "cheap"))
            return nothing
        self._doubts[act.number] = near
        if len(self._doubts) > _DOUBTS_MAX:
            self._doubts.popitem(last=False)
        return Doubt(act.number, ((plan.text, fresh), (chosen.text, old)))

    def _tell_gain(self, act: Answered, decision: Decision) -> None:
        """Count what serving would have saved, had it been allowed."""
        is_clear = decision.comparison is not None and decision.comparison.is_clear
        amounts: dict[str, int] = {}
        if decision.would_serve or (is_clear and not decision.barred):
            amounts = {"would_hits": 1, "would_save_nd": act.cost_nd}
        if decision.is_held_back:
            amounts["held_back"] = 1
        if amounts:
            self._reader.count(act.plan.course, amounts)

    def _propensity(self, act: Answered, decision: Decision) -> float | None:
        """With which chance this look-up was to be compared; None: it was not drawn."""
        if decision.action == "serve":
            return self._settings.sampling if act.is_check else None
        return self._settings.shadow_sampling if act.is_drawn else None

    def _note(self, near: _Near, said: _Word) -> None:
        """Note a verdict: as a label, in the log, as an approved wording or a pair kept apart."""
        act, decision = near.act, near.decision
        plan, evidence = act.plan, decision.evidence
        assert evidence is not None  # noqa: S101 - it is near
        now_us = self._clock.now_us()
        is_serving = plan.mode == "serve" and near.found.position.standing.threshold is not None
        label = LabelRow(
            course=plan.course.course,
            tenant=plan.keys.tenant_mark,
            features=evidence.features,
            vetoes=tuple(sorted(evidence.vetoes)),
            is_wrong=said.verdict is not True,
            propensity=near.propensity,
            is_serving=is_serving and not decision.barred,  # else others' questions could end it
            judge=said.judge,
            at_us=now_us,
            call_id=act.call_id,
        )
        word = {True: "same", False: "different", None: "nobody could tell"}[said.verdict]
        tenant, entry, writer = plan.keys.tenant_mark, near.chosen.entry, near.chosen.writer
        is_label = decision.barred != "other words"  # such a pair is never served: it tells nothing
        if said.verdict and is_label:
            self._reader.sharing.asked_alike(plan, near.chosen, near.marks)

        def write(answers: SqliteAnswers) -> None:
            tables = SemanticTables(answers)
            if is_label:
                tables.add_label(label)
            tables.tell_verdict(act.call_id, word, said.judge)
            if said.verdict and plan.mode in ("assisted", "serve"):
                wording = WordingRow(0, plan.key, entry, said.judge, writer)
                tables.approve(wording, tenant, now_us)
            elif said.verdict is False:
                tables.part(plan.key, entry, tenant, now_us)

        # Behind the log of the look-up, which it adds to.
        self._hands.later(lambda: self._hands.write(write))
        amounts = {"labels": int(is_label), "judge_nd": said.cost_nd}
        amounts["judged"] = int(said.cost_nd > 0)
        amounts["wrong"] = int(said.verdict is False)
        amounts["checks"] = int(act.is_check and decision.action == "serve")
        self._reader.count(plan.course, amounts)


def _comparable(found: Found | None, near_min: float) -> tuple[Found, Decision, Held] | None:
    """A look-up that found something to compare with, its decision, and what is near."""
    looked = None if found is None else found.looked
    if found is None or looked is None or looked.chosen is None:
        return None
    evidence = looked.decision.evidence
    if evidence is None or evidence.cosine < near_min:
        return None
    return found, looked.decision, looked.chosen
