"""How far each lever may go right now, at hand for every call; read again behind the calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from farthing.evidence.ladder import Mode, State
from farthing.evidence.store import EvidenceStore, EvidenceStoreError

__all__ = ["ModesBoard"]

_LOG = logging.getLogger("farthing")
_NONE: Final[Mapping[tuple[str, str], State]] = MappingProxyType({})


class ModesBoard:
    """The levers' modes, as they were when last read; a worker reads them each second.

    Where the file can't be read, what was known stays in force.
    """

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._states = _NONE
        self._is_silent = False
        self.is_stopped = False

    def mode(self, lever: str, scope: str, default: Mode = Mode.SHADOW) -> Mode:
        """What the lever may do for the scope; `default` where nothing was ever decided."""
        if self.is_stopped:
            return Mode.OFF
        state = self._states.get((lever, scope))
        return default if state is None else state.mode

    def state(self, lever: str, scope: str) -> State:
        """The state behind it, whether or not all levers are stopped."""
        return self._states.get((lever, scope)) or State(lever=lever, scope=scope)

    async def refresh(self) -> None:
        """Read the modes again, on a thread; never raises for a file that is away."""
        await asyncio.to_thread(self.read)

    def read(self) -> None:
        """Read the modes again; blocks."""
        try:
            states = {(one.lever, one.scope): one for one in self._store.states()}
            is_stopped = self._store.is_stopped
        except EvidenceStoreError as error:
            if not self._is_silent:
                _LOG.error("%s", error)
            self._is_silent = True
            return
        self._is_silent = False
        self._states = states
        self.is_stopped = is_stopped
