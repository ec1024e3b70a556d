"""What makes two calls the same: the scope they stand in and the fingerprint of what they ask.

scope        HMAC under the tenant's secret of: feature, user (where users do not share), the
             caller's own credential, epoch
fingerprint  endpoint, targets (provider, address, model), the canonical request, the headers that
             reach the provider, the documents the call depends on
partition    scope and fingerprint without the last user text: what must be equal for any kind of
             hit
key          partition and that text; canonical key: partition and its plain wording
right        where a policy serves by others than the incumbent, its step is in all of them

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

__all__ = ["Marked", "NeutralHeaders", "Prints", "marked", "prints_of"]

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

    def under(self, right: bytes) -> Prints:
        """The prints of answers that may be given by a right of their own."""
        return Prints(
            scope=self.scope,
            partition=_digest(self.partition, b"right", right),
            key=_digest(self.key, b"right", right),
            plain_key=_digest(self.plain_key, b"right", right) if self.plain_key else b"",
        )


class Marked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request in its one form; `text` and `plain` stand for its last text and its plain wording.

    `plain` is empty where only the very same text asks the same.
    """

    request: Canonical
    text: bytes
    plain: bytes = b""


def marked(request: Canonical) -> Marked:
    """The request with what stands for its last text."""
    plain = b""
    if request.has_slot and not request.has_tool_turns:
        plain = _digest(b"plain", plainly(request.slot).encode("utf-8", "replace"))
    text = _digest(b"text", request.slot.encode("utf-8", "surrogatepass"))
    return Marked(request=request, text=text, plain=plain)


def prints_of(scope: bytes, asked: Marked, *others: bytes, is_canonical: bool) -> Prints:
    """The prints of a request; `others` is all else that may change its answer."""
    partition = _digest(scope, asked.request.shape, *others)
    has_plain = is_canonical and asked.plain
    return Prints(
        scope=scope,
        partition=partition,
        key=_digest(partition, asked.text),
        plain_key=_digest(partition, asked.plain) if has_plain else b"",
    )


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts, each with its length, so that none runs over into the next."""
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()
