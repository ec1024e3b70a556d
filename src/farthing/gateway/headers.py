"""Which headers travel: the client's to the provider, the provider's to the client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter

__all__ = [
    "Headers",
    "Sieve",
    "first",
    "for_another",
    "for_client",
    "for_provider",
    "is_events",
    "telling",
    "text",
]

Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 7.6.1: meant for one connection only. The wire layer frames each side itself.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# The caller's credentials open our door, not the provider's; and answers are read unencoded. Where
# a page of a browser calls, whether it may is for us to say.
_NEVER_UPSTREAM = _HOP_BY_HOP | {
    b"accept-encoding",
    b"api-key",
    b"authorization",
    b"cookie",
    b"origin",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-forwarded-for",
    b"forwarded",
}
_NEVER_BACK = _HOP_BY_HOP | {
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    b"set-cookie",
}
# Which account of the provider's is to pay: of no meaning to another provider.
_ACCOUNT = frozenset({b"openai-organization", b"openai-project"})
_ONLY_KEPT = frozenset({b"keep-alive", b"close"})
_UNENCODED = (b"accept-encoding", b"identity")
_NAME = itemgetter(0)
_KNOWN_MAX = 1000
_TOLD_MAX = 256  # characters of a value of ours that a caller could make as long as they like


def for_provider(headers: Iterable[tuple[bytes, bytes]], *, is_body_decoded: bool) -> Headers:
    """The client's headers that the provider gets; ours and the client's credentials stay here."""
    kept = [pair for pair in headers if _goes_upstream(pair[0])]
    named = _nominated(headers)
    if named:
        kept = [pair for pair in kept if pair[0] not in named]
    if is_body_decoded:
        kept = [pair for pair in kept if pair[0] != b"content-encoding"]
    kept.append(_UNENCODED)
    return kept


def for_another(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The client's headers as a provider may see them that its credential is not for."""
    return [pair for pair in headers if pair[0] not in _ACCOUNT]


def for_client(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The provider's headers that the client gets."""
    return [pair for pair in headers if pair[0] not in _NEVER_BACK]


def _nominated(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that `connection` says are for this connection only."""
    value = first(headers, b"connection")
    if value is None:
        return frozenset()
    return frozenset(name.strip().lower() for name in value.split(b",")) - _ONLY_KEPT


def _goes_upstream(name: bytes) -> bool:
    return name not in _NEVER_UPSTREAM and not name.startswith(b"x-farthing-")


class Sieve:
    """`for_client`, remembering what it kept by the names that came together.

    A provider sends the same names in the same order with each answer.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[
            tuple[bytes, ...], Callable[[Headers], Iterable[tuple[bytes, bytes]]]
        ] = {}

    def __call__(self, headers: Headers) -> Headers:
        """The headers that pass, as a new list."""
        names = tuple(map(_NAME, headers))
        pick = self._known.get(names)
        if pick is None:
            pick = self._learn(names)
        return list(pick(headers))

    def _learn(
        self, names: tuple[bytes, ...]
    ) -> Callable[[Headers], Iterable[tuple[bytes, bytes]]]:
        kept = [place for place, name in enumerate(names) if name not in _NEVER_BACK]
        # itemgetter gives a bare value for one place, and none for none.
        pick = itemgetter(*kept) if len(kept) > 1 else partial(_at, kept)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()  # names come from providers
        self._known[names] = pick
        return pick


def _at(places: list[int], headers: Headers) -> Headers:
    return [headers[place] for place in places]


def first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of the header `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def is_events(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an answer is a stream of events."""
    return (first(headers, b"content-type") or b"").startswith(b"text/event-stream")


def text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is valid, else Latin-1; control bytes dropped."""
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        decoded = value.decode("latin-1")
    return decoded if decoded.isprintable() else "".join(c for c in decoded if c.isprintable())


def telling(value: str) -> bytes:
    """The value of a header of ours that holds what a caller wrote: one line, of bounded length."""
    kept = value[:_TOLD_MAX]
    if not kept.isprintable():
        kept = "".join(c if c.isprintable() else "?" for c in kept)
    return kept.encode()
