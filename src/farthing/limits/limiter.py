"""Requests, tokens and running calls per key, in the memory of one worker.

What holds, for a key that one worker serves:

R1  Over any span of d minutes at most `burst + d * limit` requests are admitted.
R2  The same of tokens, as asked for at admission. A call that used more than it asked for puts
    the key in debt, and nothing of the key passes until that is paid: no excess is forgiven.
R3  At most `concurrency` calls run at once. A permit ends once, however often it is told to.
R4  A refused call takes nothing from any limit.

With N workers each admits a 1/N share of the rate, exactly, and ceil(burst/N) at once: together
never above the limit's rate, and at most N - 1 units above its burst. One exception keeps large
calls possible: a call of more tokens than the worker's part, but not more than the whole burst,
passes when that part is full, and leaves a debt. Concurrency is shared as ceil(limit/N), so that
all workers together run at most N - 1 calls more than the limit. A key whose connections all end
at one worker gets that worker's share only: the price of asking no store on the way of a call.
What is left, as headers tell it, is what is left at the worker that answers. Limits are kept for
the `keys_most` keys last seen, and begin full again for a key that was forgotten, or when a worker
starts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

from farthing.limits.bucket import Bucket
from farthing.limits.settings import LimitSettings

__all__ = ["Gauge", "Limiter", "Limits", "Permit", "TooMany"]

_KEYS_MOST: Final = 10_000
_NOTHING: Final = LimitSettings()


class Gauge(msgspec.Struct, frozen=True, gc=False):
    """One limit as a caller sees it; `reset_us` is how long until it is full again."""

    limit: int
    remaining: int
    reset_us: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a key stands; None where no such limit is set."""

    requests: Gauge | None = None
    tokens: Gauge | None = None


class TooMany(msgspec.Struct, frozen=True, kw_only=True):
    """A call was refused; nothing was taken.

    `wait_us` is how long until this call would pass if nothing else came (0: when a running call
    ends). `is_never`: it asks for more at once than the limit ever lets through.
    """

    what: Literal["requests", "tokens", "concurrency"]
    limit: int
    asked: int
    remaining: int
    wait_us: int = 0
    is_never: bool = False

    def __str__(self) -> str:
        """What happened, what was kept, what to do."""
        per = "at once" if self.what == "concurrency" else "a minute"
        said = (
            f"The key's limit is {self.limit} {self.what} {per}; {self.remaining} are left and this"
            f" call asks for {self.asked}."
        )
        if self.what == "concurrency":
            said = f"{self.limit} calls of this key are running, which is its limit."
        if self.is_never:
            do = "It never fits: ask for fewer tokens, or raise the limit's burst."
        elif self.wait_us:
            do = f"Try again in {-(-self.wait_us // 1_000_000)} s."
        else:
            do = "Try again when one of them has ended."
        return f"{said}\nNothing was sent and nothing was charged.\n{do}"


