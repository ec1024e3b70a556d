"""zstd, wherever this Python has it."""

from __future__ import annotations

import importlib
import sys

__all__ = ["zstd"]

zstd = importlib.import_module(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
)
