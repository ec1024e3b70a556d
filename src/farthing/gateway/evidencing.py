"""Builds what gathers evidence: the store, the levers' modes, the work off the callers' path."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec

from farthing.config import Config
from farthing.evidence import EvidenceStore, Keeper
from farthing.gateway.aside import Aside
from farthing.gateway.candidate import CandidateTrial
from farthing.gateway.comparing import Comparer
from farthing.gateway.desk import Desk
from farthing.gateway.feedback import FeedbackDesk
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import Proceed, Stage
from farthing.gateway.judging import Judges
from farthing.gateway.modes import ModesBoard
from farthing.gateway.pricer import Pricer
from farthing.gateway.regenerations import Regenerations
from farthing.gateway.targets import Targets

__all__ = ["EvidenceWired", "wire_evidence"]


class EvidenceWired(msgspec.Struct, frozen=True, kw_only=True):
    """What compares levers' answers, at one worker."""

    store: EvidenceStore
    board: ModesBoard
    aside: Aside
    comparer: Comparer
    stages: tuple[Stage | None, ...]

    def listen(self, feedback: FeedbackDesk) -> None:
        """Count what people say, where they are the judge."""
        feedback.listeners.append(self.comparer.heard)

    async def close(self) -> None:
        """Let what runs off the callers' path finish, or cancel it; close the store."""
        await self.aside.close()
        self.store.close()


def wire_evidence(
    config: Config, send: Proceed, desk: Desk, targets: Targets, pricer: Pricer, ids: CallIds
) -> EvidenceWired:
    """All of it; nothing is opened or started before it is used.

    Raises:
        ConfigError: a judge can't be made ready.
    """
    store = EvidenceStore(Path(config.ledger.data_dir))
    board = ModesBoard(store)
    aside = Aside(
        settings=config.evidence,
        store=store,
        board=board,
        send=send,
        desk=desk,
        targets=targets,
        pricer=pricer,
        clock=desk.clock,
        ids=ids,
    )
    comparer = Comparer(
        settings=config.evidence,
        aside=aside,
        board=board,
        keeper=Keeper(store, config.evidence),
        judges=Judges(config.evidence),
        clock=desk.clock,
        random=Random(),  # noqa: S311 - sampling, not a secret
    )
    candidate = regenerations = None
    if config.evidence.has_candidate:
        candidate = CandidateTrial(config.evidence, comparer, targets, pricer)
    if config.evidence.hears_feedback:
        regenerations = Regenerations(config.evidence, comparer.heard)
    return EvidenceWired(
        store=store,
        board=board,
        aside=aside,
        comparer=comparer,
        stages=(regenerations, candidate),
    )
