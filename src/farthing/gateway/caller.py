"""What a request's head tells: who calls, for whom, and which of its headers go on.

An SDK sends the same head with each call, so all of this is worked out once and kept in the memo
that requests with equal heads share. It holds until the key ring changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farthing.call import Attribution
from farthing.codecs import RequestView
from farthing.gateway.attribution import Attributor
from farthing.gateway.headers import Headers, for_another
from farthing.gateway.identify import identify
from farthing.gateway.keyring import KeyRing, VirtualKey
from farthing.wire import Request

__all__ = ["Caller", "Callers"]

_MEMO = "farthing.caller"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one head.

    `key` is the caller's virtual key; `credential` its own one, where no key of ours is asked
    for. `query` is the target's, with its question mark. `heads` keeps the heads sent to providers,
    by their names; `memo` what stages work out of a head, by theirs.
    """

    ring_version: int
    key: VirtualKey | None
    credential: bytes
    attributor: Attributor
    headers: Headers
    encoding: bytes
    query: str
    knows_farthing: bool
    heads: dict[str, bytes]
    memo: dict[str, Any]

    def attribution_of(self, view: RequestView) -> Attribution:
        """Whom a call with this head and such a body is for."""
        body = {"session": view.session} | view.metadata if view.session else view.metadata
        return self.attributor.attribute(body, view.user)

    def at_another(self) -> Caller:
        """The caller as a provider may see it that its credential is not for."""
        return msgspec.structs.replace(
            self, credential=b"", headers=for_another(self.headers), heads={}
        )


class Callers:
    """Meets callers by their requests' heads."""

    def __init__(self, ring: KeyRing, environment: str) -> None:
        """`environment` is what calls are booked on that name none."""
        self._ring = ring
        self._environment = environment

    def meet(self, request: Request) -> Caller:
        """The caller of `request`.

        Raises:
            BadKey: keys exist, and it came with none of them.
        """
        known: Caller | None = request.memo.get(_MEMO)
        if known is not None and known.ring_version == self._ring.version:
            return known
        version = self._ring.version
        named = request.named
        identity = identify(named, self._ring)
        caller = Caller(
            ring_version=version,
            key=identity.key,
            credential=identity.passed_on,
            attributor=Attributor(named, identity.key, self._environment),
            headers=request.headers,
            encoding=named.get(b"content-encoding", b"identity").strip().lower(),
            query="".join(request.target.partition("?")[1:]),
            knows_farthing=any(name.startswith(b"x-farthing-") for name in named),
            heads={},
            memo={},
        )
        request.memo[_MEMO] = caller
        return caller
