"""Builds what gathers evidence: the store, the levers' modes, the work off the callers' path."""

from __future__ import annotations

from pathlib import Path

import msgspec

from farthing.config import Config
from farthing.evidence.store import EvidenceStore
from farthing.gateway.aside import Aside
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import Proceed
from farthing.gateway.modes import ModesBoard
from farthing.gateway.pricer import Pricer
from farthing.gateway.settlement import Desk
from farthing.gateway.targets import Targets

__all__ = ["EvidenceWired", "wire_evidence"]


class EvidenceWired(msgspec.Struct, frozen=True, kw_only=True):
    """What compares levers' answers, at one worker."""

    store: EvidenceStore
    board: ModesBoard
    aside: Aside

    async def close(self) -> None:
        """Let what runs off the callers' path finish, or cancel it; close the store."""
        await self.aside.close()
        self.store.close()


def wire_evidence(
    config: Config, send: Proceed, desk: Desk, targets: Targets, pricer: Pricer, ids: CallIds
) -> EvidenceWired:
    """All of it; nothing is opened or started before it is used."""
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
    return EvidenceWired(store=store, board=board, aside=aside)
