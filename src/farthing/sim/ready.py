"""Ready answers: scripts kept for a second, for the same question asked again and again.

Only what is a pure function of the question and the clock's second is kept: no rules, no
steering, nothing recorded or varied, no prompt cache. An answer from here is equal to the byte to
one made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from farthing.sim.delivery import joined
from farthing.sim.script import Ending, Question, Script, Served
from farthing.sim.world import World

__all__ = ["ReadyAnswers"]

_ENTRIES_MOST: Final = 256
_BODY_BYTES_MOST: Final = 65_536
_UNCACHED_TOKENS_MOST: Final = 1023
_STEERED: Final = b"x-sim-"

Key = tuple[str, str, int, bytes, bytes, bytes, bytes, bytes]


class ReadyAnswers:
    """The scripts of the latest questions."""

    def __init__(self, world: World) -> None:
        settings = world.settings
        self._world = world
        self._is_pure = not (settings.rules or settings.is_varied or world.recorded)
        self._scripts: OrderedDict[Key, Script] = OrderedDict()

    def key(self, question: Question) -> Key | None:
        """What the answer depends on; None where it depends on more."""
        if not self._is_pure or len(question.body) > _BODY_BYTES_MOST:
            return None
        headers = question.headers
        if any(name.startswith(_STEERED) for name in headers):
            return None
        return (
            question.method,
            question.path,
            self._world.now_s(),
            question.body,
            headers.get(b"authorization", b""),
            headers.get(b"x-api-key", b""),
            headers.get(b"api-key", b""),
            headers.get(b"anthropic-version", b""),
        )

    def find(self, key: Key, number: int) -> Script | None:
        """The kept script, with a log entry of its own."""
        kept = self._scripts.get(key)
        if kept is None:
            return None
        served = _fresh(kept.served, number, self._world.now_us())
        return msgspec.structs.replace(kept, served=served)

    def keep(self, key: Key, script: Script) -> None:
        """Keep a script, where it may be."""
        served = script.served
        if (
            script.status != 200
            or script.ending is not Ending.CLEAN
            or not served.id
            or served.usage.prompt_tokens > _UNCACHED_TOKENS_MOST
        ):
            return
        kept = msgspec.structs.replace(
            script, steps=joined(script.steps), served=_fresh(served, 0, 0)
        )
        self._scripts[key] = kept
        if len(self._scripts) > _ENTRIES_MOST:
            self._scripts.popitem(last=False)


def _fresh(served: Served, number: int, at_us: int) -> Served:
    return msgspec.structs.replace(served, number=number, at_us=at_us)
