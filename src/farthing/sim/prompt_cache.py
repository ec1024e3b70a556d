"""Prompt caches as the providers keep them, over the text of prompts.

OpenAI caches by itself: prompts of 1024 tokens and more, in steps of 128 tokens, for the longest
beginning seen before, for some minutes.
Source: https://platform.openai.com/docs/guides/prompt-caching (read 2026-11-24).

Anthropic caches up to marked blocks: everything up to a `cache_control` mark is written for five
minutes or an hour, and the longest written beginning within 20 blocks of a mark is read.
Source: https://docs.claude.com/en/docs/build-with-claude/prompt-caching (read 2026-11-24).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.sim.tokens import CHARACTERS_PER_TOKEN

__all__ = ["NO_CACHE_USE", "Block", "CacheUse", "PromptCache"]

_TOKENS_LEAST: Final = 1024
_TOKENS_STEP: Final = 128
_STEP_BYTES: Final = _TOKENS_STEP * CHARACTERS_PER_TOKEN
_IDLE_S_MOST: Final = 600
_TTL_S: Final = MappingProxyType({"5m": 300, "1h": 3600})
_LOOKBACK_BLOCKS: Final = 20
_ENTRIES_MOST: Final = 200_000


class CacheUse(msgspec.Struct, frozen=True, gc=False):
    """Prompt tokens read from and written to the provider's prompt cache."""

    read: int = 0
    write_5m: int = 0
    write_1h: int = 0


NO_CACHE_USE: Final = CacheUse()


class Block(msgspec.Struct, frozen=True, gc=False):
    """One block of an Anthropic prompt; `ttl` is "5m" or "1h" where it carries a mark."""

    text: bytes
    tokens: int
    ttl: str = ""


class PromptCache:
    """What has been cached, for all keys and models; the oldest entries go first."""

    def __init__(self) -> None:
        self._expiry_s: OrderedDict[bytes, float] = OrderedDict()

    def clear(self) -> None:
        """Forget everything."""
        self._expiry_s.clear()

    def automatic(self, owner: bytes, prompt: bytes, tokens: int, now_s: float) -> CacheUse:
        """What OpenAI reads from its cache for `prompt` of `tokens` tokens, and remember it."""
        if tokens < _TOKENS_LEAST:
            return NO_CACHE_USE
        hasher = blake2b(owner, digest_size=16)
        hits, is_known = 0, True
        for at in range(0, len(prompt) - _STEP_BYTES + 1, _STEP_BYTES):
            hasher.update(prompt[at : at + _STEP_BYTES])
            key = hasher.digest()
            is_known = is_known and self._is_known(key, now_s)
            hits += is_known
            self._remember(key, now_s + _IDLE_S_MOST)
        read = min(hits * _TOKENS_STEP, (tokens - 1) // _TOKENS_STEP * _TOKENS_STEP)
        return CacheUse(read if read >= _TOKENS_LEAST else 0)

    def marked(self, owner: bytes, blocks: Sequence[Block], now_s: float) -> CacheUse:
        """What Anthropic reads and writes for a prompt of `blocks`, and remember it."""
        marks = [index for index, block in enumerate(blocks) if block.ttl]
        if not marks:
            return NO_CACHE_USE
        keys, sums = _prefixes(owner, blocks[: marks[-1] + 1])
        if sums[-1] < _TOKENS_LEAST:
            return NO_CACHE_USE
        found = self._longest(keys, marks, now_s)
        read = sums[found] if found >= 0 else 0
        hourly = [index for index in marks if blocks[index].ttl == "1h" and index > found]
        after_hourly = sums[hourly[-1]] if hourly else read
        for index in marks:
            if sums[index] >= _TOKENS_LEAST:
                self._remember(keys[index], now_s + _TTL_S[blocks[index].ttl])
        if found >= 0 and not blocks[found].ttl:
            self._remember(keys[found], now_s + _TTL_S["5m"])
        return CacheUse(read, sums[-1] - max(after_hourly, read), after_hourly - read)

    def _longest(self, keys: Sequence[bytes], marks: Sequence[int], now_s: float) -> int:
        for mark in reversed(marks):
            for index in range(mark, max(-1, mark - _LOOKBACK_BLOCKS), -1):
                if self._is_known(keys[index], now_s):
                    return index
        return -1

    def _is_known(self, key: bytes, now_s: float) -> bool:
        return self._expiry_s.get(key, -1.0) > now_s

    def _remember(self, key: bytes, until_s: float) -> None:
        self._expiry_s[key] = max(until_s, self._expiry_s.get(key, 0.0))
        self._expiry_s.move_to_end(key)
        if len(self._expiry_s) > _ENTRIES_MOST:
            self._expiry_s.popitem(last=False)


def _prefixes(owner: bytes, blocks: Sequence[Block]) -> tuple[list[bytes], list[int]]:
    """The key and the token count of the prompt up to and with each block."""
    hasher = blake2b(owner, digest_size=16)
    keys: list[bytes] = []
    sums: list[int] = []
    tokens = 0
    for block in blocks:
        hasher.update(block.text)
        hasher.update(b"\0")
        keys.append(hasher.digest())
        tokens += block.tokens
        sums.append(tokens)
    return keys, sums
