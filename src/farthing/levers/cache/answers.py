"""The cache as its stage sees it: memory before disk, keys by tenant, counts behind the calls.

Whatever fails here is a miss. Purges and forgotten tenants take effect within a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from farthing.levers.cache.asked import Asked
from farthing.levers.cache.entry import Stored, decode_stored, encode_stored
from farthing.levers.cache.fingerprint import Prints
from farthing.levers.cache.memory import AtHand, Memory
from farthing.levers.cache.scope import TenantKeys, Vault
from farthing.levers.cache.seal import BadSeal, Sealer
from farthing.levers.cache.settings import CacheSettings
from farthing.levers.cache.store import CacheStoreError, Kept, Purge, SqliteAnswers, cache_file
from farthing.levers.cache.writer import Keep, Write, Writer

__all__ = ["Answers", "Found", "check_extra", "open_vault"]

_LOG = logging.getLogger("farthing")
_LOOK_US: Final = 1_000_000
_TIDY_EVERY: Final = 256  # answers; and
_TIDY_US: Final = 3_600_000_000
_TIDY_SHARE: Final = 20  # a twentieth of what the disk may hold
_JITTER: Final = 10  # per cent of a time to live, so that not all expire at once
_PURGE_MS: Final = 10_000  # how long a purge waits for others that write
_VAULT: Final = "cache-keys"


class Found(msgspec.Struct, frozen=True):
    """An answer that may be served; `is_same_text`: the last text is the very same."""

    answer: AtHand
    is_same_text: bool


class _Disk(msgspec.Struct):
    """The file and what goes with it."""

    path: Path
    answers: SqliteAnswers
    writer: Writer
    sealer: Sealer


def check_extra(settings: CacheSettings) -> None:
    """Raises ConfigError: what the cache needs by these settings is not installed."""
    if settings.is_used and settings.store == "sqlite":
        Sealer()


class Answers:
    """Finds and keeps answers; belongs to one event loop."""

    def __init__(self, settings: CacheSettings, directory: Path) -> None:
        """Raises ConfigError: the extra `cache` is needed and not installed."""
        self._settings = settings
        self._memory = Memory(settings.memory_bytes_max)
        self._disk: _Disk | None = None
        if settings.store == "sqlite":
            self._disk = _opened(cache_file(directory), Sealer())
            if self._disk is None:  # what can't be purged from outside is not served
                self._memory = Memory(0)
        self.vault = open_vault(settings, directory)
        self._vault_version = self.vault.version
        self._purged = self._disk.answers.last_purge() if self._disk else 0
        self._looked_us = 0
        self._purged_us = 0  # when this worker last saw that something was purged
        self._hits: dict[bytes, list[int]] = {}
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._kept = 0  # answers and bytes since it was last tidied
        self._kept_bytes = 0
        self._tidied_us = 0
        self._writing: asyncio.TimerHandle | None = None

    @property
    def entry_bytes_max(self) -> int:
        """The size of the largest answer that is kept."""
        return self._settings.entry_bytes_max

    def find(self, asked: Asked, now_us: int) -> Found | None:
        """The answer to give, if there is one that has not aged too far for the caller."""
        prints, keys = asked.prints, asked.keys
        if prints is None or keys is None:
            return None
        self._look_round(now_us)
        found = self._find(prints, keys, now_us, is_plain=not asked.directives.is_exact_only)
        if found is None:
            return None
        return None if asked.is_too_old(found.answer.stored.created_us, now_us) else found

    def find_key(self, key: bytes, keys: TenantKeys, now_us: int) -> AtHand | None:
        """The answer that stands under a key."""
        self._look_round(now_us)
        answer = self._memory.find(key, now_us)
        return answer or self._load(key, keys, now_us)

    async def quarantine(self, call_id: str, keys: TenantKeys, now_us: int) -> None:
        """Never again serve what a call answered, however it is asked for; it is written by then.

        It doesn't wait behind other writes, which are dropped where too many wait: an answer that
        is still to be stored finds the purge in the file.

        Raises:
            CacheStoreError: the file can't be written; others may still serve the answer.
        """
        self._let_go(now_us)
        if self._disk is None:
            return
        purge = Purge(at_us=now_us, tenant=keys.tenant_mark, mark=keys.mark("call", call_id))
        await asyncio.to_thread(_purge, self._disk.path, purge)
        self._let_go(now_us)  # what was read from the file meanwhile

    def write(self, write: Write) -> None:
        """Have something written beside the answers, behind the calls; not where all is memory."""
        if self._disk is not None:
            self._disk.writer.put(write)

    def keep(self, asked: Asked, stored: Stored, started_us: int) -> None:
        """Store an answer to a call that began at `started_us`."""
        prints, keys = asked.prints, asked.keys
        if prints is None or keys is None or stored.size > self._settings.entry_bytes_max:
            return
        if started_us > self._purged_us:  # else the file knows whether the purge was meant for it
            self._memory.keep(prints.key, AtHand(stored, prints.plain_key))
        disk = self._disk
        if disk is None:
            return
        sealer = disk.sealer

        def make() -> Kept:
            return Kept(
                key=prints.key,
                plain_key=prints.plain_key,
                tenant=keys.tenant_mark,
                feature=asked.feature,
                started_us=started_us,
                created_us=stored.created_us,
                expires_us=stored.expires_us,
                payload=sealer.seal(keys.payload_key, encode_stored(stored), prints.key),
                marks=asked.marks,
            )

        disk.writer.put(Keep(make))
        self._kept += 1
        self._kept_bytes += stored.size
        is_much = self._kept_bytes * _TIDY_SHARE >= self._settings.disk_bytes_max
        if is_much or self._kept >= _TIDY_EVERY:
            self._tidy(stored.created_us)

    def expires_us(self, key: bytes, ttl_s: int, now_us: int) -> int:
        """When an answer expires: after its time to live, give or take a tenth by its key."""
        ttl_us = ttl_s * 1_000_000
        share = int.from_bytes(key[:4], "big") / 2**32  # even over keys
        return now_us + ttl_us - int(ttl_us * _JITTER / 100 * share)

    def used(self, key: bytes, now_us: int) -> None:
        """Count a hit."""
        hit = self._hits.setdefault(key, [0, now_us])
        hit[0] += 1
        hit[1] = now_us

    def count(self, feature: str, result: str, reason: str, now_us: int) -> None:
        """Count a look-up; reasons must be few."""
        day = datetime.fromtimestamp(now_us / 1_000_000, UTC).date().isoformat()
        self._counts[day, feature, result, reason] += 1
        if self._writing is None and self._disk is not None:
            loop = asyncio.get_running_loop()
            self._writing = loop.call_later(_LOOK_US / 1_000_000, self._write_counts)

    def flush(self) -> None:
        """Return when all that is counted and kept has been written."""
        self._write_counts()
        if self._disk is not None:
            self._disk.writer.flush()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._write_counts()
        if self._disk is not None:
            self._disk.writer.close()
            self._disk.answers.close()

    def _find(
        self, prints: Prints, keys: TenantKeys, now_us: int, *, is_plain: bool
    ) -> Found | None:
        answer = self._memory.find(prints.key, now_us)
        if answer is not None:
            return Found(answer, is_same_text=True)
        plain_key = prints.plain_key if is_plain else b""
        if plain_key and (key := self._memory.key_of(plain_key)) is not None:
            answer = self._memory.find(key, now_us)
            if answer is not None:
                return Found(answer, is_same_text=False)
        answer = self._load(prints.key, keys, now_us, plain_key)
        return None if answer is None else Found(answer, is_same_text=not answer.plain_key)

    def _load(
        self, key: bytes, keys: TenantKeys, now_us: int, plain_key: bytes = b""
    ) -> AtHand | None:
        """The answer from disk, then at hand; with its alias, if that is how it was found."""
        disk = self._disk
        if disk is None:
            return None
        try:
            row = disk.answers.find(key, now_us, plain_key=plain_key)
            if row is None:
                return None
            place, sealed = row
            plain = disk.sealer.open(keys.payload_key, sealed, place)
            answer = AtHand(decode_stored(plain), plain_key if place != key else b"")
        except (CacheStoreError, BadSeal, msgspec.DecodeError) as error:
            _LOG.warning("a stored answer was not used: %s", error)
            return None
        self._memory.keep(place, answer)
        return answer

    def _look_round(self, now_us: int) -> None:
        """See once a second what others changed; at once where the clock was set back."""
        if self._looked_us <= now_us < self._looked_us + _LOOK_US:
            return
        self._looked_us = now_us
        if not self._tidied_us <= now_us < self._tidied_us + _TIDY_US:
            self._tidy(now_us)
        if self._disk is not None:
            try:
                purged = self._disk.answers.last_purge()
            except CacheStoreError:
                purged = -1  # serve nothing that may have been purged
            if purged != self._purged or purged < 0:
                self._purged = purged
                self._let_go(now_us)
        if self.vault.version != self._vault_version:
            self._vault_version = self.vault.version
            self._let_go(now_us)

    def _tidy(self, now_us: int) -> None:
        """Have what has expired, and what is too much, taken from the disk."""
        bytes_max = self._settings.disk_bytes_max
        self._kept = self._kept_bytes = 0
        self._tidied_us = now_us
        self.write(lambda answers: answers.tidy(now_us, bytes_max))

    def _let_go(self, now_us: int) -> None:
        """Have nothing at hand that was there, or is under way, when something was purged."""
        self._memory.clear()
        self._purged_us = now_us

    def _write_counts(self) -> None:
        """Write down what was counted."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._disk is None:
            return
        hits = [(key, count, used_us) for key, (count, used_us) in self._hits.items()]
        counts = [(*where, count) for where, count in self._counts.items()]
        self._hits.clear()
        self._counts.clear()
        if hits:
            self._disk.writer.put(lambda answers: answers.used(hits))
        if counts:
            self._disk.writer.put(lambda answers: answers.count(counts))


def _opened(path: Path, sealer: Sealer) -> _Disk | None:
    try:
        return _Disk(path, SqliteAnswers(path, busy_ms=0), Writer(path), sealer)
    except CacheStoreError as error:
        _LOG.error("%s", error)
        return None


def _purge(path: Path, purge: Purge) -> None:
    opened = contextlib.closing(SqliteAnswers(path, busy_ms=_PURGE_MS))
    with opened as answers, answers.transaction():
        answers.purge(purge)


def open_vault(settings: CacheSettings, directory: Path) -> Vault:
    """The tenants' secrets, where the answers are."""
    return Vault(directory / _VAULT if settings.store == "sqlite" else None)
