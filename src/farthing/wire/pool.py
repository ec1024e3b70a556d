"""The connections to one origin: the last used first, a bound on all, a bounded queue."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from farthing.wire.errors import ConnectFailed, ConnectTimeout, PoolExhausted
from farthing.wire.limits import ClientLimits
from farthing.wire.origin import Origin
from farthing.wire.outbound import Outbound

__all__ = ["Pool"]


class Pool:
    """Hands out connections and takes them back. `size` counts open and opening ones."""

    __slots__ = (
        "_clock",
        "_idle",
        "_is_closed",
        "_limits",
        "_open",
        "_origin",
        "_tls",
        "_waiting",
        "size",
    )

    def __init__(
        self,
        origin: Origin,
        limits: ClientLimits,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._origin = origin
        self._limits = limits
        self._clock = clock
        self._tls = tls
        self._idle: list[Outbound] = []
        self._open: set[Outbound] = set()
        self._waiting: deque[asyncio.Future[Outbound | None]] = deque()
        self._is_closed = False
        self.size = 0

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def take(self) -> Outbound | None:
        """The connection that was used last, if one is idle."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.is_gone:
                return connection
        return None

    async def obtain(self, connect_s: float) -> Outbound:
        """A connection, new or handed on, within `connect_s`.

        Raises:
            PoolExhausted: too many calls wait already.
            ConnectTimeout: none was ready in time.
            ConnectFailed: none could be made.
        """
        try:
            async with asyncio.timeout(connect_s):
                while self.size >= self._limits.connections_most:
                    handed = await self._wait_in_line()
                    if handed is None:
                        return await self._connect_in_slot(connect_s)
                    if not handed.is_gone:
                        return handed
                self.size += 1
                return await self._connect_in_slot(connect_s)
        except TimeoutError as error:
            raise ConnectTimeout(
                f"No connection to {self._origin.key} was ready within {connect_s:g} s "
                f"({self.size} open or opening). Nothing was sent. "
                "Check that it can be reached from here, or raise connect_s or connections_most.",
                may_have_run=False,
            ) from error

    async def _wait_in_line(self) -> Outbound | None:
        """A connection that came free, or None for the right to make one."""
        if len(self._waiting) >= self._limits.queue_most:
            raise PoolExhausted(
                f"All {self.size} connections to {self._origin.key} are busy and "
                f"{len(self._waiting)} calls wait for one. Nothing was sent. "
                "Send again later, or raise connections_most or queue_most.",
                may_have_run=False,
            )
        place: asyncio.Future[Outbound | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.done():
                self._give_back(place.result())
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    def _give_back(self, handed: Outbound | None) -> None:
        """What was handed to a call that has been cancelled meanwhile."""
        if handed is None:
            self._free_slot()
        elif not handed.is_gone:
            self.release(handed)

    async def _connect_in_slot(self, connect_s: float) -> Outbound:
        """Connect; the slot is taken already, and given back if this fails."""
        made: list[Outbound] = []

        def make() -> Outbound:
            made.append(Outbound(self._origin.key, self._limits, self._clock))
            return made[-1]

        try:
            connection = await self._connect(make, connect_s)
        except BaseException as error:  # edge: whatever stopped it, cancellation too: undo
            self._undo(made)
            if isinstance(error, TimeoutError) or not isinstance(error, OSError | UnicodeError):
                raise
            raise self._connect_failed(error) from error
        if connection.is_gone or self._is_closed:
            self._undo(made)
            raise self._connect_failed(ConnectionResetError("closed as soon as it was made"))
        connection.adopt(self)
        self._open.add(connection)
        return connection

    def _undo(self, made: list[Outbound]) -> None:
        for half_made in made:
            if not half_made.is_gone:
                half_made.drop()
        self._free_slot()

    async def _connect(self, make: Callable[[], Outbound], connect_s: float) -> Outbound:
        loop = asyncio.get_running_loop()
        origin = self._origin
        if origin.socket_path:
            _, connection = await loop.create_unix_connection(make, origin.socket_path)
        elif self._tls is None:
            _, connection = await loop.create_connection(make, origin.host, origin.port)
        else:
            _, connection = await loop.create_connection(
                make,
                origin.host,
                origin.port,
                ssl=self._tls,
                server_hostname=origin.host,
                ssl_handshake_timeout=connect_s + 1,  # obtain's own bound comes first
            )
        return connection

    def _connect_failed(self, error: OSError | UnicodeError) -> ConnectFailed:
        if isinstance(error, ssl.SSLError):
            advice = "Check the base URL, or name the CA that signed its certificate in ca_file."
        else:
            advice = "Check the base URL and that it can be reached from here."
        return ConnectFailed(
            f"{self._origin.key} could not be connected to: {error}. Nothing was sent. {advice}",
            may_have_run=False,
        )

    def _free_slot(self) -> None:
        """A connection fewer: the next call in line may make its own."""
        if not self._hand_on(None):
            self.size -= 1

    def _hand_on(self, thing: Outbound | None) -> bool:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(thing)
                return True
        return False

    # What a connection calls.

    def release(self, connection: Outbound) -> None:
        """Free again: to the next call in line, or to the idle ones."""
        if self._waiting and self._hand_on(connection):
            connection.rest()
        elif len(self._idle) < self._limits.idle_most and not self._is_closed:
            self._idle.append(connection)
            connection.rest()
        else:
            connection.drop()

    def discard(self, connection: Outbound) -> None:
        """Gone: neither counted nor handed out any more."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def close(self) -> None:
        """Drop every connection; calls in line fail."""
        self._is_closed = True
        for connection in tuple(self._open):
            connection.drop()
