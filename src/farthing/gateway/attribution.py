"""Whom a call is for: read from headers, then the body, then the key's and our defaults.

What nobody says stays empty, and is reported as `unattributed`. The tenant comes from the key
alone, so that no caller can book on another's account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from farthing.call import UNATTRIBUTED, Attribution
from farthing.gateway.headers import text
from farthing.gateway.keyring import VirtualKey

__all__ = ["Attributor"]

# Our own names first; then those of other products, so that a switch needs no new headers.
_HEADERS = MappingProxyType(
    {
        b"x-farthing-feature": "feature",
        b"x-farthing-user": "user",
        b"x-farthing-session": "session",
        b"x-farthing-trace": "trace",
        b"x-farthing-step": "step",
        b"x-farthing-env": "environment",
        b"x-farthing-tags": "tags",
        b"helicone-property-feature": "feature",
        b"helicone-property-environment": "environment",
        b"helicone-user-id": "user",
        b"helicone-session-id": "session",
        b"x-cost-feature": "feature",
        b"x-cost-user": "user",
        b"x-cost-session": "session",
        b"x-cost-env": "environment",
        b"traceparent": "traceparent",
    }
)
_NAMES = _HEADERS.keys()
_OWN = b"x-farthing-"
_BODY_NAMES = MappingProxyType(
    {
        "feature": "feature",
        "user": "user",
        "user_id": "user",
        "session": "session",
        "session_id": "session",
        "trace": "trace",
        "trace_id": "trace",
        "step": "step",
        "env": "environment",
        "environment": "environment",
    }
)
_LENGTH_MAX = 256  # characters kept of any one value
_TAGS_MAX = 32
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Attributor:
    """Attributes the calls of one caller, whose headers and key stay the same."""

    __slots__ = ("_defaults", "_nothing_more", "_said", "_tags")

    def __init__(
        self, headers: Mapping[bytes, bytes], key: VirtualKey | None, environment: str
    ) -> None:
        """`headers` by lower-case name; `environment` is the gateway's default."""
        said = _from_headers(headers)
        tags = _tags(said.pop("tags")) if "tags" in said else {}
        defaults: dict[str, str] = {}
        trace = _TRACEPARENT.match(said.pop("traceparent", ""))  # W3C Trace Context
        if trace is not None:
            defaults["trace"] = trace[1]
        if key is not None:
            said["tenant"] = key.tenant
            own = {"feature": key.feature, "user": key.user, "environment": key.environment}
            defaults |= {name: value for name, value in own.items() if value}
            tags |= key.tags  # what the key says of itself can't be overwritten
        defaults.setdefault("environment", environment)
        self._said = said
        self._defaults = defaults
        self._tags = tags
        self._nothing_more = Attribution(tags=tags, **{**defaults, **said})

    def attribute(self, body: Mapping[str, str], user: str) -> Attribution:
        """The attribution of one call.

        `body` is the request's metadata (names with or without the prefix `farthing_`), `user` the
        protocol's own user field. Headers come first, then these two, then the key.
        """
        if not body and (not user or "user" in self._said):
            return self._nothing_more
        found = dict(self._said)
        tags = self._tags
        for name, value in body.items():
            meant = name.removeprefix("farthing_")
            field = _BODY_NAMES.get(meant)
            if field is not None and (named := _value(value)):
                found.setdefault(field, named)
            elif meant == "tags":
                tags = _tags(value) | tags  # headers and the key come first
        if user := _value(user):
            found.setdefault("user", user)
        return Attribution(tags=tags, **{**self._defaults, **found})


def _from_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What headers say, ours over those of other products."""
    own: dict[str, str] = {}
    foreign: dict[str, str] | None = None
    for name in _NAMES & headers.keys():
        field = _HEADERS[name]
        value = text(headers[name])
        if field != "tags":
            value = _value(value)
        if not value:
            continue
        if name.startswith(_OWN):
            own[field] = value
        else:
            foreign = foreign or {}
            foreign[field] = value
    return {**foreign, **own} if foreign else own


def _value(said: str) -> str:
    """What is kept of a value; a caller that says `unattributed` has named nothing."""
    kept = said[:_LENGTH_MAX].strip()
    return "" if kept == UNATTRIBUTED else kept


def _tags(written: str) -> dict[str, str]:
    """`k=v,k=v`; a part without `=` counts as a tag whose value is `true`."""
    parts = [part.strip() for part in written.split(",")]
    pairs = (part.partition("=") for part in parts if part.strip("=").strip())
    tags = {
        name.strip()[:_LENGTH_MAX]: value.strip()[:_LENGTH_MAX] if mark else "true"
        for name, mark, value in pairs
        if name.strip()
    }
    return dict(list(tags.items())[:_TAGS_MAX])
