"""Faults: the ways a provider fails, by name, as a header or a rule asks for them.

Written as `NAME; key=value; key=value`, for example `429; retry_after=2` or `cut; after=3`.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.sim.errors import BadSteering

__all__ = ["Fault", "FaultKind", "read_fault"]


class FaultKind(enum.StrEnum):
    """What goes wrong. A three-digit status is a fault of kind `STATUS`."""

    STATUS = "status"  # an error answer with the provider's own body
    QUOTA = "insufficient_quota"  # 429 that no wait mends
    HTML = "html"  # an error page of a proxy in between, not JSON
    SLOW = "slow_first_byte"  # `seconds` more before the first byte
    STALL = "stall"  # `after` events, then silence for `seconds`
    CUT = "cut"  # `after` events, then the connection is dropped
    TRUNCATE = "truncate"  # `after` events, then a clean end without the protocol's last event
    MALFORMED = "malformed"  # event number `after` is no JSON; an answer that is no JSON
    WRONG_USAGE = "wrong_usage"  # every reported count times `factor`
    NO_USAGE = "no_usage"  # usage left out, though asked for
    ERROR_EVENT = "error_event"  # `after` events, then the protocol's error event, then the end
    CLOSE = "close"  # the connection is closed without an answer
    DRIP = "drip"  # `bytes` at a time, `pause_ms` apart
    GIANT = "giant"  # an answer of `tokens` output tokens
    RAGGED = "ragged"  # events cut at arbitrary bytes, also inside a character
    EMPTY = "empty"  # 200 with no body


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One way to fail, with its numbers. A negative `retry_after_s` or `_ms` sends no header."""

    kind: FaultKind
    status: int = 0
    after: int = 3
    seconds: float = 0.0
    factor: int = 10
    tokens: int = 100_000
    bytes: int = 16
    pause_ms: float = 10.0
    retry_after_s: float = -1.0
    retry_after_ms: int = -1

    @property
    def name(self) -> str:
        """What the log calls it."""
        return str(self.status) if self.kind is FaultKind.STATUS else self.kind.value


_ALIASES: Final = MappingProxyType(
    {"rate_limit": "429", "overloaded": "529", "unavailable": "503", "server_error": "500"}
)
_KEYS: Final = MappingProxyType(
    {
        "after": int,
        "seconds": float,
        "factor": int,
        "tokens": int,
        "bytes": int,
        "pause_ms": float,
        "retry_after": float,
        "retry_after_ms": int,
        "status": int,
    }
)
_SECONDS: Final = MappingProxyType({FaultKind.SLOW: 5.0, FaultKind.STALL: 3600.0})


def read_fault(text: str) -> Fault:
    """The fault `text` names.

    Raises:
        BadSteering: no such fault, or a value that is no number.
    """
    name, *settings = [part.strip() for part in text.split(";")]
    name = _ALIASES.get(name, name)
    numbers: dict[str, int | float] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        key = key.strip()
        if key not in _KEYS:
            known = ", ".join(_KEYS)
            raise BadSteering(f"Fault {text!r}: unknown setting {key!r}; known are {known}.")
        try:
            read = _KEYS[key](value.strip())
        except ValueError as error:
            raise BadSteering(f"Fault {text!r}: {key} must be a number, not {value!r}.") from error
        numbers["retry_after_s" if key == "retry_after" else key] = read
    if name.isdigit() and 400 <= int(name) <= 599:
        numbers["status"] = int(name)
        name = FaultKind.STATUS.value
    try:
        kind = FaultKind(name)
    except ValueError as error:
        known = ", ".join(kind.value for kind in FaultKind)
        raise BadSteering(
            f"Unknown fault {name!r}. Known are an HTTP status 400 to 599, {known}."
        ) from error
    if kind is FaultKind.STATUS and "status" not in numbers:
        raise BadSteering(f"Fault {text!r} needs a status, for example `503`.")
    numbers.setdefault("seconds", _SECONDS.get(kind, 0.0))
    return msgspec.convert({"kind": kind, **numbers}, Fault, strict=False)
