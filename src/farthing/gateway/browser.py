"""Calls that pages of a browser make: which pages may, and what their browser must be told.

A browser names the page's origin with each such call. A page that anybody wrote can reach a gateway
on the machine that shows it, and without keys such a call would be paid by whoever runs both; so
where no keys exist, only pages that `gateway.browser_origins` lists are served. Where keys exist,
having one is enough, but a browser shows an answer only to a page that is listed.
Source: https://fetch.spec.whatwg.org/#http-cors-protocol (from memory, not checked against it).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from farthing.errors import CallerError
from farthing.gateway.keyring import KeyRing
from farthing.wire import Reply, Request

__all__ = ["ORIGIN", "Browsers", "OriginNotAllowed"]

ORIGIN = b"origin"
_ASKED_METHOD = b"access-control-request-method"
_ASKED_HEADERS = b"access-control-request-headers"
_ASKED_NETWORK = b"access-control-request-private-network"
_KEPT_S = 600


class OriginNotAllowed(CallerError):
    """A page that may not call."""

    code = "origin_not_allowed"
    status = 403


class Browsers:
    """Serves the pages of some origins; `*` stands for all."""

    def __init__(self, origins: Sequence[str], ring: KeyRing) -> None:
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)
        self._ring = ring

    async def serve(self, request: Request, handle: Callable[[Request], Awaitable[Reply]]) -> Reply:
        """Answer a request that names its origin; `handle` answers it as if it named none.

        Raises:
            OriginNotAllowed: no keys exist, and the page is of none of the origins.
        """
        origin = request.named[ORIGIN].strip()
        is_listed = origin in self._origins or b"*" in self._origins
        if request.method == "OPTIONS" and _ASKED_METHOD in request.named and is_listed:
            return _preflight(request, origin)
        if not is_listed and self._ring.is_door_open:
            raise OriginNotAllowed(
                f"A page of {origin.decode('latin-1')!r} may not call this gateway, which has no "
                "keys: any page could spend your money. Nothing was sent and nothing was charged. "
                "List the page's origin in gateway.browser_origins, or make keys."
            )
        named = {name: value for name, value in request.named.items() if name != ORIGIN}
        reply = await handle(msgspec.structs.replace(request, named=named))
        if not is_listed:
            return reply
        shown = (b"access-control-expose-headers", b"*")
        return msgspec.structs.replace(reply, headers=[*reply.headers, *_admitted(origin), shown])


def _admitted(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _preflight(request: Request, origin: bytes) -> Reply:
    """Tell a browser that it may go on."""
    headers = [
        *_admitted(origin),
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", request.named.get(_ASKED_HEADERS, b"*")),
        (b"access-control-max-age", b"%d" % _KEPT_S),
    ]
    if _ASKED_NETWORK in request.named:
        headers.append((b"access-control-allow-private-network", b"true"))
    return Reply(status=204, headers=headers)
