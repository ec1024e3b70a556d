"""How much and how long: every bound of the wire, in one place."""

from __future__ import annotations

import math

import msgspec

__all__ = ["ClientLimits", "Seconds", "ServerLimits", "Timeouts"]

Seconds = float


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client of ours may send, and how long it may take.

    `head_bytes_most` and `headers_most` bound a request's head (431), `body_bytes_most` its body
    (413). A head must be in `head_s` after its first byte, a body `body_s` after the head, plus a
    second for each `body_bytes_per_s_least` bytes that did arrive (408). A connection without a
    request is closed after `idle_s`. A reader that takes nothing for `write_stall_s` is cut off.
    While a request is handled, `pipeline_bytes_most` bytes behind it are read ahead and no more.
    `write_bytes_most` is how much of a reply waits in our memory for a slow reader. After a
    refusal the rest of the request is discarded for `linger_s`, so that the reply is read.
    """

    head_bytes_most: int = 65_536
    headers_most: int = 128
    body_bytes_most: int = 67_108_864
    head_s: Seconds = 15.0
    body_s: Seconds = 30.0
    body_bytes_per_s_least: int = 16_384
    idle_s: Seconds = 75.0
    write_stall_s: Seconds = 60.0
    linger_s: Seconds = 2.0
    pipeline_bytes_most: int = 65_536
    write_bytes_most: int = 65_536


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The connection pool, per origin, and what an upstream may send.

    A call beyond `connections_most` waits for a free connection (counted in its `connect_s`);
    beyond `queue_most` waiting calls it is refused. An idle connection is dropped after `idle_s`,
    sooner than the usual upstream would. Once `read_bytes_high` bytes of an answer wait for its
    consumer, no more is read until they are taken.
    """

    connections_most: int = 512
    idle_most: int = 256
    queue_most: int = 1024
    idle_s: Seconds = 30.0
    head_bytes_most: int = 65_536
    headers_most: int = 256
    read_bytes_high: int = 262_144


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long one exchange may take, in seconds; `math.inf` for no bound.

    `connect_s` covers the wait for a free connection, name lookup, TCP and TLS; `first_byte_s`
    from sending to the complete head of the answer; `idle_s` each silence after it (not counted
    while our own consumer is the slow one); `total_s` everything.
    """

    connect_s: Seconds = 10.0
    first_byte_s: Seconds = 600.0
    idle_s: Seconds = 300.0
    total_s: Seconds = math.inf
