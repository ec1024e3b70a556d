"""Who may share an answer: each tenant has a secret of its own, and all else follows from it.

The secret names the tenant's scopes, so that nobody can tell or forge another's; it encrypts the
tenant's answers; and when it is destroyed, both are gone for good, in backups too (crypto-
shredding).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from farthing.errors import CallerError

__all__ = ["NoSuchTenant", "TenantKeys", "Vault"]

_SECRET_BYTES: Final = 32
_BLOCK_BYTES: Final = 64  # of SHA-256
_CHECK_US: Final = 1_000_000


class NoSuchTenant(CallerError):
    """Nothing is kept for that tenant."""

    code = "unknown_tenant"
    status = 404


class TenantKeys:
    """What follows from a tenant's secret. `tenant_mark` stands for the tenant where names must not.

    `payload_key` is the key that its answers are encrypted with.
    """

    __slots__ = ("_inner", "_outer", "payload_key", "secret", "tenant", "tenant_mark")

    def __init__(self, *, tenant: str, secret: bytes) -> None:
        self.tenant = tenant
        self.secret = secret
        block = hashlib.sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret
        padded = block.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self.tenant_mark = self._derive("tenant")[:16]
        self.payload_key = self._derive("payload")

    def __repr__(self) -> str:
        return f"TenantKeys(tenant={self.tenant!r}, secret=***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TenantKeys) and self._named == other._named

    def __hash__(self) -> int:
        return hash(self._named)

    @property
    def _named(self) -> tuple[str, bytes]:
        return self.tenant, self.secret

    def scope(self, *parts: str) -> bytes:
        """The name of the scope that `parts` describe; unlike any other's."""
        return self._derive("scope", *parts)

    def mark(self, kind: str, value: str) -> bytes:
        """What stands for a user, a tag or a document of this tenant."""
        return self._derive("mark", kind, value)[:16]

    def _derive(self, *parts: str) -> bytes:
        """HMAC-SHA256 (RFC 2104) of the parts; what depends on the secret alone was hashed before."""
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        inner, outer = self._inner.copy(), self._outer.copy()
        # No part runs over into the next.
        inner.update(b"".join(b"%d:%b" % (len(part), part) for part in encoded))
        outer.update(inner.digest())
        return outer.digest()


class _Kept(msgspec.Struct):
    tenant: str
    secret: bytes


class Vault:
    """The tenants' secrets: a file each, or in memory where no folder is given."""

    def __init__(self, folder: Path | None, random: Callable[[int], bytes] = os.urandom) -> None:
        self._folder = folder
        self._random = random
        self._known: dict[str, tuple[TenantKeys, int]] = {}
        self.version = 0  # another one whenever a secret may have changed
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keys(self, tenant: str, now_us: int) -> TenantKeys:
        """The tenant's keys, made where it has none; looks at most once a second for changes.

        Raises:
            OSError: they can't be read or made.
        """
        known = self._known.get(tenant)
        if known is not None and known[1] <= now_us < known[1] + _CHECK_US:
            return known[0]
        keys = self._read(tenant) if self._folder else known and known[0]
        keys = keys or self._made(tenant)
        if known is not None and known[0] != keys:
            self.version += 1
        self._known[tenant] = (keys, now_us)
        return keys

    def tenants(self) -> list[TenantKeys]:
        """All tenants that have a secret."""
        if self._folder is None:
            return [keys for keys, _ in self._known.values()]
        found = (_load(path) for path in sorted(self._folder.glob("*.key")))
        return [keys for keys in found if keys is not None]

    def forget(self, tenant: str) -> TenantKeys:
        """Destroy a tenant's secret: what was encrypted with it can't be read again by anybody.

        Raises:
            NoSuchTenant: it has none.
        """
        keys = self._read(tenant) if self._folder else None
        if keys is None:
            raise NoSuchTenant(
                f"No answers are kept for a tenant {tenant!r}. Nothing was changed. "
                "`farthing cache stats` lists the tenants."
            )
        path = self._path(tenant)
        with path.open("r+b") as file:
            file.write(self._random(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        self._known.pop(tenant, None)
        self.version += 1
        return keys

    def _path(self, tenant: str) -> Path:
        assert self._folder is not None  # noqa: S101 - the callers looked
        name = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._folder / f"{name}.key"

    def _read(self, tenant: str) -> TenantKeys | None:
        return _load(self._path(tenant))

    def _made(self, tenant: str) -> TenantKeys:
        keys = TenantKeys(tenant=tenant, secret=self._random(_SECRET_BYTES))
        if self._folder is None:
            return keys
        path = self._path(tenant)
        temporary = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Kept(tenant, keys.secret)))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)  # of two workers, one makes it
        except FileExistsError:
            return self._read(tenant) or keys
        finally:
            temporary.unlink()
        return keys


def _load(path: Path) -> TenantKeys | None:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return TenantKeys(tenant=kept.tenant, secret=kept.secret)
