"""A static embedder: the mean of the words' vectors, from the PyPI package wordllama (MIT).

Vectors of 256 dimensions in well below a millisecond, where the packaged model takes several. What
stands next to what is lost on them, so they tell like questions apart less well; they are made for
learned scores of routing. The weights (16.4 MB) and the tokeniser are in the package; both are
checked against their hashes, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from farthing.errors import ConfigError
from farthing.levers.cache.semantic.embedder import SuppliedEmbedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["WordLlama"]

_FILES: Final = {
    "weights/l2_supercat_256.safetensors": (
        "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
    ),
    "tokenizers/l2_supercat_tokenizer_config.json": (
        "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"
    ),
}


class WordLlama:
    """Vectors of 256 dimensions, mostly for English; 0.1 to 0.6 ms a prompt on one core.

    Raises:
        ModuleNotFoundError: the package is not installed.
        ConfigError: the installed weights are not the ones this release was measured with.
    """

    identity = "wordllama-l2-supercat-256/" + "/".join(mark[:8] for mark in _FILES.values())
    dimensions = 256
    is_english_only = True

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` holds the weights and the tokeniser; None: they are the package's."""
        package: Any = importlib.import_module("wordllama")
        folder = folder or Path(package.__file__).parent
        for name, mark in _FILES.items():
            path = folder / name
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != mark:
                raise ConfigError(
                    f"{path} is not the file that scores were measured with. Nothing was loaded. "
                    "Install wordllama==0.4.0.post1."
                )
        model: Any = package.WordLlama.load(
            config="l2_supercat", dim=self.dimensions, cache_dir=folder, disable_download=True
        )
        self._supplied = SuppliedEmbedder(
            model.embed, identity=self.identity, dimensions=self.dimensions
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, in the order of `texts`.

        Raises:
            ConfigError: a text is empty, and so has no vector.
        """
        return self._supplied.embed(list(texts))
