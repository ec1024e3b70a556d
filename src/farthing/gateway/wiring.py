"""Builds one engine from the configuration: the same for a worker process and for the library."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from farthing.budgets import BudgetShelf, SqliteBudgets, Treasurer
from farthing.budgets.alerts import Outbox, anomaly_event
from farthing.budgets.runaway import Evidence, RunawayDetector
from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.asking import Asking
from farthing.gateway.attempts import Attempts
from farthing.gateway.browser import Browsers
from farthing.gateway.budget_pages import BudgetPages
from farthing.gateway.caching import ExactCache
from farthing.gateway.caller import Callers
from farthing.gateway.coalescing import Coalesce
from farthing.gateway.decode import Decoder
from farthing.gateway.engine import Engine
from farthing.gateway.escrow import Escrow
from farthing.gateway.evidencing import EvidenceWired, wire_evidence
from farthing.gateway.exchange import Exchange
from farthing.gateway.feedback import FeedbackDesk
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import compose
from farthing.gateway.keyring import KeyRing
from farthing.gateway.pages import Pages
from farthing.gateway.pricer import Pricer
from farthing.gateway.quarantine import Quarantine
from farthing.gateway.replaying import Replayer
from farthing.gateway.route_board import RouteBoard, virtual_models
from farthing.gateway.route_steps import StepRunner
from farthing.gateway.routing import Routing
from farthing.gateway.settlement import Desk, JournalLike
from farthing.gateway.stages import stages
from farthing.gateway.targets import Targets
from farthing.gateway.upstreams import Upstream, make_upstreams
from farthing.gateway.vitals import WorkerVitals
from farthing.gateway.watch import RateLimits, RunawayWatch
from farthing.ledger import SqliteStore, StoreError
from farthing.ledger.layout import Layout
from farthing.levers.cache import Answers, Vault
from farthing.levers.cache.semantic_extra import check_semantic
from farthing.limits import Limiter
from farthing.money import Money
from farthing.pricing import PriceBook

if TYPE_CHECKING:
    from farthing.gateway.semantic import SemanticCache

__all__ = ["Wired", "wire_engine"]

_LOG = logging.getLogger("farthing")
_NOTE_TRIES = 30


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """An engine and the parts that its owner tends."""

    engine: Engine
    ring: KeyRing
    desk: Desk
    book: PriceBook
    upstreams: Mapping[str, Upstream]
    treasurer: Treasurer | None
    answers: Answers | None
    evidence: EvidenceWired
    feedback: FeedbackDesk
    routes: RouteBoard | None = None
    semantic: SemanticCache | None = None

    def start(self) -> None:
        """Read how far levers may go; begin to ask for money, and to look at policies."""
        self.evidence.board.read()
        if self.treasurer is not None:
            self.treasurer.start()
        if self.routes is not None:
            self.routes.start()
        if self.semantic is not None:
            self.semantic.start()

    async def close(self) -> None:
        """Give back the budgets' money and drop all connections to providers."""
        await self.evidence.close()
        if self.treasurer is not None:
            await self.treasurer.close()
        if self.routes is not None:
            await self.routes.close()
        if self.semantic is not None:
            await self.semantic.close()
        if self.answers is not None:
            self.answers.close()
        for upstream in self.upstreams.values():
            upstream.close()


def wire_engine(
    config: Config,
    journal: JournalLike,
    clock: Clock,
    environ: Mapping[str, str],
    vitals: Callable[[], WorkerVitals],
    ring: KeyRing,
) -> Wired:
    """Build an engine that writes to `journal` and belongs to the running event loop.

    Raises:
        ConfigError: the settings contradict each other; nothing was started.
    """
    desk = Desk(journal, clock)
    treasurer = _treasurer(config, clock, journal)
    upstreams = make_upstreams(config, environ)
    targets = Targets(config)
    book = PriceBook.load(config.pricing_settings())
    pricer = Pricer(config, book)
    escrow = _escrow(config, treasurer, pricer)
    attempts = _attempts(config, targets, upstreams, pricer, clock, escrow)
    ids = CallIds(os.urandom(8))
    evidence = wire_evidence(config, attempts, desk, targets, pricer, ids)
    answers = _answers(config)
    exact, coalesce = _caches(config, targets, answers, pricer, clock)
    board, routing = _routing(config, targets, upstreams, pricer, book, clock, environ)
    semantic = _semantic(config, answers, exact, pricer, clock, evidence)
    pages = Pages(
        directory=Path(config.ledger.data_dir),
        ring=ring,
        desk=desk,
        upstreams=upstreams,
        targets=targets,
        clock=clock,
        vitals=vitals,
        budgets=BudgetPages(config, ring, clock),
        virtual=virtual_models(config),
        evidence=evidence.store,
    )
    _hear_feedback(pages.feedback, answers, clock)
    first = (_limits(config, clock), _watch(config, clock))
    engine = Engine(
        decoder=Decoder(config, desk, clock, ids),
        serve=compose(stages(*first, exact, semantic, coalesce, routing), attempts),
        callers=Callers(ring, config.gateway.environment),
        clock=clock,
        pages=pages.table(),
        browsers=Browsers(config.gateway.browser_origins, ring),
    )
    return Wired(
        engine=engine,
        ring=ring,
        desk=desk,
        book=book,
        upstreams=upstreams,
        treasurer=treasurer,
        answers=answers,
        routes=board,
        semantic=semantic,
        evidence=evidence,
        feedback=pages.feedback,
    )


