"""Embedders: text in, unit vectors out, behind one interface.

`minilm` is packaged (the `semantic` extra); `none` leaves the cache exact and canonical only; any
other embedder is a `SuppliedEmbedder` around a function of the user's: a hosted model, a
multilingual one, a table. Scores of different embedders are not comparable, so everything learnt
or certified is bound to an embedder's `identity`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from farthing.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


__all__ = ["Embedder", "MissingExtra", "SuppliedEmbedder", "load_embedder", "need_numpy"]


class MissingExtra(ConfigError):
    """What was asked for needs packages that are not installed; the text says which."""

    code = "missing_extra"

    def __init__(self, need: str) -> None:
        super().__init__(
            f"{need} needs packages that are not installed. Exact and canonical caching work "
            "without them. Install them: pip install 'farthing[semantic]'"
        )


class Embedder(Protocol):
    """Turns texts into unit vectors. Blocks: call it off the event loop."""

    @property
    def identity(self) -> str:
        """Changes whenever its vectors may: name, version, hash of the weights."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of its vectors."""
        ...

    @property
    def is_english_only(self) -> bool:
        """Whether other languages are beyond it."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One unit row a text, float32, shape (texts, dimensions)."""
        ...


class SuppliedEmbedder:
    """An embedder around a function that the user supplies.

    `identity` is the user's to change with the model. Rows are scaled to unit length here.

    Raises (from `embed`):
        ConfigError: the function gave rows of another count or length, or a row without a
            direction (all zeros, or not finite), which would match everything or nothing.
    """

    def __init__(
        self,
        function: Callable[[Sequence[str]], Any],
        *,
        identity: str,
        dimensions: int,
        is_english_only: bool = False,
    ) -> None:
        self._function = function
        self.identity = identity
        self.dimensions = dimensions
        self.is_english_only = is_english_only

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The function's rows at unit length, checked."""
        numpy = need_numpy("Comparing vectors")
        rows = numpy.asarray(self._function(texts), dtype=numpy.float32)
        wanted = (len(texts), self.dimensions)
        if rows.shape != wanted:
            raise ConfigError(
                f"The embedder {self.identity!r} gave vectors of shape {rows.shape}, not {wanted}. "
                "Nothing was looked up or stored. Set its dimensions to what it gives."
            )
        lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
        if not numpy.isfinite(lengths).all() or (lengths == 0).any():
            raise ConfigError(
                f"The embedder {self.identity!r} gave a vector of zeros, or one that is not "
                "finite. Nothing was looked up or stored. Mend the embedder."
            )
        return rows / lengths


def need_numpy(need: str) -> Any:
    """The numpy module. Raises MissingExtra where it is not installed."""
    try:
        return importlib.import_module("numpy")
    except ModuleNotFoundError as error:
        raise MissingExtra(need) from error


def load_embedder(name: str, *, threads: int = 1) -> Embedder | None:
    """The embedder of this name: `minilm`, or None for `none`.

    Raises:
        MissingExtra: its packages are not installed.
        ConfigError: there is no embedder of this name.
    """
    if name == "none":
        return None
    if name != "minilm":
        raise ConfigError(f"There is no embedder {name!r}. Known are: minilm, none.")
    minilm = importlib.import_module("farthing.levers.cache.semantic.minilm")
    embedder: Embedder = minilm.MiniLm(threads=threads)
    return embedder
