"""Which headers travel: the client's to the provider, the provider's to the client."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Headers", "first", "for_client", "for_provider", "text"]

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
# The caller's credentials open our door, not the provider's; and answers are read unencoded.
_NEVER_UPSTREAM = _HOP_BY_HOP | {
    b"accept-encoding",
    b"api-key",
    b"authorization",
    b"cookie",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-forwarded-for",
    b"forwarded",
}
_NEVER_BACK = _HOP_BY_HOP | {b"set-cookie"}


def for_provider(headers: Iterable[tuple[bytes, bytes]], *, is_body_decoded: bool) -> Headers:
    """The client's headers that the provider gets; ours and the client's credentials stay here."""
    kept = [
        pair
        for pair in headers
        if pair[0] not in _NEVER_UPSTREAM and not pair[0].startswith(b"x-farthing-")
    ]
    if is_body_decoded:
        kept = [pair for pair in kept if pair[0] != b"content-encoding"]
    kept.append((b"accept-encoding", b"identity"))
    return kept


def for_client(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The provider's headers that the client gets."""
    return [pair for pair in headers if pair[0] not in _NEVER_BACK]


def first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of the header `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is valid, else Latin-1; control bytes dropped."""
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        decoded = value.decode("latin-1")
    return decoded if decoded.isprintable() else "".join(c for c in decoded if c.isprintable())
