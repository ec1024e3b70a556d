"""Takes an answer that people called bad out of the cache, with all wordings that lead to it."""

from __future__ import annotations

from typing import Final

from farthing.clock import Clock
from farthing.errors import FarthingError
from farthing.gateway.feedback import Given
from farthing.gateway.replaying import source_of
from farthing.levers.cache import Answers, CacheStoreError

__all__ = ["NotTakenOut", "Quarantine"]

_BAD: Final = 0.5  # scores below it


class NotTakenOut(FarthingError):
    """The cache's file could not be written: an answer called bad may still be served."""

    code = "not_taken_out"
    status = 503


class Quarantine:
    """Acts on feedback; it takes effect here at once, in other workers within a second."""

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock

    async def __call__(self, given: Given) -> None:
        """Never serve again what that call was answered with, whoever was given it.

        Raises:
            NotTakenOut: the answer could not be taken out; whoever said it must say it again.
        """
        if given.score >= _BAD:
            return
        now_us = self._clock.now_us()
        try:
            keys = self._answers.vault.keys(given.tenant, now_us)
            await self._answers.quarantine(source_of(given.entry), keys, now_us)
        except (OSError, CacheStoreError) as error:
            raise NotTakenOut(
                f"The answer of {given.call_id} could not be taken out of the cache and may be "
                f"served again ({error}). Nothing was kept of the feedback. Send it again; if "
                "that fails too, see that the data folder can be written."
            ) from error
