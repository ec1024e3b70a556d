"""When a failed delivery is tried again."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

__all__ = ["Backoff"]

_SECOND_US: Final = 1_000_000
_RETRY_AFTER_S_MOST: Final = 86_400


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Waits that grow threefold, each cut by up to half at random, and then it is enough.

    With the defaults ten tries span between 10 and 20 hours. The jitter comes from `seed` and
    the name of what is tried, so that a run can be repeated and targets do not move in step.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): "equal jitter".
    """

    first_s: int = 30
    factor: int = 3
    wait_s_most: int = 21_600
    tries_most: int = 10
    seed: int = 0

    def next_try_us(
        self, name: str, tries: int, now_us: int, *, retry_after_s: float = 0.0
    ) -> int | None:
        """When to try again after the `tries`-th try failed; None: no more.

        `retry_after_s` is what the receiver asked for; it is heeded up to a day.
        """
        if tries >= self.tries_most:
            return None
        exponent = min(tries - 1, 40)  # beyond that the cap has long been reached
        wait_us = min(self.first_s * self.factor**exponent, self.wait_s_most) * _SECOND_US
        wait_us -= int(_fraction(f"{self.seed}:{name}:{tries}") * wait_us / 2)
        asked_us = int(min(max(retry_after_s, 0.0), _RETRY_AFTER_S_MOST) * _SECOND_US)
        return now_us + max(wait_us, asked_us)


def _fraction(text: str) -> float:
    """A number in [0, 1) that looks random and is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
