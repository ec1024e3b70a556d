"""Embeddings: a unit vector for each input, the same for the same text, model and seed.

Source: https://platform.openai.com/docs/api-reference/embeddings (read 2026-11-24).
"""

from __future__ import annotations

import math
from array import array
from base64 import b64encode
from hashlib import shake_128
from typing import Any, Final, cast

import msgspec

from farthing.sim.openai.request import EmbeddingsRequest
from farthing.sim.refused import Refused
from farthing.sim.tokens import count_tokens

__all__ = ["embeddings", "inputs_of"]

_INPUTS_MOST: Final = 2048
_DIMENSIONS: Final = (("text-embedding-3-large", 3072), ("text-embedding-3-small", 1536))
_DIMENSIONS_OTHERWISE: Final = 1536


def inputs_of(request: EmbeddingsRequest) -> list[tuple[bytes, int]]:
    """Each input's content and its tokens; inputs are texts or lists of token numbers.

    Raises:
        Refused: no input, an empty one, or too many.
    """
    given = request.input
    if isinstance(given, str):
        items: list[Any] = [given]
    elif given and all(isinstance(item, int) for item in given):
        items = [given]
    else:
        items = given
    if not items or any(item == "" for item in items):
        raise Refused(400, "Invalid 'input': input cannot be an empty string.", param="input")
    if len(items) > _INPUTS_MOST:
        raise Refused(
            400,
            f"Invalid 'input': array too long. Expected an array with maximum length "
            f"{_INPUTS_MOST}, but got an array with length {len(items)} instead.",
            code="array_above_max_length",
            param="input",
        )
    found: list[tuple[bytes, int]] = []
    for item in items:
        if isinstance(item, str):
            found.append((item.encode(), count_tokens(item)))
        elif isinstance(item, list):
            tokens = cast("list[Any]", item)
            found.append((msgspec.json.encode(tokens), len(tokens)))
        else:
            raise Refused(
                400,
                "'$.input' is invalid. Please check the API reference: "
                "https://platform.openai.com/docs/api-reference.",
            )
    return found


def embeddings(
    request: EmbeddingsRequest, inputs: list[tuple[bytes, int]], seed: int, tokens: int | None
) -> dict[str, Any]:
    """The whole answer; `tokens` overrules the counted ones."""
    size = request.dimensions or dict(_DIMENSIONS).get(request.model, _DIMENSIONS_OTHERWISE)
    is_base64 = request.encoding_format == "base64"
    data: list[dict[str, Any]] = []
    for index, (content, _) in enumerate(inputs):
        vector = _vector(b"%d\0%b\0%b" % (seed, request.model.encode(), content), size)
        shown = b64encode(vector.tobytes()).decode() if is_base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    counted = sum(count for _, count in inputs) if tokens is None else tokens
    return {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def _vector(key: bytes, size: int) -> array[float]:
    drawn = array("h")
    drawn.frombytes(shake_128(key).digest(2 * size))
    length = math.sqrt(sum(value * value for value in drawn)) or 1.0
    return array("f", [value / length for value in drawn])
