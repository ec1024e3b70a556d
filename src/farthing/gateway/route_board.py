"""All pools of a worker: which call falls to which, and the small work that keeps them true."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from farthing.call import Endpoint
from farthing.clock import Clock
from farthing.codecs import Demands
from farthing.config import Config
from farthing.errors import CallerError, ConfigError
from farthing.gateway.inbound import Inbound
from farthing.gateway.route_news import News, Tally
from farthing.gateway.route_pins import shared_pins
from farthing.gateway.route_pool import RoutePool, pool_shelf
from farthing.gateway.route_scores import scores_by
from farthing.gateway.targets import NoTarget, Target, Targets, card_of, protocol_of
from farthing.gateway.upstreams import Upstream
from farthing.levers.routing.facts import lacks, price_mark
from farthing.levers.routing.settings import ModelFacts
from farthing.levers.routing.trail import Trail
from farthing.levers.routing.virtual import AUTO, PREFIX, Virtual, read_virtual
from farthing.pricing import PriceBook

__all__ = ["RouteBoard", "routing_folder", "virtual_models"]

_LOG = logging.getLogger("farthing")
_TEND_S: Final = 1.0
_NAMES_MAX: Final = 10_000
_ANY: Final = ModelFacts()


class NoPool(CallerError):
    """A virtual model's name that names no pool."""

    code = "model_not_found"
    status = 404


def routing_folder(config: Config) -> Path:
    """Where policies and the trail stand."""
    return Path(config.ledger.data_dir) / "routing"


def virtual_models(config: Config) -> list[str]:
    """The virtual models that are listed: `farthing/auto`, and one a pool."""
    pools = list(config.routing.pools)
    return [PREFIX + name for name in dict.fromkeys([AUTO, *pools])] if pools else []


def _check_names(config: Config) -> None:
    for name in config.routing.pools:
        if set(name) & set(":@/ "):
            raise ConfigError(
                f"routing.pools.{name}: a pool's name must not hold a colon, an @, a slash or a "
                "space. Nothing was started."
            )


class RouteBoard:
    """The pools, and what is needed to see whether a model can serve a call."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        config: Config,
        targets: Targets,
        upstreams: Mapping[str, Upstream],
        book: PriceBook,
        clock: Clock,
        secret: bytes,
        *,
        random: Random,
        is_watching: bool = False,
    ) -> None:
        """`secret` signs the policy files; empty: their hash alone. `is_watching`: nothing is noted.

        Raises:
            ConfigError: a pool's name can't be asked for, or its embedder can't be had.
        """
        self._settings = config.routing
        self._targets = targets
        self._upstreams = upstreams
        self._book = book
        self._clock = clock
        self._providers = config.providers
        self._output_reserved = config.gateway.reserve_output_tokens
        folder = routing_folder(config)
        self._trail = Trail(folder)
        self._trail.refresh()
        _check_names(config)
        is_shared = config.gateway.workers > 1 and not is_watching
        self._news = News(folder) if is_shared else None
        pins = shared_pins(folder) if is_shared else None
        self.scores = scores_by(config.routing)
        self.pools = {
            name: RoutePool(
                name,
                settings,
                pool_shelf(name, settings, folder, secret),
                self._trail,
                self._price_of,
                random=random,
                scores=self.scores,
                pins=pins,
                is_shared=is_shared,
                is_watching=is_watching,
            )
            for name, settings in config.routing.pools.items()
        }
        self._named: dict[str, Virtual | None] = {
            pool.settings.incumbent: Virtual(name)
            for name, pool in self.pools.items()
            if pool.settings.overrides_incumbent
        }
        self._tending: asyncio.Task[None] | None = None
        for pool in self.pools.values():
            pool.look()
            pool.stand(clock.now_us())

    def find(self, model: str) -> Virtual | None:
        """What a model's name asks of which pool; None where it is no call to route.

        Raises:
            NoPool: it is a virtual model's name, and there is no such pool.
        """
        try:
            return self._named[model]
        except KeyError:
            found = self._found(model)
        if len(self._named) < _NAMES_MAX:  # names come from callers
            self._named[model] = found
        return found

    def _found(self, model: str) -> Virtual | None:
        try:
            virtual = read_virtual(model)
        except ValueError as error:
            raise NoPool(f"{model}: {error}. Nothing was sent and nothing was charged.") from error
        if virtual is None:
            return None
        if virtual.pool in self.pools:
            return virtual
        if virtual.pool == AUTO:
            return msgspec.structs.replace(virtual, pool=next(iter(self.pools)))
        raise NoPool(
            f"There is no pool {virtual.pool!r}. Nothing was sent and nothing was charged. "
            f"There are: {', '.join(PREFIX + name for name in self.pools)}."
        )

    def unfit(
        self, pool: RoutePool, inbound: Inbound, demands: Demands, model: str, *, is_granted: bool
    ) -> str:
        """Why a model can't serve a call; empty: it can. `is_granted`: the key may use the pool."""
        key = inbound.caller.key
        allowed = () if key is None or is_granted else key.models
        if allowed and not any(fnmatchcase(model, pattern) for pattern in allowed):
            return "the key may not use it"
        try:
            targets = self.targets(model, inbound.call.endpoint)
        except NoTarget:
            return f"no provider serves it in the {protocol_of(inbound.call.endpoint)} protocol"
        if not any(self._upstreams[target.provider].breaker.is_closed for target in targets):
            return "its providers are out"
        room = inbound.call.output_most or self._output_reserved
        tokens = inbound.view.input_estimate + room
        facts = self._settings.models.get(model, _ANY)
        return lacks(facts, demands, tokens, pool.settings.region)

    def targets(self, model: str, endpoint: Endpoint) -> tuple[Target, ...]:
        """Where a model is served.

        Raises:
            NoTarget: nowhere.
        """
        return self._targets.find(model, protocol_of(endpoint))

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By pool: calls by who served them, alarms; `policies` count now, and those `stopped`."""
        return {name: pool.tallies for name, pool in self.pools.items()}

    def start(self) -> None:
        """Begin to look for what changes, and load the embedder if there is one."""
        self.scores.start()
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        """Look no more."""
        self.scores.close()
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        if self._news is not None:
            self._news.close()

    async def look(self) -> None:
        """Read what changed on the disk, and work out anew what counts."""
        now_us = self._clock.now_us()
        told = {} if self._news is None else {n: pool.told() for n, pool in self.pools.items()}
        heard = await asyncio.to_thread(self._look, told, now_us)
        for pool in self.pools.values():
            pool.stand(now_us)
        for tallies in heard:
            for name, tally in tallies.items():
                if name in self.pools:
                    self.pools[name].hear(tally, now_us)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_TEND_S)
            try:
                await self.look()
            except OSError:
                _LOG.exception("the routing policies could not be read again; those known stand")

    def _look(self, told: dict[str, Tally], now_us: int) -> list[dict[str, Tally]]:
        """Read the disk; tell other workers, and hear them."""
        self._trail.refresh()
        for pool in self.pools.values():
            pool.look()
        if self._news is None:
            return []
        return self._news.swap({name: tally for name, tally in told.items() if tally}, now_us)

    def _price_of(self, model: str) -> str:
        """The mark of the card by which a model is priced now; empty: none."""
        card = card_of(self._targets, self._providers, self._book, self._clock.now_us())(model)
        return "" if card is None else price_mark(card)
