"""A call as the cache sees it, decided before anything is looked up: a pure function of its facts."""

from __future__ import annotations

from typing import Final

import msgspec

from farthing.codecs import Canonical
from farthing.levers.cache.directives import NO_DIRECTIVES, Directives
from farthing.levers.cache.fingerprint import Prints
from farthing.levers.cache.scope import TenantKeys
from farthing.levers.cache.settings import Rules
from farthing.levers.cache.wording import volatility_of

__all__ = ["Asked", "Verdict", "decide"]

_FAST_S: Final = 600


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call may be served from the cache, and its answer kept; reasons, empty: it may."""

    why_not_served: str = ""
    why_not_kept: str = ""
    ttl_s: int = 0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the cache sees it. `prints` is None where it can't be compared with others.

    `marks` stand for its user, tags and documents, so that its answer can be found by them.
    `why_not_shared` says why it is not coalesced. Where a routing policy would serve it by others
    than the incumbent, `prints` hold by what right, `own` are those of the incumbent's answers, and
    `would` are the providers and models that would be asked first.
    """

    verdict: Verdict
    rules: Rules
    directives: Directives = NO_DIRECTIVES
    prints: Prints | None = None
    keys: TenantKeys | None = None
    feature: str = ""
    target: tuple[str, str] = ("", "")
    request: Canonical | None = None
    marks: tuple[bytes, ...] = ()
    why_not_shared: str = ""
    own: Prints | None = None
    would: tuple[tuple[str, str], ...] = ()

    def is_too_old(self, created_us: int, now_us: int) -> bool:
        """Whether an answer of `created_us` is older than the rules of now or the caller allow.

        An answer keeps the time to live that it was stored with; rules may have become stricter
        since, and what was asked in other words may live longer than what is asked.
        """
        most_s = self.directives.age_s_max
        if ttl_s := self.verdict.ttl_s:
            most_s = ttl_s if most_s is None else min(most_s, ttl_s)
        return most_s is not None and now_us - created_us > most_s * 1_000_000


def decide(request: Canonical, rules: Rules, directives: Directives) -> Verdict:
    """What the rules and the caller allow for a request."""
    ttl_s = rules.ttl_s
    if request.has_tool_turns:
        ttl_s = min(ttl_s, rules.tool_ttl_s)
    volatility = volatility_of(request.slot) if rules.has_live_words else ""
    if volatility == "fast":
        ttl_s = min(ttl_s, _FAST_S)
    never = ""
    if rules.mode == "off":
        never = "off for this feature"
    elif request.choices != 1:
        never = "several choices are asked for"
    elif request.is_kept_upstream:
        never = "the provider is to store it"
    elif request.temperature > rules.temperature_max:
        never = f"sampled at temperature {request.temperature:g}"
    elif volatility == "live":
        never = "the question is about now"
    elif not ttl_s:
        never = "tool turns" if request.has_tool_turns and rules.ttl_s else "live"
    return Verdict(
        why_not_served=never or directives.why_not_served,
        why_not_kept=never or directives.why_not_kept,
        ttl_s=ttl_s,
    )
