"""Virtual keys: who is calling, kept as hashes in `keys.json` of the data folder.

A key is 192 random bits, so one SHA-256 hides it well; the key itself is shown once, when it is
made. Running gateways read the file again when it changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farthing.errors import CallerError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["KeyRing", "UnknownKey", "VirtualKey"]

_PREFIX = "fk-"
_FOUND_MAX = 10_000


class UnknownKey(CallerError):
    """No key with that id."""

    code = "unknown_key"
    status = 404


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A caller: its tenant, what its calls are attributed to by default, what it may use.

    `models`: shell patterns over the model names it may ask for; empty: all. `may_administer`: it
    may see and change budgets over HTTP.
    """

    id: str
    digest: str
    name: str = ""
    tenant: str = ""
    feature: str = ""
    user: str = ""
    environment: str = ""
    tags: dict[str, str] = {}
    models: tuple[str, ...] = ()
    created_us: int = 0
    may_administer: bool = False


class _File(msgspec.Struct, frozen=True, kw_only=True):
    keys: tuple[VirtualKey, ...] = ()


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


class KeyRing:
    """The keys of one data folder; `find` never touches the disk, `refresh` looks for changes.

    `is_local`: only this machine can reach the door that they open, so that without any key it
    stands open. Otherwise nobody comes in then, however the last key went.
    """

    def __init__(self, directory: Path, *, is_local: bool = True) -> None:
        self._is_local = is_local
        self._path = directory / "keys.json"
        self._stamp: tuple[int, int] = (0, 0)
        self.version = 0  # another one whenever the keys may be others
        self._by_digest: dict[str, VirtualKey] = {}
        self._found: dict[bytes, VirtualKey] = {}  # spares hashing the same key for each call
        self.refresh()

    @classmethod
    def open_door(cls) -> KeyRing:
        """A ring without keys, for an engine that only its own process can call."""
        return cls(Path(os.devnull))

    @property
    def is_empty(self) -> bool:
        """Whether no key exists."""
        return not self._by_digest

    @property
    def is_door_open(self) -> bool:
        """Whether nobody is asked for a key."""
        return self._is_local and not self._by_digest

    def keys(self) -> list[VirtualKey]:
        """All keys, oldest first."""
        return sorted(self._by_digest.values(), key=lambda key: key.created_us)

    def find(self, key: bytes) -> VirtualKey | None:
        """The caller that holds `key`, or None."""
        found = self._found.get(key)
        if found is None:
            found = self._by_digest.get(_digest(key))
            if found is not None and len(self._found) < _FOUND_MAX:
                self._found[key] = found
        return found

    def refresh(self) -> None:
        """Read the file again if it changed.

        Raises:
            ConfigError: the file is not readable as keys; the keys known before stay in force.
        """
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            if self._by_digest:
                self.version += 1
            self._by_digest, self._found, self._stamp = {}, {}, (0, 0)
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        self._by_digest = {key.digest: key for key in self._read().keys}
        self._found = {}
        self._stamp = stamp
        self.version += 1

    def create(
        self,
        key: VirtualKey,
        random_hex: Callable[[int], str] = secrets.token_hex,
    ) -> tuple[str, VirtualKey]:
        """Store a new key like `key` (its id and digest are made here); returns the secret too."""
        secret = _PREFIX + random_hex(24)
        made = msgspec.structs.replace(
            key, id="key_" + random_hex(4), digest=_digest(secret.encode())
        )
        with self._locked() as stored:
            self._write((*stored, made))
        self.refresh()
        return secret, made

    def revoke(self, key_id: str) -> VirtualKey:
        """Remove a key; running gateways refuse it within a second.

        Raises:
            UnknownKey: there is no such id; nothing was changed.
        """
        if not self._path.exists():
            raise UnknownKey(f"There is no key {key_id}, nor any other. Nothing was changed.")
        with self._locked() as stored:
            gone = next((key for key in stored if key.id == key_id), None)
            if gone is None:
                known = ", ".join(key.id for key in stored) or "none"
                raise UnknownKey(
                    f"There is no key {key_id}. Nothing was changed. Known ids: {known}."
                )
            self._write(tuple(key for key in stored if key.id != key_id))
        self.refresh()
        return gone

    def _read(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{self._path} can't be read as keys: {error}. The keys known before stay in "
                "force. Restore the file from a backup, or create the keys again."
            ) from error

    def _write(self, keys: tuple[VirtualKey, ...]) -> None:
        """Replace the file in one step, readable by its owner only."""
        temporary = self._path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(_File(keys=keys)), indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    @contextmanager
    def _locked(self) -> Generator[tuple[VirtualKey, ...]]:
        """The stored keys, while no other process may change them."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with (self._path.parent / "keys.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read().keys
