"""What the event loop has the semantic layer do, and what that tells it: values that may travel.

The layer works in a thread or in a process of its own; either gets these and gives back `News`, in
the order in which they were sent. Between processes they go as MessagePack, each with its length
before it, over a pair of sockets that nobody else has: the keys of tenants are in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from farthing.call import Endpoint
from farthing.gateway.semantic_plan import Plan, Position
from farthing.levers.cache import TenantKeys
from farthing.levers.cache.semantic_settings import SemanticSettings
from farthing.levers.cache.semantic_tables import CourseRow, WordingRow

__all__ = ["Act", "Again", "Answered", "Begin", "Cleared", "Close", "Closed", "Counted"]
__all__ += ["Doubt", "Follow", "Followed", "Gone", "Judged", "Logged", "Look", "News", "Parcels"]
__all__ += ["Parted", "Placed", "Ready", "Renewed", "Settle", "Settled", "Shared", "Verdict"]
__all__ += ["Worded"]

_HEAD_BYTES: Final = 4
_TENANTS_MAX: Final = 256


class _Told(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Either way."""


# What the layer is to do.


class Begin(_Told, frozen=True):
    """To another process, first of all; `path` is where it finds the modules of an embedder."""

    settings: SemanticSettings
    directory: str
    path: tuple[str, ...]


class Look(_Told, frozen=True):
    """Look a question up. Not `is_awaited`: nobody waits for the verdict, and none is sent."""

    number: int
    plan: Plan
    call_id: str
    is_awaited: bool
    is_check: bool


class Closed(_Told, frozen=True):
    """What became of a look-up by which a call might be served."""

    number: int
    is_served: bool


class Logged(_Told, frozen=True):
    """A call for which nothing was looked up, and why."""

    plan: Plan
    call_id: str
    result: str


class Counted(_Told, frozen=True):
    """Add to the account of a course."""

    course: CourseRow
    amounts: dict[str, int]


class Answered(_Told, frozen=True):
    """The real answer is stored: compare it with the one that was near, and keep the question.

    `stored` is encoded. `is_drawn` says whether the answers are compared where the call would not
    have been served. With `is_asking` the reply is a `Doubt`, empty where no model has to judge.
    """

    number: int
    plan: Plan
    call_id: str
    endpoint: Endpoint
    stored: bytes
    cost_nd: int
    is_check: bool
    is_drawn: bool
    is_asking: bool


class Judged(_Told, frozen=True):
    """What a model said to a `Doubt`."""

    number: int
    is_same: bool
    cost_nd: int


class Renewed(_Told, frozen=True):
    """A call without a look-up was answered, and its answer kept: it may be another than before."""

    entry: bytes
    keys: TenantKeys
    endpoint: Endpoint
    call_id: str


class Again(_Told, frozen=True):
    """Somebody asked in an entry's very words, and was given its answer."""

    entry: bytes
    tenant: bytes
    principal: str


class Gone(_Told, frozen=True):
    """An answer is no more."""

    entry: bytes


class Follow(_Told, frozen=True):
    """Take in what all workers wrote."""


class Settle(_Told, frozen=True):
    """Say so when all that was sent before is done and written."""

    number: int


class Close(_Told, frozen=True):
    """Write what is left, and end."""


# What the layer tells.


class Ready(_Told, frozen=True):
    """The embedder is loaded."""


class Verdict(_Told, frozen=True):
    """Whose answer may be given; else in a word why none. It tells of nobody else's question."""

    number: int
    why_not: str
    entry: bytes = b""
    writer: str = ""


class Doubt(_Told, frozen=True):
    """Two (question, answer) that a model has to compare; none: there is nothing to judge."""

    number: int
    pairs: tuple[tuple[str, str], ...] = ()


class Settled(_Told, frozen=True):
    """All is done."""

    number: int


class Followed(_Told, frozen=True):
    """What all workers wrote has been taken in."""


class Placed(_Told, frozen=True):
    """Where a course stands by now."""

    course: bytes
    position: Position


class Worded(_Told, frozen=True):
    """Wordings were approved."""

    rows: tuple[WordingRow, ...]


class Parted(_Told, frozen=True):
    """A wording must not have that answer."""

    key: bytes
    entry: bytes


class Shared(_Told, frozen=True):
    """Whether others than its writer may have the answer of an entry that wordings have."""

    entry: bytes
    is_shared: bool


class Cleared(_Told, frozen=True):
    """What was told of wordings is void; what still holds is told again."""


Act = (
    Begin | Look | Closed | Logged | Counted | Answered | Judged | Renewed | Again | Gone | Follow
    | Settle | Close
)  # fmt: skip
News = (
    Ready | Verdict | Doubt | Settled | Followed | Placed | Worded | Parted | Shared | Cleared
)  # fmt: skip


class Parcels:
    """Makes bytes of acts or news and the other way round; holds what has come of a next one."""

    def __init__(self, read: Any) -> None:
        """`read` is the type of what comes: `Act` or `News`."""
        self._tenants: dict[tuple[str, bytes], TenantKeys] = {}
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
        self._decoder = msgspec.msgpack.Decoder(read, dec_hook=self._restored)
        self._rest = bytearray()

    def packed(self, one: Act | News) -> bytes:
        """The bytes to send."""
        body = self._encoder.encode(one)
        return len(body).to_bytes(_HEAD_BYTES, "big") + body

    def unpacked(self, data: bytes) -> Iterator[Any]:
        """What has come whole by now.

        Raises:
            msgspec.DecodeError: the other side is not one of ours.
        """
        rest = self._rest
        rest += data
        at = 0
        while len(rest) >= at + _HEAD_BYTES:
            end = at + _HEAD_BYTES + int.from_bytes(rest[at : at + _HEAD_BYTES], "big")
            if len(rest) < end:
                break
            yield self._decoder.decode(bytes(rest[at + _HEAD_BYTES : end]))
            at = end
        del rest[:at]

    def forget(self) -> None:
        """Drop the tenants' keys that came."""
        self._tenants.clear()

    def _restored(self, wanted: type, told: Any) -> Any:
        del wanted
        tenant, secret = told
        known = self._tenants.get((tenant, secret))
        if known is None:
            if len(self._tenants) >= _TENANTS_MAX:
                self._tenants.clear()
            known = self._tenants[tenant, secret] = TenantKeys(tenant=tenant, secret=secret)
        return known


def _plain(value: object) -> tuple[str, bytes]:
    if isinstance(value, TenantKeys):
        return value.tenant, value.secret
    raise TypeError(f"{type(value).__name__} is not sent")
