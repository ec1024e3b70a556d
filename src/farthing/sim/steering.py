"""Steering: `x-sim-...` request headers that set what an answer counts and how fast it comes.

| header | sets |
|---|---|
| x-sim-input-tokens | the whole prompt, cached and written parts included |
| x-sim-cached-tokens | the part of it read from the prompt cache |
| x-sim-cache-write-tokens, x-sim-cache-write-1h-tokens | the parts written for 5 minutes, 1 hour |
| x-sim-output-tokens | all output, reasoning included; even beyond the request's limit |
| x-sim-reasoning-tokens | the part of it spent on reasoning |
| x-sim-tool-calls | how many tools are called, where tools are offered |
| x-sim-first-byte-ms, x-sim-token-ms | the pace, exactly |
| x-sim-fault | a fault, see `farthing.sim.faults` |
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import msgspec

from farthing.sim.errors import BadSteering
from farthing.sim.faults import Fault, read_fault
from farthing.sim.prompt_cache import CacheUse

__all__ = ["NO_STEERING", "Steering", "read_steering"]


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """What the request's headers ask for; None where they say nothing."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    tool_calls: int | None = None
    first_byte_ms: int | None = None
    token_ms: int | None = None
    fault: Fault | None = None

    def cache(self, found: CacheUse) -> CacheUse:
        """The cache use that counts: as steered, and as found where not steered at all."""
        steered = (self.cached_tokens, self.cache_write_tokens, self.cache_write_1h_tokens)
        if steered == (None, None, None):
            return found
        return CacheUse(*(count or 0 for count in steered))


NO_STEERING: Final = Steering()
_PREFIX: Final = b"x-sim-"
_HEADERS: Final = MappingProxyType(
    {
        f"x-sim-{name.replace('_', '-')}".encode(): name
        for name in Steering.__struct_fields__
        if name != "fault"
    }
)


def read_steering(headers: dict[bytes, bytes]) -> Steering:
    """The steering of one request.

    Raises:
        BadSteering: an unknown `x-sim-` header, or a value that is no whole number.
    """
    found = [name for name in headers if name.startswith(_PREFIX)]
    if not found:
        return NO_STEERING
    numbers: dict[str, int] = {}
    fault: Fault | None = None
    for name in found:
        value = headers[name].decode("latin-1").strip()
        if name == b"x-sim-fault":
            fault = read_fault(value)
        elif name not in _HEADERS:
            known = ", ".join(header.decode() for header in (*_HEADERS, b"x-sim-fault"))
            raise BadSteering(f"Unknown header {name.decode('latin-1')}; known are {known}.")
        elif not value.isdigit():
            raise BadSteering(f"{name.decode()} must be a whole number, not {value!r}.")
        else:
            numbers[_HEADERS[name]] = int(value)
    return msgspec.convert({**numbers, "fault": fault}, Steering)
