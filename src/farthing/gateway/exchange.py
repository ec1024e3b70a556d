"""One try at one upstream: send the call, meter what comes back, hand it on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec

from farthing.call import AttemptStatus
from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.cost_comment import is_cost_told
from farthing.gateway.escrow import Escrow
from farthing.gateway.headers import Sieve, first, is_events
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.plain import PlainChunks, drop_encoding, is_gzipped, plain_body
from farthing.gateway.pricer import Pricer
from farthing.gateway.streaming import MeteredStream
from farthing.gateway.targets import Target
from farthing.gateway.trial import Trial
from farthing.gateway.upstreams import Upstream
from farthing.wire import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    Response,
    TotalTimeout,
    WireError,
)

__all__ = ["Broken", "Exchange", "Failure", "Refused"]

# What keeps proxies between us and the client from holding a stream back.
_UNBUFFERED = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
# How compressed bodies begin (gzip, zstd, zlib), and JSON never does.
_PACKED = frozenset({b"\x1f", b"\x28", b"\x78"})
_DETAIL_MAX = 500  # bytes of a provider's error kept in the ledger
_STATUS_OF: Mapping[type[WireError], AttemptStatus] = {
    ConnectFailed: AttemptStatus.UNREACHABLE,
    ConnectTimeout: AttemptStatus.UNREACHABLE,
    FirstByteTimeout: AttemptStatus.TIMEOUT,
    IdleTimeout: AttemptStatus.TIMEOUT,
    TotalTimeout: AttemptStatus.TIMEOUT,
}


class Refused(msgspec.Struct, frozen=True):
    """The provider answered, with an error."""

    outcome: Outcome


class Broken(msgspec.Struct, frozen=True):
    """No whole answer came; `error.may_have_run` says whether the provider may bill the call."""

    error: WireError


Failure = Refused | Broken


class Exchange:
    """Performs tries; holds no state of its own between them."""

    def __init__(
        self,
        config: Config,
        upstreams: Mapping[str, Upstream],
        pricer: Pricer,
        clock: Clock,
        escrow: Escrow | None = None,
    ) -> None:
        self._escrow = escrow
        self._upstreams = upstreams
        self._pricer = pricer
        self._clock = clock
        self._sieve = Sieve()
        self._answer_bytes_max = config.gateway.answer_bytes_max
        self._stream_cost = config.gateway.stream_cost

    @property
    def has_budgets(self) -> bool:
        """Whether any budget is to be asked."""
        return self._escrow is not None and self._escrow.treasurer.purse.has_budgets

    async def send(self, inbound: Inbound, target: Target, model: str) -> Outcome | Failure:
        """Try `target` once; its attempt is in the call's account when this returns or raises.

        A stream's attempt is booked when the stream closes. `model` is the name that budgets
        know the call by.

        Raises:
            OverBudget: a budget has no room for the try; nothing was sent.
            UnknownPrice: the policy refuses a call without a known price; nothing was sent.
        """
        if self._escrow is not None and self._escrow.treasurer.purse.has_budgets:
            await self._escrow.admit(inbound, target, model)
        trial = Trial(self._pricer, self._clock, inbound, target)
        trial.begin()
        response: Response | None = None
        try:
            response = await self._upstreams[target.provider].send(inbound, target.model)
            trial.first_byte()
            if _is_stream(response):
                return await self._streamed(trial, response)
            body = response.whole(self._answer_bytes_max)
            if body is None:
                body = await response.read(self._answer_bytes_max)
            return self._answered(trial, response, body)
        except WireError as error:
            status = _STATUS_OF.get(type(error), AttemptStatus.CUT)
            trial.lost(status, str(error), may_have_run=error.may_have_run)
            failure = Broken(error)
        except asyncio.CancelledError:
            trial.lost(AttemptStatus.CANCELLED, "the client went away", may_have_run=True)
            if response is not None:
                response.close()
            raise
        if response is not None:
            response.close()
        return failure

    def _answered(self, trial: Trial, response: Response, body: bytes) -> Outcome | Failure:
        headers = self._sieve(response.headers)
        if body[:1] in _PACKED:
            body = plain_body(headers, body, self._answer_bytes_max)
        outcome = Outcome(status=response.status, headers=headers, body=body)
        if 200 <= response.status < 300:
            answer = trial.inbound.codec.read_answer(body, trial.inbound.view)
            outcome.is_error = answer.is_error
            status = AttemptStatus.ERROR if answer.is_error else AttemptStatus.OK
            trial.answered(answer, response.status, response.headers, status)
            return outcome
        detail = body[:_DETAIL_MAX].decode(errors="replace")
        trial.refused(response.status, response.headers, detail)
        return Refused(outcome)

    async def _streamed(self, trial: Trial, response: Response) -> Outcome:
        """Begin a stream once its first bytes are in; until then another target may still try."""
        headers = self._sieve(response.headers)
        chunks: AsyncIterator[bytes] = aiter(response)
        if is_gzipped(headers):
            drop_encoding(headers)
            chunks = PlainChunks(chunks)
        head = await anext(chunks, b"")
        is_told = is_cost_told(self._stream_cost, trial.inbound.caller)
        stream = MeteredStream(trial, response, chunks, head, is_cost_told=is_told)
        for header in _UNBUFFERED:
            if first(headers, header[0]) is None:
                headers.append(header)
        return Outcome(status=response.status, headers=headers, body=stream)


def _is_stream(response: Response) -> bool:
    return is_events(response.headers) and 200 <= response.status < 300
