"""What makes two calls the same: the scope they stand in and the fingerprint of what they ask.

scope        HMAC under the tenant's secret of: feature, user (where users do not share), the
             caller's own credential, epoch
fingerprint  endpoint, targets (provider, address, model), the canonical request, the headers that
             reach the provider, the documents the call depends on
partition    scope and fingerprint without the last user text: what must be equal for any kind of
             hit
key          partition and that text; canonical key: partition and its plain wording

Change anything of these and it is another entry; two tenants never meet, for their secrets differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from farthing.codecs import Canonical
from farthing.levers.cache.wording import plainly

__all__ = ["NeutralHeaders", "Prints", "prints_of"]

# Headers that say how a request travels, who traces it, or which library wrote it.
_NEUTRAL: Final = frozenset(
    (
        b"accept accept-language baggage b3 cache-control content-type date dnt idempotency-key "
        b"origin pragma priority referer sentry-trace te traceparent tracestate uber-trace-id "
        b"user-agent via x-amzn-trace-id x-client-request-id x-cloud-trace-context "
        b"x-correlation-id x-real-ip x-request-id x-trace-id"
    ).split()
)
_NEUTRAL_BEGINNINGS: Final = (
    b"cf-",
    b"helicone-",
    b"sec-",
    b"x-b3-",
    b"x-cost-",
    b"x-datadog-",
    b"x-farthing-",
    b"x-forwarded-",
    b"x-stainless-",
)


class NeutralHeaders:
    """Tells which headers do not change an answer; any that is not known may."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(pattern.lower() for pattern in patterns)

    def digest(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """What stands for all headers that may change an answer; order does not count."""
        kept = sorted(pair for pair in headers if not self._is_neutral(pair[0]))
        return _digest(*(part for pair in kept for part in pair))

    def _is_neutral(self, name: bytes) -> bool:
        if name in _NEUTRAL or name.startswith(_NEUTRAL_BEGINNINGS):
            return True
        return bool(self._patterns) and any(
            fnmatchcase(name.decode("latin-1"), pattern) for pattern in self._patterns
        )


class Prints(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """See the module; `plain_key` is empty where only the very same text will do."""

    scope: bytes
    partition: bytes
    key: bytes
    plain_key: bytes = b""


def prints_of(scope: bytes, asked: Canonical, *others: bytes, is_canonical: bool) -> Prints:
    """The prints of a request; `others` is all else that may change its answer."""
    partition = _digest(scope, asked.shape, *others)
    plain_key = b""
    if is_canonical and asked.has_slot and not asked.has_tool_turns:
        plain_key = _digest(partition, b"plain", plainly(asked.slot).encode("utf-8", "replace"))
    return Prints(
        scope=scope,
        partition=partition,
        key=_digest(partition, b"text", asked.slot.encode("utf-8", "surrogatepass")),
        plain_key=plain_key,
    )


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts, each with its length, so that none runs over into the next."""
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()
