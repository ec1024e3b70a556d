"""Hears what people do not say: a question asked again was not answered well, one passed was.

In a session, the same turn, step and last text again is a regeneration: the answer before was not
kept, and counts 0. The next turn in its place counts 1. Both are the word of people, where they are
the judge ([evidence] judge = "feedback"). A worker judges by the calls that it served itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from farthing.evidence import EvidenceSettings
from farthing.gateway.feedback import Given
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.ledger import CallStatus, Entry

__all__ = ["Regenerations"]

_SESSIONS_MAX: Final = 20_000


class Regenerations:
    """The stage that remembers the last answered call of each session."""

    def __init__(self, settings: EvidenceSettings, hear: Callable[[Given], None]) -> None:
        self._settings = settings
        self._hear = hear
        self._last: OrderedDict[tuple[str, str], Entry] = OrderedDict()

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call, and judge by it the one before in its session."""
        whom = inbound.call.attribution
        rules = self._settings.rules_of(whom.feature)
        if whom.session and rules.is_on and self._settings.is_feedback(rules.judge):
            self._judge((whom.tenant, whom.session), inbound)
            inbound.settlement.listeners.append(self._remember)
        return proceed(inbound)

    def _judge(self, key: tuple[str, str], inbound: Inbound) -> None:
        before = self._last.pop(key, None)
        now = inbound.call.conversation
        if before is None or not now.last_turn:
            return
        then = before.conversation
        if now == then:
            score = 0.0
        elif now.turn > then.turn:
            score = 1.0
        else:
            return
        whom = before.attribution
        self._hear(
            Given(
                call_id=before.call_id,
                tenant=whom.tenant,
                feature=whom.feature,
                score=score,
                entry=before,
            )
        )

    def _remember(self, entry: Entry, ended_us: int) -> None:
        del ended_us
        if entry.status is not CallStatus.OK:
            return
        whom = entry.attribution
        self._last[whom.tenant, whom.session] = entry
        if len(self._last) > _SESSIONS_MAX:
            self._last.popitem(last=False)
