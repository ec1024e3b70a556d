"""Who is calling: a virtual key where any exist, else anyone on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from farthing.errors import CallerError
from farthing.gateway.keyring import KeyRing, VirtualKey
from farthing.levers.routing.virtual import PREFIX

__all__ = ["BadKey", "Identity", "ModelNotAllowed", "check_model", "credential", "identify"]


class BadKey(CallerError):
    """No key, or one that we don't know."""

    code = "invalid_api_key"
    status = 401


class ModelNotAllowed(CallerError):
    """The key may not use this model."""

    code = "model_not_allowed"
    status = 403


class Identity(msgspec.Struct, frozen=True):
    """The caller's key; or, where no keys exist, the credential to pass on to the provider."""

    key: VirtualKey | None
    passed_on: bytes


_BEARER = b"bearer "
_KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")


def credential(headers: Mapping[bytes, bytes]) -> bytes:
    """The caller's credential, from whichever header its SDK puts it in; empty: none."""
    bearer = headers.get(b"authorization")
    if bearer is not None and bearer[:7].lower() == _BEARER:
        return bearer[7:].strip()
    for name in _KEY_HEADERS:
        if name in headers:
            return headers[name].strip()
    return b""


def identify(headers: Mapping[bytes, bytes], ring: KeyRing) -> Identity:
    """The caller.

    Raises:
        BadKey: keys exist, and this is none of them.
    """
    given = credential(headers)
    if ring.is_door_open:
        return Identity(None, given)
    key = ring.find(given)
    if key is None:
        raise BadKey(
            "No valid Farthing key came with this request. Nothing was sent and nothing was "
            "charged. Send a key made by `farthing keys create` as the API key."
        )
    return Identity(key, b"")


def is_allowed(key: VirtualKey, model: str) -> bool:
    """Whether `key` may ask for `model`."""
    if not key.models or model.startswith(PREFIX):
        return True  # which models of its pool a virtual model may lead to, routing looks at
    return any(fnmatchcase(model, pattern) for pattern in key.models)


def check_model(key: VirtualKey | None, model: str) -> None:
    """Raises ModelNotAllowed: `key` lists the models it may use, and `model` is not among them."""
    if key is not None and not is_allowed(key, model):
        raise ModelNotAllowed(
            f"The key {key.id} may use {', '.join(key.models)}, not {model!r}. Nothing was sent "
            "and nothing was charged. Ask for another model, or for a key that allows it."
        )
