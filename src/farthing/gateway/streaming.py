"""A provider's stream on its way to the client: metered as it flows, settled when it closes.

However it ends — complete, broken off, or abandoned by the client — the call is settled exactly
once. A stream that breaks off ends in the protocol's own error event, never as if complete.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from types import MappingProxyType

from farthing.call import AttemptStatus
from farthing.codecs import Answer, Problem
from farthing.gateway.cost_comment import cost_comment
from farthing.gateway.escrow import Hold, OverBudget
from farthing.gateway.trial import Trial
from farthing.ledger import CallStatus
from farthing.wire import IdleTimeout, Response, TotalTimeout, WireError

__all__ = ["MeteredStream"]

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_ENDS = MappingProxyType(
    {AttemptStatus.OK: CallStatus.OK, AttemptStatus.CANCELLED: CallStatus.CANCELLED}
)


class MeteredStream:
    """An async iterator over the client's bytes of one streamed answer."""

    __slots__ = (
        "__weakref__",
        "_chunks",
        "_head",
        "_hold",
        "_is_cost_told",
        "_is_over",
        "_reader",
        "_response",
        "_trial",
    )

    def __init__(
        self,
        trial: Trial,
        response: Response,
        chunks: AsyncIterator[bytes],
        head: bytes,
        *,
        is_cost_told: bool,
    ) -> None:
        """`head` are the bytes already read; `chunks` the rest of `response`."""
        self._trial = trial
        self._response = response
        self._chunks = chunks
        self._head = head
        self._reader = trial.inbound.codec.stream(trial.inbound.view)
        self._is_cost_told = is_cost_told
        self._is_over = False
        self._hold = trial.inbound.settlement.hold

    def __aiter__(self) -> MeteredStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for the client; never empty."""
        while not self._is_over:
            try:
                chunk = self._head or await anext(self._chunks)
            except StopAsyncIteration:
                return self._end(None)
            except WireError as error:
                return self._end(error)
            self._head = b""
            hold = self._hold
            if hold is not None and self._reader.output_most + len(chunk) > hold.ask_at:
                shown = await self._paid_for(hold, chunk)
            else:
                shown = self._reader.feed(chunk)
            if shown:
                return shown
        raise StopAsyncIteration

    async def _paid_for(self, hold: Hold, chunk: bytes) -> bytes:
        """What the client gets of `chunk`, event by event: what the money lasts for.

        Where it does not last, the stream ends here, as one does whose limit on output is reached.
        """
        reader = self._reader
        passed: list[bytes] = []
        begins = 0
        while begins < len(chunk):
            end = _BLANK_LINE.search(chunk, begins)
            ends = len(chunk) if end is None else end.end()
            shown = reader.feed(chunk[begins:ends])
            begins = ends
            is_paid = reader.output_most <= hold.ask_at or reader.is_complete
            if not is_paid and not await hold.covers(reader.output_most):
                last = self._stopped(hold, shown)
                if last is not None:
                    return b"".join([*passed, last])
            passed.append(shown)
        return b"".join(passed)

    def _stopped(self, hold: Hold, shown: bytes) -> bytes | None:
        """The client's last bytes; None: an event has begun, and ends with the next bytes."""
        assert hold.refused is not None  # noqa: S101 - so it is told why the money ended
        last = self._reader.finish_early(shown, OverBudget(hold.refused).told)
        if last is None:
            return None
        self._is_over = True
        self._response.close()
        _, answer = self._reader.close()
        detail = f"stopped midway: {hold.refused.midway}"
        return last + self._settle(answer, AttemptStatus.CANCELLED, detail, CallStatus.OK)

    async def aclose(self) -> None:
        """The client needs no more: drop the upstream and settle, unless that is done.

        A client that stops reading at the protocol's last event, as SDKs do, has had its answer.
        """
        if self._is_over:
            return
        self._is_over = True
        self._response.close()
        _, answer = self._reader.close()
        if answer.is_error:
            self._settle(answer, AttemptStatus.ERROR, answer.error)
        elif self._reader.is_complete:
            self._settle(answer, AttemptStatus.OK, "")
        else:
            self._settle(answer, AttemptStatus.CANCELLED, "the client went away")

    def _end(self, error: WireError | None) -> bytes:
        """The provider's stream ended; the last bytes for the client."""
        self._is_over = True
        self._response.close()
        tail, answer = self._reader.close()
        if answer.is_error:  # told in the provider's own event, which went through
            return (tail + self._settle(answer, AttemptStatus.ERROR, answer.error)) or self._stop()
        if self._reader.is_complete:
            return (tail + self._settle(answer, AttemptStatus.OK, "")) or self._stop()
        status = AttemptStatus.CUT
        if isinstance(error, IdleTimeout | TotalTimeout):
            status = AttemptStatus.TIMEOUT
        detail = str(error) if error else "the provider's stream ended without its last event"
        self._settle(answer, status, detail)
        problem = Problem(status=502, kind="api_error", code="upstream_cut", message=detail)
        return tail + self._trial.inbound.codec.write_error_event(problem)

    def _stop(self) -> bytes:
        raise StopAsyncIteration

    def _settle(
        self,
        answer: Answer,
        status: AttemptStatus,
        detail: str,
        ends: CallStatus | None = None,
    ) -> bytes:
        """Book the attempt, close the call; the cost comment where one is wanted."""
        if self._hold is not None:
            self._hold.stop_asking()
        self._trial.answered(answer, self._response.status, self._response.headers, status, detail)
        settlement = self._trial.inbound.settlement
        entry = settlement.close(ends or _ENDS.get(status, CallStatus.ERROR), detail)
        if not self._is_cost_told:
            return b""
        return cost_comment(entry.call_id, settlement.cost_told)
