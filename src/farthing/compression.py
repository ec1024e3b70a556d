"""Packed bytes and their plain form: gzip, zlib and zstd, unpacked within a bound.

A few kilobytes can unpack to gigabytes, so there is always a limit. zstd is part of
Python from 3.14 on; before that it needs the extra `farthing[zstd]`.
Source: RFC 1952 (gzip members may follow each other), RFC 8878 (so may zstd frames), RFC 9659
(over HTTP a zstd window is at most 8 MB).
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

__all__ = ["HTTP_WINDOW_LOG", "BrokenOff", "NoZstd", "TooLong", "gunzip", "unpacked", "unzstd"]

HTTP_WINDOW_LOG: Final = 23
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_FILE_WINDOW_LOG: Final = 27
_CHUNK_BYTES: Final = 16_384
_FILE_BYTES_MOST: Final = 16 << 30
_MODULES: Final = ("compression.zstd", "backports.zstd")


class BrokenOff(ValueError):
    """The data is not whole, or not of its kind."""


class TooLong(ValueError):
    """There is more in it than was allowed."""


class NoZstd(ValueError):
    """Nothing that unpacks zstd is installed."""


def unpacked(data: bytes, bytes_max: int = _FILE_BYTES_MOST) -> bytes:
    """A file's bytes, unpacked if they are gzip or zstd, which their first bytes tell.

    Raises:
        BrokenOff, TooLong, NoZstd: as below.
    """
    if data.startswith(_GZIP):
        return gunzip(data, bytes_max)
    return unzstd(data, bytes_max) if data.startswith(_ZSTD) else data


def gunzip(data: bytes, bytes_max: int) -> bytes:
    """Unpack gzip (all its members) or zlib data to at most `bytes_max` bytes.

    Raises:
        BrokenOff: the data is broken or cut, or something else follows it.
        TooLong: there is more in it than `bytes_max`.
    """
    # 32 + 15: gzip or zlib, by its header
    return _joined(data, bytes_max, partial(zlib.decompressobj, wbits=47), zlib.error)


def unzstd(data: bytes, bytes_max: int, *, window_log_most: int = _FILE_WINDOW_LOG) -> bytes:
    """Unpack zstd data (all its frames) to at most `bytes_max` bytes.

    Raises:
        BrokenOff: the data is broken or cut, wants a window of more than 2**`window_log_most`
            bytes, or something else follows it.
        TooLong: there is more in it than `bytes_max`.
        NoZstd: no module for it is installed.
    """
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: window_log_most}
    begin = partial(zstd.ZstdDecompressor, options=options)
    return _joined(data, bytes_max, begin, zstd.ZstdError)


def _joined(data: bytes, bytes_max: int, begin: Callable[[], Any], fault: type[Exception]) -> bytes:
    """All members of `data`, each unpacked by a decompressor of its own.

    They are read a chunk at a time, for what is left behind a member is copied: of a whole body made
    of empty members that would be its square.
    """
    packed = memoryview(data)
    pieces: list[bytes] = []
    room, place = bytes_max, 0
    while True:
        member = begin()
        while not member.eof:
            chunk = packed[place : place + _CHUNK_BYTES]
            if not chunk:
                raise BrokenOff("the data breaks off")
            try:
                piece = member.decompress(chunk, room + 1)
            except fault as error:
                raise BrokenOff(str(error)) from error
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise TooLong(f"over {bytes_max} bytes once unpacked")
            place += len(chunk) - len(member.unused_data)
        if place == len(packed):
            return b"".join(pieces)


def _zstd() -> Any:
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise NoZstd(
        "It is packed with zstd, which Python reads from 3.14 on. On an older one install the "
        "extra (pip install 'farthing[zstd]'), or pack it with gzip."
    )
