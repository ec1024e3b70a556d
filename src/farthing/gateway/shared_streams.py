"""The views of a shared stream: its source without the leader's own comment, and each client's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from farthing.call import AttemptStatus
from farthing.codecs import StreamReader
from farthing.gateway.cost_comment import comment_opening, cost_comment
from farthing.gateway.inbound import Inbound
from farthing.gateway.settlement import Settlement
from farthing.ledger import CallStatus, Entry, LeverMove
from farthing.levers.coalesce import Listener
from farthing.money import ZERO, Money, total
from farthing.wire import close_iterator

__all__ = ["LEVER", "FollowerStream", "LeaderStream", "PlainStream", "book", "has_failed"]

LEVER: Final = "coalesce"


def has_failed(entry: Entry | None) -> bool:
    """Whether the leader's call ended without an answer to share."""
    if entry is None:
        return True
    return bool(entry.attempts) and entry.attempts[-1].status is not AttemptStatus.OK


def book(settlement: Settlement, leader: Entry | None, note: str) -> None:
    """What a follower saved: what a call of its own would have cost, where that is known."""
    worth = None if leader is None else _worth(leader)
    move = LeverMove(lever=LEVER, saved=worth or ZERO, spent=ZERO)
    settlement.moved(move, note, is_known=worth is not None)


def _worth(entry: Entry) -> Money | None:
    costs = [a.cost for a in entry.attempts if a.status is AttemptStatus.OK]
    if not costs:
        return entry.baseline
    known = [cost for cost in costs if cost is not None]
    return total(tuple(known)) if len(known) == len(costs) else None


class PlainStream:
    """The leader's stream without the comment on its cost, which is the leader's own."""

    __slots__ = ("_marker", "_settlement", "_source")

    def __init__(self, source: AsyncIterator[bytes], settlement: Settlement, call_id: str) -> None:
        self._source = source
        self._settlement = settlement
        self._marker = comment_opening(call_id)

    def __aiter__(self) -> PlainStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes; perhaps none."""
        chunk = await anext(self._source)
        if self._settlement.entry is not None:
            chunk = chunk.partition(self._marker)[0]
        return chunk

    async def aclose(self) -> None:
        """Nobody needs more."""
        await close_iterator(self._source)


class LeaderStream:
    """One client's view of a shared stream, with its own comment on the cost at the end."""

    def __init__(
        self,
        listener: Listener,
        inbound: Inbound,
        reader: StreamReader | None,
        *,
        is_cost_told: bool,
    ) -> None:
        self._listener = listener
        self._inbound = inbound
        self._reader = reader
        self._is_cost_told = is_cost_told
        self._is_over = False

    def __aiter__(self) -> LeaderStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for this client; never empty."""
        while not self._is_over:
            chunk = await anext(self._listener, None)
            if chunk is None:
                shown = self._ended()
            else:
                shown = chunk if self._reader is None else self._reader.feed(chunk)
            if shown:
                return shown
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """This client needs no more."""
        is_early = not self._is_over
        self._is_over = True
        await self._listener.aclose()
        if is_early:
            self._left()

    def _ended(self) -> bytes:
        self._is_over = True
        tail = b"" if self._reader is None else self._reader.close()[0]
        self._settle()
        if not self._is_cost_told:
            return tail
        return tail + cost_comment(self._inbound.call.id, self._inbound.settlement.cost_told)

    def _settle(self) -> None:
        """The leader's account closes with the upstream stream."""

    def _left(self) -> None:
        """The same."""


class FollowerStream(LeaderStream):
    """A follower's view; its account closes with it."""

    def follow(self, leader: Settlement, note: str) -> None:
        """Whose answer it shares."""
        self._leader = leader
        self._note = note

    def _settle(self) -> None:
        settlement, entry = self._inbound.settlement, self._leader.entry
        if has_failed(entry):
            settlement.close(CallStatus.ERROR, f"{self._note}, which failed")
            return
        book(settlement, entry, self._note)
        settlement.close(CallStatus.OK)

    def _left(self) -> None:
        self._inbound.settlement.close(CallStatus.CANCELLED, "the client went away")
