"""Builds one engine from the configuration: the same for a worker process and for the library."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import msgspec

from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.attempts import Attempts
from farthing.gateway.decode import Decoder
from farthing.gateway.engine import Engine
from farthing.gateway.exchange import Exchange
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import compose
from farthing.gateway.keyring import KeyRing
from farthing.gateway.pages import Pages
from farthing.gateway.pricer import Pricer
from farthing.gateway.settlement import Desk, JournalLike
from farthing.gateway.stages import STAGES
from farthing.gateway.targets import Targets
from farthing.gateway.upstreams import Upstream, make_upstreams
from farthing.gateway.vitals import WorkerVitals
from farthing.pricing import PriceBook

__all__ = ["Wired", "wire_engine"]


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """An engine and the parts that its owner tends."""

    engine: Engine
    ring: KeyRing
    desk: Desk
    book: PriceBook
    upstreams: Mapping[str, Upstream]

    def close(self) -> None:
        """Drop all connections to providers."""
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
    upstreams = make_upstreams(config, environ)
    targets = Targets(config)
    book = PriceBook.load(config.pricing_settings())
    exchange = Exchange(config, upstreams, Pricer(config, book), clock)
    attempts = Attempts(
        settings=config.retry,
        targets=targets,
        upstreams=upstreams,
        exchange=exchange,
        clock=clock,
        sleep=asyncio.sleep,
        random=Random(),  # noqa: S311 - jitter, not a secret
    )
    pages = Pages(
        directory=Path(config.ledger.data_dir),
        ring=ring,
        desk=desk,
        upstreams=upstreams,
        targets=targets,
        clock=clock,
        vitals=vitals,
    )
    engine = Engine(
        decoder=Decoder(config, desk, clock, CallIds(os.urandom(8))),
        serve=compose(STAGES, attempts),
        ring=ring,
        clock=clock,
        pages=pages.table(),
    )
    return Wired(engine=engine, ring=ring, desk=desk, book=book, upstreams=upstreams)
