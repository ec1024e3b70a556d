"""What flows through the stages: a call with all that is known of its request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from farthing.call import Call
from farthing.codecs import Codec, RequestView, unstreamed
from farthing.gateway.caller import Caller
from farthing.gateway.headers import Headers
from farthing.gateway.settlement import Settlement
from farthing.levers.cache import Asked

if TYPE_CHECKING:
    from farthing.gateway.route_rights import Decided

__all__ = ["Inbound", "Outcome", "Proceed", "Stage", "compose"]


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One call on its way in.

    `body` is the request's JSON (decompressed, if the client sent it compressed). `asked` is the
    call as caches see it, `routed` how routing would serve it, once a stage has looked.
    """

    call: Call
    view: RequestView
    codec: Codec
    body: bytes
    caller: Caller
    settlement: Settlement
    is_body_decoded: bool = False
    asked: Asked | None = None
    routed: Decided | None = None

    @property
    def whole_body(self) -> bytes:
        """The request's JSON, as one to be answered whole."""
        return unstreamed(self.body) if self.view.is_streamed else bytes(self.body)


class Outcome(msgspec.Struct, kw_only=True):
    """What came back: the answer as the client gets it. A stream settles when it closes.

    `is_error` says that its body is the provider's error, though its status may be 200.
    """

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes]
    is_error: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it answers the call, as far as can be told before a stream has ended."""
        return 200 <= self.status < 300 and not self.is_error


Proceed = Callable[[Inbound], Awaitable[Outcome]]


class Stage(Protocol):
    """One step; it calls `proceed` for what lies behind it, or answers by itself."""

    def __call__(self, inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
        """Serve the call."""
        ...


def compose(stages: Sequence[Stage], send: Proceed) -> Proceed:
    """The stages around `send`, the first outermost."""
    for stage in reversed(stages):
        send = partial(stage, proceed=send)
    return send
