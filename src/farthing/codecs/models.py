"""The list of models in the shapes of the two protocols.

Source: the types of openai 3.54.0, model.py, and of anthropic 2.12.0, model_info.py
(read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

__all__ = ["add_models", "keep_models", "write_models"]

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"  # Anthropic's own value for a date it does not know


def write_models(protocol: Literal["openai", "anthropic"], ids: Sequence[str]) -> bytes:
    """The body of GET /v1/models: every model on one page."""
    if protocol == "openai":
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "farthing"} for name in ids
        ]
        return msgspec.json.encode({"object": "list", "data": data})
    return msgspec.json.encode(
        {
            "data": [
                {
                    "type": "model",
                    "id": name,
                    "display_name": name,
                    "created_at": _UNKNOWN_DATE,
                }
                for name in ids
            ],
            "has_more": False,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }
    )


class _Listed(msgspec.Struct):
    data: list[msgspec.Raw]


class _Named(msgspec.Struct):
    id: str


def add_models(protocol: Literal["openai", "anthropic"], body: bytes, ids: Sequence[str]) -> bytes:
    """A provider's list with these models before its own; a list we can't read stays as it is."""
    try:
        document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        theirs = msgspec.json.decode(document["data"], type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return body
    ours = msgspec.json.decode(write_models(protocol, ids), type=_Listed).data
    document["data"] = msgspec.Raw(msgspec.json.encode([*ours, *theirs]))
    if "first_id" in document and ids:
        document["first_id"] = msgspec.Raw(msgspec.json.encode(ids[0]))
    return msgspec.json.encode(document)


def keep_models(body: bytes, is_kept: Callable[[str], bool]) -> bytes:
    """A provider's list with the models that are kept, as they stand; one we can't read: none."""
    try:
        document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        theirs = msgspec.json.decode(document["data"], type=list[msgspec.Raw])
        kept = [(name, model) for model in theirs if is_kept(name := _named(model))]
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, KeyError):
        return msgspec.json.encode({"object": "list", "data": []})
    document["data"] = msgspec.Raw(msgspec.json.encode([model for _, model in kept]))
    for member, place in (("first_id", 0), ("last_id", -1)):
        if member in document:
            told = kept[place][0] if kept else None
            document[member] = msgspec.Raw(msgspec.json.encode(told))
    return msgspec.json.encode(document)


def _named(model: msgspec.Raw) -> str:
    return msgspec.json.decode(model, type=_Named).id
