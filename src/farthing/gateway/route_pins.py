"""Who served a session or a tool loop last, known to all workers of a gateway at once.

A loop's next step may come to another worker within milliseconds, so that pins stand in a table of
memory that the workers share: a file of fixed size, mapped by each of them. A look into it is a copy
of 32 bytes. A slot that two pins fall to keeps the later one; one that is torn by a writer at the
same moment does not pass its check, and counts as empty. It holds hashes and times, nothing of calls.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Pin", "Pins", "SharedPins", "shared_pins"]

_LOG = logging.getLogger("farthing")
_PINS_MAX: Final = 20_000
_SLOTS: Final = 1 << 15
_RECORD: Final = struct.Struct("<8s8sqI")  # key, model, when, prompt tokens
_CHECK: Final = struct.Struct("<I")
_BYTES: Final = _RECORD.size + _CHECK.size
_TOKENS_MAX: Final = (1 << 32) - 1

Key = tuple[str, ...]


class Pin(msgspec.Struct, frozen=True):
    """Who served a session or a tool loop last, when (monotonic), and how long its prompt was."""

    model: str
    at_us: int
    prompt_tokens: int


class SharedPins:
    """The table that the workers of one machine share."""

    def __init__(self, path: Path) -> None:
        """Open the table, made where it is not there.

        Raises:
            OSError: it can't be made or mapped.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _filled(descriptor, _SLOTS * _BYTES)
            self._table = mmap.mmap(descriptor, _SLOTS * _BYTES)
        finally:
            os.close(descriptor)

    def get(self, key: bytes) -> tuple[bytes, int, int] | None:
        """The model's hash, the time and the prompt's tokens; `key` is 8 bytes."""
        at = self._place(key)
        raw = self._table[at : at + _BYTES]
        told, check = raw[: _RECORD.size], raw[_RECORD.size :]
        if _CHECK.unpack(check)[0] != zlib.crc32(told):
            return None
        found, model, at_us, tokens = _RECORD.unpack(told)
        return (model, at_us, tokens) if found == key else None

    def put(self, key: bytes, model: bytes, at_us: int, tokens: int) -> None:
        """Write a pin over whatever stands in its slot."""
        told = _RECORD.pack(key, model, at_us, min(tokens, _TOKENS_MAX))
        at = self._place(key)
        self._table[at : at + _BYTES] = told + _CHECK.pack(zlib.crc32(told))

    @staticmethod
    def _place(key: bytes) -> int:
        return int.from_bytes(key, "little") % _SLOTS * _BYTES


class Pins:
    """The pins of one pool: those of this worker, and the later of theirs where some are shared."""

    def __init__(
        self, pool: str, models: Iterable[str], pin_s: int, shared: SharedPins | None
    ) -> None:
        self._pool = pool
        self._named = {_hash(model): model for model in models}
        self._pin_us = pin_s * 1_000_000
        self._shared = shared
        self._own: OrderedDict[Key, Pin] = OrderedDict()

    def get(self, key: Key, now_us: int) -> Pin | None:
        """Who served this last, if that is not too long ago."""
        if not key:
            return None
        pin = self._own.get(key)
        if self._shared is not None:
            there = self._shared.get(_hash(self._pool, *key))
            if there is not None and (pin is None or there[1] > pin.at_us):
                model = self._named.get(there[0])
                pin = pin if model is None else Pin(model, there[1], there[2])
        if pin is None or not 0 <= now_us - pin.at_us <= self._pin_us:
            return None  # a time to come is of a machine that has started again since
        return pin

    def put(self, key: Key, pin: Pin) -> None:
        """Remember who served."""
        self._own[key] = pin
        self._own.move_to_end(key)
        if len(self._own) > _PINS_MAX:
            self._own.popitem(last=False)
        if self._shared is not None:
            told = (_hash(pin.model), pin.at_us, pin.prompt_tokens)
            self._shared.put(_hash(self._pool, *key), *told)


def shared_pins(folder: Path) -> SharedPins | None:
    """The shared table in the folder `routing`; None where it can't be had, which is told."""
    try:
        return SharedPins(folder / "pins.map")
    except OSError:
        _LOG.exception("routing's pins are not shared: a loop may change its model between workers")
        return None


def _filled(descriptor: int, size: int) -> None:
    """Have room on the disk for the whole table: a full one must be an error now, not a signal."""
    there = os.fstat(descriptor).st_size
    while there < size:
        there += os.pwrite(descriptor, bytes(size - there), there)


def _hash(*parts: str) -> bytes:
    told = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=8).digest()
