"""Puts the semantic layer together; imported only where it is switched on."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from farthing.clock import Clock
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.gateway.caching import ExactCache
from farthing.gateway.evidencing import EvidenceWired
from farthing.gateway.pricer import Pricer
from farthing.gateway.replaying import Replayer
from farthing.gateway.semantic import SemanticCache
from farthing.gateway.semantic_acts import Begin
from farthing.gateway.semantic_after import After
from farthing.gateway.semantic_desk import Carrier, SemanticDesk
from farthing.gateway.semantic_link import ProcessCarrier
from farthing.gateway.semantic_planner import Planner
from farthing.gateway.semantic_thread import ThreadCarrier
from farthing.levers.cache import Answers
from farthing.levers.cache.semantic_extra import check_semantic, embedder_of

__all__ = ["wire_semantic"]


def wire_semantic(
    config: Config,
    answers: Answers,
    exact: ExactCache,
    pricer: Pricer,
    clock: Clock,
    evidence: EvidenceWired,
) -> SemanticCache:
    """The stage, listening to what the exact cache keeps.

    Raises:
        ConfigError: a package is missing, or a setting can't be meant.
    """
    check_semantic(config.cache)
    settings = config.cache.semantic
    identity, make = embedder_of(settings.embedder)
    try:
        planner = Planner(settings, identity)
    except ValueError as error:
        raise ConfigError(
            f"cache.semantic: {error}. Nothing was started. `loss_usd` is an amount in USD, such "
            'as "0.10".'
        ) from error
    judges = {settings.judge_model, *(f.judge_model for f in settings.features.values())}
    if judges - {"", None} and not config.evidence.is_used:
        raise ConfigError(
            "cache.semantic.judge_model asks a model off the callers' path, and that is switched "
            'off. Nothing was started. Set evidence.mode = "on"; evidence.usd_per_day bounds what '
            "it costs."
        )
    directory = config.ledger.data_dir
    carrier: Carrier
    if settings.runs_in == "process":
        begin = Begin(settings, str(Path(directory).absolute()), tuple(sys.path))
        carrier = ProcessCarrier(begin, clock)
    else:
        carrier = ThreadCarrier(settings, Path(directory), answers, clock, make)
    desk = SemanticDesk(carrier, settings.wait_ms_max)
    after = After(desk, evidence.aside, planner.is_on)
    exact.listeners.append(after.kept)
    semantic = SemanticCache(
        settings=settings,
        answers=answers,
        planner=planner,
        desk=desk,
        after=after,
        replayer=Replayer(pricer, config.gateway.stream_cost),
        clock=clock,
        board=evidence.board,
        random=Random(),  # noqa: S311 - which answers are checked, not a secret
    )
    exact.given.append(semantic.heard)
    return semantic
