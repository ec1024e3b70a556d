"""Packed bytes and their plain form: gzip, zlib and zstd, unpacked within a bound.

A few kilobytes can unpack to gigabytes, so there is always a limit. zstd is part of
Python from 3.14 on; before that it needs the extra `farthing[zstd]`.
Source: RFC 1952 (gzip members may follow each other), RFC 8878 (so may zstd frames), RFC 9659
(over HTTP a zstd window is at most 8 MB).
"""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Final

__all__ = ["HTTP_WINDOW_LOG", "BrokenOff", "NoZstd", "TooLong", "gunzip", "unpacked", "unzstd"]

HTTP_WINDOW_LOG: Final = 23
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_FILE_WINDOW_LOG: Final = 27
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
    plain = b""
    while True:
        inflater = zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, by its header
        try:
            plain += inflater.decompress(data, bytes_max - len(plain) + 1)
        except zlib.error as error:
            raise BrokenOff(str(error)) from error
        if len(plain) > bytes_max:
            raise TooLong(f"over {bytes_max} bytes once unpacked")
        if not inflater.eof:
            raise BrokenOff("the data breaks off")
        data = inflater.unused_data
        if not data:
            return plain


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
    plain = b""
    while True:
        frame = zstd.ZstdDecompressor(options=options)
        try:
            plain += frame.decompress(data, bytes_max - len(plain) + 1)
        except zstd.ZstdError as error:
            raise BrokenOff(str(error)) from error
        if len(plain) > bytes_max:
            raise TooLong(f"over {bytes_max} bytes once unpacked")
        if not frame.eof:
            raise BrokenOff("the data breaks off")
        data = frame.unused_data
        if not data:
            return plain


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
