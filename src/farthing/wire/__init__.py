"""HTTP/1.1 over asyncio, both sides, and the only place that opens sockets.

It knows nothing of what the bodies mean.
"""

from farthing.wire.client import Client, request_head, trust
from farthing.wire.errors import (
    BadHeader,
    BadResponse,
    ConnectFailed,
    ConnectTimeout,
    Disconnected,
    FirstByteTimeout,
    IdleTimeout,
    PoolExhausted,
    TotalTimeout,
    WireError,
)
from farthing.wire.limits import ClientLimits, ServerLimits, Timeouts
from farthing.wire.loop import new_event_loop
from farthing.wire.message import Header, Refuse, Reply, Request, plain_refusal
from farthing.wire.origin import Origin
from farthing.wire.replying import close_iterator
from farthing.wire.response import Response
from farthing.wire.server import Handler, Server, serve

__all__ = [
    "BadHeader",
    "BadResponse",
    "Client",
    "ClientLimits",
    "ConnectFailed",
    "ConnectTimeout",
    "Disconnected",
    "FirstByteTimeout",
    "Handler",
    "Header",
    "IdleTimeout",
    "Origin",
    "PoolExhausted",
    "Refuse",
    "Reply",
    "Request",
    "Response",
    "Server",
    "ServerLimits",
    "Timeouts",
    "TotalTimeout",
    "WireError",
    "close_iterator",
    "new_event_loop",
    "plain_refusal",
    "request_head",
    "serve",
    "trust",
]
