"""Puts the caches and coalescing together, as far as they are used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farthing.clock import Clock
from farthing.config import Config
from farthing.gateway.asking import Asking, Routed
from farthing.gateway.caching import ExactCache
from farthing.gateway.coalescing import Coalesce
from farthing.gateway.evidencing import EvidenceWired
from farthing.gateway.feedback import FeedbackDesk
from farthing.gateway.inbound import Stage
from farthing.gateway.pricer import Pricer
from farthing.gateway.quarantine import Quarantine
from farthing.gateway.replaying import Replayer
from farthing.gateway.targets import Targets
from farthing.levers.cache import Answers, Vault
from farthing.levers.cache.semantic_extra import check_semantic

if TYPE_CHECKING:
    from farthing.gateway.semantic import SemanticCache

__all__ = ["CachesWired", "wire_caches"]


class CachesWired(msgspec.Struct, frozen=True, kw_only=True):
    """The stages of the caches in their order, and what their owner tends."""

    stages: tuple[Stage | None, ...] = ()
    answers: Answers | None = None
    semantic: SemanticCache | None = None
    asking: Asking | None = None

    def route_by(self, routing: Routed | None) -> None:
        """Ask `routing` by what right an answer is given."""
        if self.asking is not None:
            self.asking.routing = routing

    def listen(self, feedback: FeedbackDesk, clock: Clock) -> None:
        """Take answers that people call bad out of the caches."""
        if self.answers is not None:
            feedback.acts.append(Quarantine(self.answers, clock))

    def start(self) -> None:
        """Begin to read what is stored."""
        if self.semantic is not None:
            self.semantic.start()

    async def close(self) -> None:
        """Finish what is under way, and close the files."""
        if self.semantic is not None:
            await self.semantic.close()
        if self.answers is not None:
            self.answers.close()


def wire_caches(
    config: Config, targets: Targets, pricer: Pricer, clock: Clock, evidence: EvidenceWired
) -> CachesWired:
    """The caches that the configuration uses.

    Raises:
        ConfigError: a package is missing, or a setting can't be meant.
    """
    check_semantic(config.cache)
    is_coalescing = config.coalesce.mode == "on"
    answers = None
    if config.cache.is_used:
        answers = Answers(config.cache, Path(config.ledger.data_dir))
    elif not is_coalescing:
        return CachesWired()
    asking = Asking(config, targets, Vault(None) if answers is None else answers.vault)
    told = config.gateway.stream_cost
    coalesce = Coalesce(asking, clock, told) if is_coalescing else None
    if answers is None:
        return CachesWired(stages=(coalesce,), asking=asking)
    exact = ExactCache(answers, asking, Replayer(pricer, told), clock)
    if config.evidence.is_used and config.evidence.exact_cache:
        exact.comparer = evidence.comparer
    semantic: SemanticCache | None = None
    if config.cache.semantic.is_used:  # what it needs is imported only where it is switched on
        wiring = importlib.import_module("farthing.gateway.semantic_wiring")
        semantic = wiring.wire_semantic(config, answers, exact, pricer, clock, evidence)
    return CachesWired(
        stages=(exact, semantic, coalesce), answers=answers, semantic=semantic, asking=asking
    )
