"""`POST /feedback`: what people say of a call, kept as evidence and told to whoever listens."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from farthing.clock import Clock
from farthing.codecs import BadRequest
from farthing.errors import CallerError
from farthing.evidence.store import EvidenceStore, Feedback
from farthing.ledger import Entry
from farthing.wire import Reply, Request

__all__ = ["FeedbackDesk", "Given"]

_WORDS: Final = {"up": 1.0, "down": 0.0}
_COMMENT_MAX: Final = 2000  # characters kept
_LOOKS_S: Final = (0.0, 0.25, 1.0)  # another worker's call is in the ledger within its drain


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a call: 0 bad to 1 good; `entry` is the call as the ledger has it."""

    call_id: str
    tenant: str
    feature: str
    score: float
    entry: Entry


class UnknownCall(CallerError):
    """No such call for this caller."""

    code = "unknown_call"
    status = 404


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    call: str
    score: float | str
    comment: str = ""


class FeedbackDesk:
    """Takes feedback: each of `acts` is done before it is kept, then `listeners` hear of it.

    Both at the worker that took it. Feedback whose act fails is refused, to be sent again.
    """

    def __init__(
        self,
        store: EvidenceStore,
        find: Callable[[str], Awaitable[Entry | None]],
        clock: Clock,
    ) -> None:
        """`find` looks a call up, at this worker or in the ledger."""
        self._store = store
        self._find = find
        self._clock = clock
        self.acts: list[Callable[[Given], Awaitable[None]]] = []
        self.listeners: list[Callable[[Given], None]] = []

    async def take(self, request: Request, tenant: str | None) -> Reply:
        """Keep what `request` says; `tenant` is whose calls its sender may speak of, None: all.

        Raises:
            BadRequest: the body is no feedback.
            UnknownCall: there is no such call, or it is another tenant's.
            FarthingError: what must follow from it could not be done, or it could not be kept.
        """
        said = _read(request.body)
        score = _score(said.score)
        entry = await self._entry(said.call)
        if entry is None or (tenant is not None and entry.attribution.tenant != tenant):
            raise UnknownCall(
                f"There is no call {said.call} in the ledger, or it is another tenant's. Nothing "
                "was kept. Send the id of the header x-farthing-call, once the call has ended."
            )
        whom = entry.attribution
        given = Given(
            call_id=entry.call_id,
            tenant=whom.tenant,
            feature=whom.feature,
            score=score,
            entry=entry,
        )
        for act in self.acts:
            await act(given)
        feedback = Feedback(
            call_id=entry.call_id,
            tenant=whom.tenant,
            feature=whom.feature,
            score=score,
            comment=said.comment[:_COMMENT_MAX],
            at_us=self._clock.now_us(),
        )
        await asyncio.to_thread(self._store.note_feedback, feedback)
        for hear in self.listeners:
            hear(given)
        told = {
            "object": "feedback",
            "call": entry.call_id,
            "feature": whom.feature,
            "score": score,
        }
        return Reply(
            status=200,
            headers=[(b"content-type", b"application/json")],
            body=msgspec.json.encode(told),
        )

    async def _entry(self, call_id: str) -> Entry | None:
        for wait_s in _LOOKS_S if call_id.startswith("call_") else _LOOKS_S[:1]:
            await asyncio.sleep(wait_s)
            entry = await self._find(call_id)
            if entry is not None:
                return entry
        return None


def _read(body: bytes) -> _Said:
    try:
        return msgspec.json.decode(body, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f'The body is no feedback ({error}). Nothing was kept. Send {{"call": ID, "score": 0 '
            'to 1, or "up" or "down"}, and a "comment" if you like.'
        ) from error


def _score(given: float | str) -> float:
    score = _WORDS.get(given) if isinstance(given, str) else given
    if score is None or not math.isfinite(score) or not 0 <= score <= 1:
        raise BadRequest(
            f"The score {given!r} is none. Nothing was kept. Send a number from 0 (bad) to 1 "
            '(good), or "up" or "down".',
            param="score",
        )
    return score
