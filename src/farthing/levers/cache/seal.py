"""Encrypts stored answers: AES-256-GCM under the tenant's key, bound to the place they stand in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from farthing.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["BadSeal", "Sealer"]

_NONCE_BYTES = 12


class BadSeal(ValueError):
    """The bytes were not sealed with this key at this place."""


class Sealer:
    """Seals and opens; one cipher a key is kept."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        """Raises ConfigError: the extra `cache` is not installed."""
        try:
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra
            from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigError(
                "The cache encrypts what it stores, and the package for that is not installed. "
                "Nothing was started. Install it with pip install 'farthing[cache]', or set "
                'cache.store = "memory".'
            ) from error
        self._cipher_of = aead.AESGCM
        self._invalid = InvalidTag
        self._random = random
        self._ciphers: dict[bytes, AESGCM] = {}

    def seal(self, key: bytes, plain: bytes, place: bytes) -> bytes:
        """`plain` encrypted; it opens only with the same key and at the same place."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._cipher(key).encrypt(nonce, plain, place)

    def open(self, key: bytes, sealed: bytes, place: bytes) -> bytes:
        """What was sealed.

        Raises:
            BadSeal: with another key, at another place, or something else.
        """
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher(key).decrypt(nonce, rest, place)
        except (self._invalid, ValueError) as error:
            raise BadSeal("The stored answer can't be decrypted.") from error

    def _cipher(self, key: bytes) -> AESGCM:
        cipher = self._ciphers.get(key)
        if cipher is None:
            if len(self._ciphers) >= 1000:
                self._ciphers.clear()
            cipher = self._ciphers[key] = self._cipher_of(key)
        return cipher
