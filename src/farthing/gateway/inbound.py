"""What flows through the stages: a call with all that is known of its request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from farthing.call import Call
from farthing.codecs import Codec, RequestView
from farthing.gateway.headers import Headers
from farthing.gateway.keyring import VirtualKey
from farthing.gateway.settlement import Settlement

__all__ = ["Inbound", "Outcome", "Proceed", "Stage", "compose"]


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One call on its way in.

    `body` is the request's JSON (decompressed, if the client sent it compressed); `headers` the
    client's, lower-case; `credential` the client's own key where no key of ours is asked for.
    """

    call: Call
    view: RequestView
    codec: Codec
    body: bytes
    headers: Headers
    target: str
    key: VirtualKey | None
    credential: bytes
    settlement: Settlement
    is_body_decoded: bool = False

    @property
    def knows_farthing(self) -> bool:
        """Whether the client sent any x-farthing header."""
        return any(name.startswith(b"x-farthing-") for name, _ in self.headers)


class Outcome(msgspec.Struct, kw_only=True):
    """What came back: the answer as the client gets it. A stream settles when it closes."""

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes]


Proceed = Callable[[Inbound], Awaitable[Outcome]]


class Stage(Protocol):
    """One step; it calls `proceed` for what lies behind it, or answers by itself."""

    async def __call__(self, inbound: Inbound, proceed: Proceed) -> Outcome:
        """Serve the call."""
        ...


def compose(stages: Sequence[Stage], send: Proceed) -> Proceed:
    """The stages around `send`, the first outermost."""
    for stage in reversed(stages):
        send = partial(stage, proceed=send)
    return send