class _Key:
    """The limits of one key."""

    __slots__ = ("concurrency", "requests", "running", "settings", "tokens")

    def __init__(self, settings: LimitSettings, now_us: int, workers: int) -> None:
        self.settings = settings
        self.requests = _bucket(
            settings.requests_per_minute, settings.requests_burst, now_us, workers
        )
        self.tokens = _bucket(settings.tokens_per_minute, settings.tokens_burst, now_us, workers)
        self.concurrency = -(-settings.concurrency // workers)
        self.running = 0


class Permit:
    """An admitted call. Settle it with what it used, or release it; the first of them counts."""

    __slots__ = ("_asked", "_key", "limits")

    def __init__(self, key: _Key | None, asked: int, limits: Limits) -> None:
        self._key = key
        self._asked = asked
        self.limits = limits

    def settle(self, tokens: int, now_us: int) -> None:
        """The call ended and used `tokens`; what it asked for beyond that is given back."""
        key, self._key = self._key, None
        if key is None:
            return
        key.running -= 1
        if key.tokens is not None and tokens != self._asked:
            key.tokens.correct(tokens - self._asked, now_us)

    def release(self, now_us: int) -> None:
        """The call was not made; its tokens are given back, its request stays counted."""
        self.settle(0, now_us)


class Limiter:
    """All keys' limits in one of `workers` worker processes; used by one thread."""

    __slots__ = ("_keys", "_keys_most", "_rules", "_workers")

    def __init__(
        self, rules: Sequence[LimitSettings], *, workers: int = 1, keys_most: int = _KEYS_MOST
    ) -> None:
        self._rules = tuple(rules)
        self._workers = workers
        self._keys_most = keys_most
        self._keys: OrderedDict[str, _Key] = OrderedDict()

    def admit(self, key: str, tokens: int, now_us: int, *, tenant: str = "") -> Permit | TooMany:
        """Let a call pass that may use `tokens`, or say what stands against it.

        `key` is the id of the caller's key, `now_us` any clock that does not go back.
        """
        held = self._keys.get(key)
        if held is None:
            held = self._remember(key, tenant, now_us)
        else:
            self._keys.move_to_end(key)
        refused = _refusal(held, tokens, now_us)
        if refused is not None:
            return refused
        if held.requests is not None:
            held.requests.spend(1)
        if held.tokens is not None:
            held.tokens.spend(tokens)
        held.running += 1
        return Permit(held, tokens, _limits(held, now_us))

    def limits(self, key: str, now_us: int, *, tenant: str = "") -> Limits:
        """Where a key stands, for the headers of a refusal."""
        return _limits(self._keys.get(key) or self._remember(key, tenant, now_us), now_us)

    def _remember(self, key: str, tenant: str, now_us: int) -> _Key:
        rule = next((r for r in self._rules if _matches(r, key, tenant)), _NOTHING)
        made = self._keys[key] = _Key(rule, now_us, self._workers)
        if len(self._keys) > self._keys_most:
            self._forget()
        return made

    def _forget(self) -> None:
        """Forget the key not seen for longest of those without running calls."""
        for name, key in self._keys.items():
            if not key.running:
                del self._keys[name]
                return


def _bucket(per_minute: int, burst: int, now_us: int, workers: int) -> Bucket | None:
    if not per_minute:
        return None
    return Bucket(per_minute, burst or per_minute, now_us, share=workers)


def _matches(rule: LimitSettings, key: str, tenant: str) -> bool:
    return fnmatchcase(key, rule.key) and fnmatchcase(tenant, rule.tenant)


def _refusal(key: _Key, tokens: int, now_us: int) -> TooMany | None:
    rule = key.settings
    if rule.concurrency and key.running >= key.concurrency:
        return TooMany(what="concurrency", limit=rule.concurrency, asked=1, remaining=0)
    waits_us = key.requests.wait_us(1, now_us) if key.requests is not None else 0
    if key.requests is not None and waits_us:
        return TooMany(
            what="requests",
            limit=rule.requests_per_minute,
            asked=1,
            remaining=0,
            wait_us=waits_us,
        )
    bucket = key.tokens
    if bucket is None:
        return None
    is_never = not bucket.fits(tokens)
    waits_us = bucket.wait_us(tokens, now_us)
    if not waits_us and not is_never:
        return None
    return TooMany(
        what="tokens",
        limit=rule.tokens_per_minute,
        asked=tokens,
        remaining=bucket.remaining(now_us),
        wait_us=0 if is_never else waits_us,
        is_never=is_never,
    )


def _limits(key: _Key, now_us: int) -> Limits:
    rule = key.settings
    return Limits(
        requests=_gauge(key.requests, rule.requests_per_minute, now_us),
        tokens=_gauge(key.tokens, rule.tokens_per_minute, now_us),
    )


def _gauge(bucket: Bucket | None, limit: int, now_us: int) -> Gauge | None:
    if bucket is None:
        return None
    return Gauge(limit, *bucket.gauge(now_us))
