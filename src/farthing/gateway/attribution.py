"""Whom a call is for: read from headers, then the body, then the key's and our defaults.

What nobody says stays empty, and is reported as `unattributed`. The tenant comes from the key
alone, so that no caller can book on another's account.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from farthing.call import Attribution
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
        parts = said.pop("traceparent", "").split("-")
        if len(parts) == 4:  # W3C Trace Context: version-traceid-parent-flags
            defaults["trace"] = parts[1]
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
        for name, value in body.items():
            field = _BODY_NAMES.get(name.removeprefix("farthing_"))
            if field is not None and value:
                found.setdefault(field, value[:_LENGTH_MAX])
        if user:
            found.setdefault("user", user[:_LENGTH_MAX])
        return Attribution(tags=self._tags, **{**self._defaults, **found})


def _from_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What headers say, ours over those of other products."""
    own: dict[str, str] = {}
    foreign: dict[str, str] | None = None
    for name in _NAMES & headers.keys():
        value = headers[name]
        if not value:
            continue
        if name.startswith(_OWN):
            own[_HEADERS[name]] = text(value)[:_LENGTH_MAX]
        else:
            foreign = foreign or {}
            foreign[_HEADERS[name]] = text(value)[:_LENGTH_MAX]
    return {**foreign, **own} if foreign else own


def _tags(written: str) -> dict[str, str]:
    """`k=v,k=v`; a part without `=` counts as a tag whose value is `true`."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    pairs = (part.partition("=") for part in parts[:_TAGS_MAX])
    return {name.strip(): value.strip() if mark else "true" for name, mark, value in pairs}
