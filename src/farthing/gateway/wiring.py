"""Builds one engine from the configuration: the same for a worker process and for the library."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import msgspec

from farthing.budgets import BudgetShelf, SqliteBudgets, Treasurer
from farthing.budgets.alerts import Outbox, anomaly_event
from farthing.budgets.runaway import Evidence, RunawayDetector
from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.attempts import Attempts
from farthing.gateway.browser import Browsers
from farthing.gateway.budget_pages import BudgetPages
from farthing.gateway.cache_wiring import CachesWired, wire_caches
from farthing.gateway.caller import Callers
from farthing.gateway.decode import Decoder
from farthing.gateway.desk import Desk, JournalLike
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
from farthing.gateway.route_board import RouteBoard, virtual_models
from farthing.gateway.route_modes import RouteModes
from farthing.gateway.route_steps import StepRunner
from farthing.gateway.routing import Routing
from farthing.gateway.stages import stages
from farthing.gateway.targets import Targets
from farthing.gateway.upstreams import Upstream, make_upstreams
from farthing.gateway.vitals import WorkerVitals
from farthing.gateway.watch import RateLimits, RunawayWatch
from farthing.ledger import SqliteStore, StoreError
from farthing.ledger.layout import Layout
from farthing.limits import Limiter
from farthing.money import Money
from farthing.pricing import PriceBook

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
    caches: CachesWired
    evidence: EvidenceWired
    feedback: FeedbackDesk
    routes: RouteBoard | None = None

    def start(self) -> None:
        """Read how far levers may go; begin to ask for money, and to look at policies."""
        self.evidence.board.read()
        if self.treasurer is not None:
            self.treasurer.start()
        if self.routes is not None:
            self.routes.start()
        self.caches.start()

    async def close(self) -> None:
        """Give back the budgets' money, drop all connections, settle what the disk refused."""
        await self.evidence.close()
        if self.treasurer is not None:
            await self.treasurer.close()
        if self.routes is not None:
            await self.routes.close()
        await self.caches.close()
        for upstream in self.upstreams.values():
            upstream.close()
        self.desk.write_again()


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
    exchange = Exchange(config, upstreams, pricer, clock, _escrow(config, treasurer, pricer))
    attempts = _attempts(config, targets, upstreams, exchange, clock)
    ids = CallIds(os.urandom(8))
    evidence = wire_evidence(config, attempts, desk, targets, pricer, ids)
    caches = wire_caches(config, targets, pricer, clock, evidence)
    parts = (targets, upstreams, pricer, book)
    board, routing = _routing(config, *parts, clock, environ, evidence)
    caches.route_by(routing)
    pages = _pages(config, ring, desk, upstreams, targets, evidence, vitals)
    caches.listen(pages.feedback, clock)
    evidence.listen(pages.feedback)
    order = stages(
        _limits(config, clock),
        _watch(config, clock),
        *caches.stages,
        *evidence.stages,
        routing,
    )
    engine = Engine(
        decoder=Decoder(config, desk, clock, ids),
        serve=compose(order, attempts),
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
        caches=caches,
        routes=board,
        evidence=evidence,
        feedback=pages.feedback,
    )


def _pages(  # noqa: PLR0913, PLR0917 - wired once, at start
    config: Config,
    ring: KeyRing,
    desk: Desk,
    upstreams: Mapping[str, Upstream],
    targets: Targets,
    evidence: EvidenceWired,
    vitals: Callable[[], WorkerVitals],
) -> Pages:
    """What the gateway answers itself."""
    return Pages(
        directory=Path(config.ledger.data_dir),
        ring=ring,
        desk=desk,
        upstreams=upstreams,
        targets=targets,
        clock=desk.clock,
        vitals=vitals,
        budgets=BudgetPages(config, ring, desk.clock),
        virtual=virtual_models(config),
        evidence=evidence.store,
    )


def _attempts(
    config: Config,
    targets: Targets,
    upstreams: Mapping[str, Upstream],
    exchange: Exchange,
    clock: Clock,
) -> Attempts:
    """What reaches the providers, with retries and breakers."""
    return Attempts(
        settings=config.retry,
        targets=targets,
        upstreams=upstreams,
        exchange=exchange,
        clock=clock,
        sleep=asyncio.sleep,
        random=Random(),  # noqa: S311 - jitter, not a secret
    )


def _routing(  # noqa: PLR0913, PLR0917 - the parts it stands on
    config: Config,
    targets: Targets,
    upstreams: Mapping[str, Upstream],
    pricer: Pricer,
    book: PriceBook,
    clock: Clock,
    environ: Mapping[str, str],
    evidence: EvidenceWired,
) -> tuple[RouteBoard | None, Routing | None]:
    """The pools and the stage that routes calls, where there is a pool."""
    if not config.routing.pools:
        return None, None
    secret = environ.get("FARTHING_ROUTE_SECRET", "").encode()
    random = Random()  # noqa: S311 - it spreads calls, and keeps no secret
    board = RouteBoard(config, targets, upstreams, book, clock, secret, random=random)
    runner = StepRunner(
        clock, config.gateway.stream_cost, retries_lost=config.retry.retry_ambiguous
    )
    modes = RouteModes(evidence.comparer, evidence.board, is_gathering=config.evidence.is_used)
    return board, Routing(board, pricer, runner, modes, clock)


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
