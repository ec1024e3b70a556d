"""The HTTP/1.1 client that speaks to upstreams: pooled, bounded, and honest about failure.

It never sends a request twice: whether to try again is for the caller to decide, who is told
whether the upstream may have acted on it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import certifi

from farthing.errors import ConfigError
from farthing.wire.errors import BadHeader
from farthing.wire.limits import ClientLimits, Timeouts
from farthing.wire.message import Header, encode_headers
from farthing.wire.origin import Origin
from farthing.wire.pool import Pool
from farthing.wire.response import Response

__all__ = ["Client", "request_head", "trust"]

_NO_LIMITS_GIVEN = ClientLimits()
_NO_TIMEOUTS_GIVEN = Timeouts()
_WITHOUT_BODY = (b"GET ", b"HEAD ", b"OPTIONS ", b"DELETE ")


def trust(ca_file: Path | None = None) -> ssl.SSLContext:
    """TLS settings that check the upstream's name and certificate.

    Against certifi's authorities, or those in `ca_file` (PEM) instead.

    Raises:
        ConfigError: `ca_file` cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file or certifi.where()))
    except OSError as error:
        raise ConfigError(
            f"The certificate authorities in {ca_file} could not be read: {error}. "
            "No connection was made. Give a PEM file, or leave ca_file out."
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


class Client:
    """Sends requests over connections pooled per origin; belongs to the running loop.

    `tls` is made by `trust`; where none is given, the first https origin makes one. `clock` counts
    seconds and defaults to the loop's.
    """

    __slots__ = ("_clock", "_limits", "_pools", "_tls")

    def __init__(
        self,
        limits: ClientLimits = _NO_LIMITS_GIVEN,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._limits = limits
        self._tls = tls
        self._clock = clock or asyncio.get_running_loop().time
        self._pools: dict[str, Pool] = {}

    async def send(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Sequence[Header],
        body: bytes = b"",
        timeouts: Timeouts = _NO_TIMEOUTS_GIVEN,
    ) -> Response:
        """Send a request; the response is back when its head is in.

        `target` goes out as it is (the origin's prefix is the caller's to put before it). Host,
        length and connection are written here.

        Raises:
            WireError: see `farthing.wire.errors`; says whether the request may have been acted on.
            BadHeader: method, target or a header would break out of its line.
        """
        head = request_head(origin, method, target, headers)
        return await self.send_head(origin, head, body, timeouts)

    async def send_head(
        self, origin: Origin, head: bytes, body: bytes, timeouts: Timeouts
    ) -> Response:
        """`send` with a head made by `request_head`, which many requests can share.

        Raises:
            WireError: as `send`.
        """
        if body or not head.startswith(_WITHOUT_BODY):
            framed = b"%bcontent-length: %d\r\n\r\n" % (head, len(body))
        else:
            framed = head + b"\r\n"
        due = self._clock() + timeouts.total_s
        pool = self._pools.get(origin.key) or self._new_pool(origin)
        connection = pool.take() or await pool.obtain(min(timeouts.connect_s, timeouts.total_s))
        is_head = head.startswith(b"HEAD ")
        response, arrival = connection.send(framed, body, timeouts, due, is_head=is_head)
        try:
            await arrival
        except asyncio.CancelledError:
            response.close()
            raise
        if response.error is not None and not response.status:
            raise response.error
        return response

    def connections(self, origin: Origin) -> int:
        """How many connections to `origin` are open or opening."""
        pool = self._pools.get(origin.key)
        return pool.size if pool is not None else 0

    def idle_connections(self, origin: Origin) -> int:
        """How many of them wait for a request."""
        pool = self._pools.get(origin.key)
        return pool.idle if pool is not None else 0

    def close(self) -> None:
        """Drop all connections; exchanges under way fail."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _new_pool(self, origin: Origin) -> Pool:
        if origin.scheme == "https" and self._tls is None:
            self._tls = trust()
        tls = self._tls if origin.scheme == "https" else None
        pool = self._pools[origin.key] = Pool(origin, self._limits, self._clock, tls)
        return pool


def request_head(origin: Origin, method: str, target: str, headers: Sequence[Header]) -> bytes:
    """The lines of a request's head but for its length and end, for `Client.send_head`.

    Raises:
        BadHeader: method, target or a header would break out of its line.
    """
    if not target.isascii() or not target.isprintable() or " " in target or not method.isalpha():
        raise BadHeader(
            f"{method!r} {target!r} is no method and target of a request. Nothing was sent. "
            "Percent-encode whatever is not printable ASCII."
        )
    line = f"{method} {target} HTTP/1.1\r\n".encode()
    return line + origin.host_line + encode_headers(headers, is_request=True)