def _hear_feedback(feedback: FeedbackDesk, answers: Answers | None, clock: Clock) -> None:
    """Let who needs feedback hear it."""
    if answers is not None:
        feedback.listeners.append(Quarantine(answers, clock))


def _attempts(
    config: Config,
    targets: Targets,
    upstreams: Mapping[str, Upstream],
    pricer: Pricer,
    clock: Clock,
    escrow: Escrow | None,
) -> Attempts:
    """What reaches the providers, with retries and breakers."""
    exchange = Exchange(config, upstreams, pricer, clock, escrow)
    return Attempts(
        settings=config.retry,
        targets=targets,
        upstreams=upstreams,
        exchange=exchange,
        clock=clock,
        sleep=asyncio.sleep,
        random=Random(),  # noqa: S311 - jitter, not a secret
    )


def _answers(config: Config) -> Answers | None:
    """The exact cache, where it works for any call."""
    if not config.cache.is_used:
        return None
    return Answers(config.cache, Path(config.ledger.data_dir))


def _caches(
    config: Config, targets: Targets, answers: Answers | None, pricer: Pricer, clock: Clock
) -> tuple[ExactCache | None, Coalesce | None]:
    """The stages of the exact cache and of coalescing, where they are used."""
    is_coalescing = config.coalesce.mode == "on"
    if answers is None and not is_coalescing:
        return None, None
    asking = Asking(config, targets, Vault(None) if answers is None else answers.vault)
    told = config.gateway.stream_cost
    return (
        None if answers is None else ExactCache(answers, asking, Replayer(pricer, told), clock),
        Coalesce(asking, clock, told) if is_coalescing else None,
    )


def _routing(  # noqa: PLR0913, PLR0917 - the parts it stands on
    config: Config,
    targets: Targets,
    upstreams: Mapping[str, Upstream],
    pricer: Pricer,
    book: PriceBook,
    clock: Clock,
    environ: Mapping[str, str],
) -> tuple[RouteBoard | None, Routing | None]:
    """The pools and the stage that routes calls, where there is a pool."""
    if not config.routing.pools:
        return None, None
    secret = environ.get("FARTHING_ROUTE_SECRET", "").encode()
    board = RouteBoard(config, targets, upstreams, book, clock, secret)
    runner = StepRunner(
        clock, config.gateway.stream_cost, retries_lost=config.retry.retry_ambiguous
    )
    return board, Routing(board, pricer, runner, clock)


def _semantic(
    config: Config,
    answers: Answers | None,
    exact: ExactCache | None,
    pricer: Pricer,
    clock: Clock,
    evidence: EvidenceWired,
) -> SemanticCache | None:
    """The stage of the semantic layer; what it needs is imported only where it is switched on."""
    check_semantic(config.cache)
    if answers is None or exact is None or not config.cache.semantic.is_used:
        return None
    wiring = importlib.import_module("farthing.gateway.semantic_wiring")
    made: SemanticCache = wiring.wire_semantic(config, answers, exact, pricer, clock, evidence)
    return made


def _treasurer(config: Config, clock: Clock, journal: JournalLike) -> Treasurer | None:
    """Who keeps the budgets' money; None where there is no store to ask.

    Budgets may be set while it runs, so that it is there even if none are.
    """
    if not journal.run:
        return None
    directory = Path(config.ledger.data_dir)
    shelf = BudgetShelf(directory, config.budget)
    store = SqliteBudgets(directory, busy_timeout_ms=config.ledger.busy_timeout_ms)
    return Treasurer(shelf.budgets, store, clock, journal.run, changed=shelf.changed)


def _escrow(config: Config, treasurer: Treasurer | None, pricer: Pricer) -> Escrow | None:
    """What holds budgets' money for calls, where there is a treasurer."""
    if treasurer is None:
        return None
    return Escrow(
        treasurer,
        pricer,
        slice_tokens=config.gateway.budget_slice_tokens,
        output_tokens=config.gateway.budget_output_tokens,
    )


def _limits(config: Config, clock: Clock) -> RateLimits | None:
    """The stage of rate limits; a library is one worker, like each of the gateway's."""
    if not config.limit:
        return None
    return RateLimits(Limiter(config.limit, workers=config.gateway.workers), clock)


def _watch(config: Config, clock: Clock) -> RunawayWatch | None:
    """The stage that looks for runaway sessions, where anybody would hear of them."""
    rules = config.runaway
    stops = (rules.loop_stop, rules.steps_stop, Money.usd(rules.spend_usd_per_hour_stop))
    if not config.alert and not any(stops):
        return None
    directory = Path(config.ledger.data_dir)

    def tell(evidence: Evidence) -> None:
        _LOG.warning("%s", evidence)
        telling = asyncio.get_running_loop().run_in_executor(None, _note, directory, evidence)
        telling.add_done_callback(_told)

    return RunawayWatch(RunawayDetector(rules), clock, tell)


def _note(directory: Path, evidence: Evidence) -> None:
    """Note an alert on a thread; a store that is away is tried again for a while."""
    event = anomaly_event(evidence)
    for remaining in reversed(range(_NOTE_TRIES)):
        try:
            with contextlib.closing(SqliteStore(Layout(directory).store)) as store:
                Outbox(store.transaction).add(event)
        except StoreError:
            if not remaining:
                raise
            time.sleep(1)
        else:
            return


def _told(telling: asyncio.Future[None]) -> None:
    if not telling.cancelled() and telling.exception() is not None:
        _LOG.error("an alert could not be noted", exc_info=telling.exception())
