"""What can go wrong between us and an upstream.

    ProviderError
    └── WireError
        ├── ConnectFailed         refused, unreachable, unknown name, TLS not trusted
        │   └── PoolExhausted     every connection is busy and the queue is full
        ├── ConnectTimeout        no connection within connect_s
        ├── FirstByteTimeout      no answer begun within first_byte_s
        ├── IdleTimeout           the answer began, then nothing came for idle_s
        ├── TotalTimeout          the whole exchange took longer than total_s
        ├── Disconnected          the connection ended before the answer did
        └── BadResponse           what came is no HTTP/1.1 answer, or exceeds a limit
    FarthingBug
    └── BadHeader                 a header of ours would break out of its line

`may_have_run` says whether the upstream may have acted on the request: False is a promise that
no byte of it was handed to the network, True means that nobody can know.
"""

from __future__ import annotations

from farthing.errors import FarthingBug, ProviderError

__all__ = [
    "BadHeader",
    "BadResponse",
    "ConnectFailed",
    "ConnectTimeout",
    "Disconnected",
    "FirstByteTimeout",
    "IdleTimeout",
    "PoolExhausted",
    "TotalTimeout",
    "WireError",
]


class BadHeader(FarthingBug):
    """A header name or value, method or target holds CR, LF, NUL or a stray space."""

    code = "bad_header"


class WireError(ProviderError):
    """An exchange with an upstream failed; `may_have_run` says whether it may have been acted on."""

    code = "wire_error"
    status = 502

    def __init__(self, message: str, *, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class ConnectFailed(WireError):
    """No connection could be made."""

    code = "connect_failed"


class PoolExhausted(ConnectFailed):
    """Every connection to the origin is busy and as many calls as allowed wait already."""

    code = "pool_exhausted"
    status = 503


class ConnectTimeout(WireError):
    """No connection was ready within `connect_s`."""

    code = "connect_timeout"
    status = 504


class FirstByteTimeout(WireError):
    """The head of an answer was not in within `first_byte_s` of sending."""

    code = "first_byte_timeout"
    status = 504


class IdleTimeout(WireError):
    """An answer had begun, and then nothing arrived for `idle_s`."""

    code = "idle_timeout"
    status = 504


class TotalTimeout(WireError):
    """The whole exchange took longer than `total_s`."""

    code = "total_timeout"
    status = 504


class Disconnected(WireError):
    """The connection ended before the answer did.

    `bytes_received` counts what had arrived of this answer; `reused` says that the connection
    had served another request before, so that the peer may merely have closed it for idleness.
    """

    code = "disconnected"

    def __init__(
        self, message: str, *, may_have_run: bool, bytes_received: int, reused: bool
    ) -> None:
        super().__init__(message, may_have_run=may_have_run)
        self.bytes_received = bytes_received
        self.reused = reused


class BadResponse(WireError):
    """The upstream's bytes are no HTTP/1.1 answer, or exceed a limit."""

    code = "bad_response"
