"""What a request's head tells: who calls, for whom, and which of its headers go on.

An SDK sends the same head with each call, so all of this is worked out once and kept in the memo
that requests with equal heads share. It holds until the key ring changes.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from farthing.call import Attribution
from farthing.codecs import RequestView
from farthing.gateway.attribution import Attributor
from farthing.gateway.headers import Headers, for_another
from farthing.gateway.identify import identify
from farthing.gateway.keyring import KeyRing, VirtualKey
from farthing.wire import Request

__all__ = ["READ", "Caller", "Callers"]

_LOG = logging.getLogger("farthing")
_MEMO = "farthing.caller"
_OWN: Final = b"x-farthing-"
_TOLD_MAX: Final = 100
# Every header of ours that some part of the gateway reads; the table in docs/protocols.md has them.
READ: Final = frozenset(
    _OWN + name
    for name in (
        b"cache",
        b"depends-on",
        b"env",
        b"feature",
        b"quality",
        b"session",
        b"step",
        b"tags",
        b"trace",
        b"user",
    )
)


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
        self._told: set[bytes] = set()

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
        own = [name for name in named if name.startswith(_OWN)]
        if own:
            self._tell_unread(own)
        caller = Caller(
            ring_version=version,
            key=identity.key,
            credential=identity.passed_on,
            attributor=Attributor(named, identity.key, self._environment),
            headers=request.headers,
            encoding=named.get(b"content-encoding", b"identity").strip().lower(),
            query="".join(request.target.partition("?")[1:]),
            knows_farthing=bool(own),
            heads={},
            memo={},
        )
        request.memo[_MEMO] = caller
        return caller

    def _tell_unread(self, own: Iterable[bytes]) -> None:
        """Log each header once that looks like ours and is read by nothing: most are misspelt."""
        for name in own:
            if name in READ or name in self._told or len(self._told) >= _TOLD_MAX:
                continue
            self._told.add(name)
            shown = name.decode("latin-1")
            near = difflib.get_close_matches(shown, [known.decode() for known in READ], n=1)
            meant = (
                f"did you mean {near[0]}?" if near else "see docs/protocols.md for those that are."
            )
            _LOG.warning("a caller sends the header %s, which is not read here; %s", shown, meant)
