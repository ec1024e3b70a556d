"""Work off the caller's path: second answers and questions to judges, bounded in number and money.

A1  A caller never waits for it: `offer` takes a job or drops it, at once.
A2  Each ask is a call of its own in the ledger, settled once, with what it cost as the lever's
    spending and a baseline of zero; its attribution is that of the call that it is for.
A3  Nothing is sent that the day's own cap has no room for, nor that a budget refuses.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from farthing.call import FOR_TAG, Attribution, Call, Conversation, Endpoint
from farthing.clock import Clock
from farthing.codecs import codec_for, question_body, shown
from farthing.errors import FarthingError
from farthing.evidence.settings import EvidenceSettings
from farthing.evidence.store import EvidenceStore
from farthing.gateway.desk import Desk
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.modes import ModesBoard
from farthing.gateway.pricer import Pricer
from farthing.gateway.refusal import refusal
from farthing.gateway.targets import NoTarget, Target, Targets, protocol_of
from farthing.ledger import CallStatus, Entry
from farthing.money import Money

__all__ = ["Aside", "AsideAnswer", "AsideOver", "Asker", "Job"]

_LOG = logging.getLogger("farthing")
_DAY_US: Final = 86_400_000_000
# Headers that would make two calls one, or that speak of the first call's body.
_OF_THE_FIRST: Final = frozenset({b"idempotency-key", b"content-encoding", b"x-stainless-helper"})
_CHATS: Final = MappingProxyType(
    {"openai": Endpoint.OPENAI_CHAT, "anthropic": Endpoint.ANTHROPIC_MESSAGES}
)


class AsideOver(FarthingError):
    """There is no more money of its own for today, or no price by which to count it."""

    code = "aside_over"
    status = 429


class AsideAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an ask brought; `text` is what a reader sees of it ("": nothing, or an error).

    `tools` are its tool calls as a JSON array of `{"name", "arguments"}`; empty where none.
    """

    status: int
    body: bytes
    text: str
    entry: Entry
    tools: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is an answer, not an error."""
        return 200 <= self.status < 300


class Asker(Protocol):
    """What a job asks with."""

    async def ask(
        self, inbound: Inbound, model: str, *, lever: str, why: str, body: bytes | None = None
    ) -> AsideAnswer:
        """Send the same request, or `body`, to `model`; the answer comes whole.

        `lever` pays for it; `why` is kept with the call as the tag `farthing-why`.

        Raises:
            AsideOver: the day's own money is used up; nothing was sent.
            NoTarget: no provider serves the model in the request's protocol; nothing was sent.
        """
        ...

    async def question(
        self, inbound: Inbound, model: str, text: str, *, lever: str, why: str
    ) -> AsideAnswer:
        """Ask `model` one thing about the call, in whichever protocol it is served.

        Raises:
            AsideOver: the day's own money is used up; nothing was sent.
            NoTarget: no provider serves the model; nothing was sent.
        """
        ...


Job = Callable[[Asker], Awaitable[None]]


class Aside:
    """One worker's; belongs to the running event loop."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        *,
        settings: EvidenceSettings,
        store: EvidenceStore,
        board: ModesBoard,
        send: Proceed,
        desk: Desk,
        targets: Targets,
        pricer: Pricer,
        clock: Clock,
        ids: CallIds,
    ) -> None:
        """`send` reaches the providers, by way of budgets and breakers."""
        self._settings = settings
        self._board = board
        self._clock = clock
        self._asker = _Asker(settings.cap, store, send, desk, targets, pricer, clock, ids)
        self._waiting: deque[tuple[Job, str]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._is_open = settings.is_used
        self.done: Counter[str] = Counter()  # by lever
        self.dropped: Counter[str] = Counter()  # by reason
        self.failed: Counter[str] = Counter()  # by lever

    @property
    def is_used(self) -> bool:
        """Whether any job is taken at all, by the configuration."""
        return self._settings.is_used

    @property
    def counts(self) -> dict[str, int]:
        """How jobs ended since the start: `done`, `failed`, and `dropped: WHY`."""
        dropped = {f"dropped: {reason}": count for reason, count in self.dropped.items()}
        return {"done": self.done.total(), "failed": self.failed.total(), **dropped}

    def offer(self, job: Job, *, lever: str, feature: str) -> bool:
        """Take a job, to be run soon; False: it is dropped, and counted by why."""
        reason = self._why_not(feature)
        if reason:
            self.dropped[reason] += 1
            return False
        self._waiting.append((job, lever))
        self._pump()
        return True

    def _why_not(self, feature: str) -> str:
        if not self._is_open or not self._settings.rules_of(feature).is_on:
            return "off"
        if self._board.is_stopped:
            return "stopped"
        if self._asker.day_over == self._clock.now_us() // _DAY_US:
            return "money"
        return "queue" if len(self._waiting) >= self._settings.queue_max else ""

    def _pump(self) -> None:
        while self._waiting and len(self._running) < self._settings.running_max:
            job, lever = self._waiting.popleft()
            task = asyncio.create_task(self._run(job, lever))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._is_open:
            self._pump()

    async def _run(self, job: Job, lever: str) -> None:
        try:
            await job(self._asker)
        except AsideOver:
            self.dropped["money"] += 1
        except FarthingError as error:
            self.failed[lever] += 1
            _LOG.warning("a comparison for %s failed: %s", lever, error)
        except Exception:  # edge: a job's fault must not end the worker
            self.failed[lever] += 1
            _LOG.exception("a comparison for %s failed in Farthing", lever)
        else:
            self.done[lever] += 1

    async def settled(self) -> None:
        """Wait until no job waits or runs."""
        while self._running or (self._waiting and self._is_open):
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Take no more; running jobs may finish for a while, then they are cancelled and settled."""
        self._is_open = False
        self.dropped["stopped"] += len(self._waiting)
        self._waiting.clear()
        if not self._running:
            return
        await asyncio.wait(self._running, timeout=self._settings.drain_s)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class _Asker:
    """Asks; one for all jobs of a worker."""

    def __init__(  # noqa: PLR0913, PLR0917 - wired once, by `Aside`
        self,
        cap: Money,
        store: EvidenceStore,
        send: Proceed,
        desk: Desk,
        targets: Targets,
        pricer: Pricer,
        clock: Clock,
        ids: CallIds,
    ) -> None:
        self._cap = cap
        self._store = store
        self._send = send
        self._desk = desk
        self._targets = targets
        self._pricer = pricer
        self._clock = clock
        self._ids = ids
        self.day_over = -1  # the day (since the epoch, UTC) on which the money was used up

    async def ask(
        self, inbound: Inbound, model: str, *, lever: str, why: str, body: bytes | None = None
    ) -> AsideAnswer:
        body = body or inbound.whole_body
        made = self._inbound(inbound, inbound.codec.endpoint, model, body, (lever, why))
        return await self._asked(made, model, lever)

    async def question(
        self, inbound: Inbound, model: str, text: str, *, lever: str, why: str
    ) -> AsideAnswer:
        endpoint = _CHATS[self._targets.spoken(model)]
        body = question_body(endpoint, model, text, _QUESTION_OUTPUT)
        made = self._inbound(inbound, endpoint, model, body, (lever, why))
        return await self._asked(made, model, lever)

    def _inbound(
        self,
        first: Inbound,
        endpoint: Endpoint,
        model: str,
        body: bytes,
        told: tuple[str, str],
    ) -> Inbound:
        """A call of its own, for the same people as the first."""
        codec = codec_for(endpoint)
        view = codec.read_request(body)
        now_us = self._clock.now_us()
        call = Call(
            id=self._ids.make(now_us),
            endpoint=endpoint,
            model=model,
            body=body,
            is_streamed=False,
            output_most=view.output_most,
            attribution=_attribution(first.call, *told),
            conversation=Conversation(),
            started_us=now_us,
        )
        is_same = protocol_of(endpoint) == protocol_of(first.call.endpoint)
        caller = first.caller
        headers = [pair for pair in caller.headers if pair[0] not in _OF_THE_FIRST]
        if not is_same:
            headers = [(b"content-type", b"application/json")]
            if endpoint is Endpoint.ANTHROPIC_MESSAGES:
                headers.append((b"anthropic-version", b"2023-06-01"))
        settlement = self._desk.open(call, self._clock.monotonic_us())
        settlement.lever = told[0]
        return Inbound(
            call=call,
            view=view,
            codec=codec,
            body=body,
            caller=msgspec.structs.replace(
                caller,
                headers=headers,
                # A caller's own credential is for the protocol that it came with, and no other.
                credential=caller.credential if is_same else b"",
                query=caller.query if endpoint is first.call.endpoint else "",
                heads={},
                memo={},
            ),
            settlement=settlement,
            is_body_decoded=True,
        )

    async def _asked(self, inbound: Inbound, model: str, lever: str) -> AsideAnswer:
        """Send it within the day's money; its entry is posted however that ends."""
        settlement = inbound.settlement
        now_us = inbound.call.started_us
        try:
            target = self._targets.find(model, protocol_of(inbound.call.endpoint))[0]
            taken = await self._taken(inbound, target, now_us)
            try:
                outcome = await self._send(inbound)
            finally:
                cost = settlement.cost
                if cost != taken:
                    giving = asyncio.to_thread(self._store.give_back, taken, cost, now_us)
                    await asyncio.shield(asyncio.ensure_future(giving))
        except asyncio.CancelledError:
            settlement.close(CallStatus.CANCELLED, f"stopped while asked for {lever}")
            raise
        except FarthingError as error:
            settlement.close(CallStatus.REFUSED, str(error))
            if isinstance(error, AsideOver | NoTarget):
                raise
            outcome = refusal(inbound.codec, error)
        except BaseException as error:  # edge: whatever broke, the call is in the ledger first
            settlement.close(CallStatus.ERROR, f"{type(error).__name__} in Farthing")
            raise
        return _answer(inbound, outcome)

    async def _taken(self, inbound: Inbound, target: Target, now_us: int) -> Money:
        """What the call may cost, taken from the day's money.

        Raises:
            AsideOver: there is no room for it, or no price.
        """
        _, price = self._pricer.reserve(inbound.call, inbound.view, target)
        if price.cost is None:
            raise AsideOver(
                f"No price is known for {target.model!r}, so [evidence] usd_per_day can't count "
                "it. Nothing was sent and nothing was charged. Add a [[price]] row for it."
            )
        if not await asyncio.to_thread(self._store.take, price.cost, self._cap, now_us):
            self.day_over = now_us // _DAY_US
            raise AsideOver(
                f"Evidence may cost {self._cap} USD a day, and {price.cost} USD more may exceed "
                "that. Nothing was sent and nothing was charged. Raise [evidence] usd_per_day, or "
                "wait for tomorrow (UTC)."
            )
        return price.cost


_QUESTION_OUTPUT: Final = 512  # tokens; models that reason need some before their one word


def _attribution(call: Call, lever: str, why: str) -> Attribution:
    told = {"farthing-lever": lever, FOR_TAG: call.id, "farthing-why": why}
    return msgspec.structs.replace(call.attribution, tags=call.attribution.tags | told)


def _answer(inbound: Inbound, outcome: Outcome) -> AsideAnswer:
    """Close the account, and read what came."""
    body = outcome.body if isinstance(outcome.body, bytes) else b""
    is_good = outcome.is_good and bool(body)
    entry = inbound.settlement.close(CallStatus.OK if is_good else CallStatus.ERROR)
    seen = shown(inbound.codec.endpoint, body) if is_good else shown(inbound.codec.endpoint, b"")
    return AsideAnswer(
        status=outcome.status, body=body, text=seen.text, tools=seen.tools, entry=entry
    )
