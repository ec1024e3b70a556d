"""Takes an answer that people called bad out of the cache, with all wordings that lead to it."""

from __future__ import annotations

import logging
from typing import Final

from farthing.clock import Clock
from farthing.gateway.feedback import Given
from farthing.gateway.replaying import source_of
from farthing.levers.cache import Answers

__all__ = ["Quarantine"]

_LOG = logging.getLogger("farthing")
_BAD: Final = 0.5  # scores below it


class Quarantine:
    """Listens to feedback; it takes effect here at once, in other workers within a second."""

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock

    def __call__(self, given: Given) -> None:
        """Never serve again what that call was answered with, whoever was given it."""
        if given.score >= _BAD:
            return
        now_us = self._clock.now_us()
        try:
            keys = self._answers.vault.keys(given.tenant, now_us)
        except OSError:
            _LOG.exception("an answer called bad could not be taken out of the cache")
            return
        self._answers.quarantine(source_of(given.entry), keys, now_us)
