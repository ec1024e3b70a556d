"""What is noted of each semantic look-up: scores and versions in clear, words sealed."""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.gateway.semantic_plan import Found, Plan
from farthing.levers.cache.seal import Sealer
from farthing.levers.cache.semantic import GUARDS_VERSION
from farthing.levers.cache.semantic_tables import AskedRow

__all__ = ["Words", "asked_row", "read_words"]

_PLACE: Final = b"asked"


class Words(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sealed part of a logged look-up: the question, the one near it, what the guards said."""

    question: str
    near: str = ""
    reason: str = ""
    findings: tuple[tuple[str, str, str], ...] = ()


class _Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part in clear, as JSON."""

    mode: str
    space: str
    cosines: tuple[float, ...] = ()
    margin: float | None = None
    score: float | None = None
    threshold: float | None = None
    would_serve: bool = False
    features: tuple[float, ...] = ()
    took_us: int = 0
    embedder: str = ""
    guards: str = ""
    scorer: str = ""
    why_not: str = ""


def asked_row(
    plan: Plan, call_id: str, found: Found | None, result: str, now_us: int, sealer: Sealer
) -> AskedRow:
    """The row of a look-up; `found` is None where none was made (an approved wording, no room)."""
    looked = None if found is None else found.looked
    decision = None if looked is None else looked.decision
    evidence = None if decision is None else decision.evidence
    comparison = None if decision is None else decision.comparison
    standing = None if found is None else found.position.standing
    findings = () if comparison is None else comparison.findings
    chosen = None if looked is None else looked.chosen or looked.nearest
    told = _Told(
        mode=plan.mode,
        space=plan.space.hex()[:16],
        cosines=() if looked is None else looked.cosines,
        margin=None if evidence is None else evidence.margin,
        score=None if decision is None else decision.score,
        threshold=None if standing is None else standing.threshold,
        would_serve=decision is not None and decision.would_serve,
        features=() if evidence is None else evidence.features,
        took_us=0 if found is None else found.took_us,
        embedder=plan.terms.embedder,
        guards=GUARDS_VERSION,
        scorer="" if standing is None or standing.scorer is None else standing.scorer.version,
        why_not="" if found is None else found.why_not,
    )
    words = Words(
        question=plan.text,
        near="" if chosen is None else chosen.text,
        reason="" if decision is None else decision.reason,
        findings=tuple((one.kind, one.guard, one.detail) for one in findings),
    )
    return AskedRow(
        at_us=now_us,
        call_id=call_id,
        tenant=plan.keys.tenant_mark,
        user=plan.user,
        feature=plan.course.feature,
        course=plan.course.course,
        key=plan.key,
        entry=None if chosen is None else chosen.entry,
        result=result,
        guard=findings[0].guard if findings else "",
        cosine=looked.cosines[0] if looked is not None and looked.cosines else None,
        told=msgspec.json.encode(told).decode(),
        sealed=sealer.seal(plan.keys.payload_key, msgspec.msgpack.encode(words), _PLACE),
    )


def read_words(sealed: bytes, payload_key: bytes, sealer: Sealer) -> Words:
    """The sealed part of a row.

    Raises:
        BadSeal: the tenant's key is another by now.
    """
    return msgspec.msgpack.decode(sealer.open(payload_key, sealed, _PLACE), type=Words)
