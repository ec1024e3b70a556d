"""Farthing keeps an LLM bill honest: one exact ledger under a gateway, a library and analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farthing.library import Farthing

__all__ = ["Farthing", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the library on first use, so that `farthing --help` and the values stay light."""
    if name == "Farthing":
        from farthing.library import Farthing  # noqa: PLC0415 - on first use

        return Farthing
    raise AttributeError(f"module 'farthing' has no attribute {name!r}")
