"""A script: what the simulator will send in answer to one request, and when, without a socket."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from farthing.usage import NO_USAGE, Usage

__all__ = ["Ending", "Question", "Script", "Served", "Step"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes = b""
    query: str = ""

    def header(self, name: bytes) -> str:
        """The value of a header; empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")


class Ending(enum.Enum):
    """How the connection is left after the last step."""

    CLEAN = enum.auto()
    DROPPED = enum.auto()  # in the middle of the answer
    UNANSWERED = enum.auto()  # before the first byte of the answer


class Step(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Wait `wait_us`, then send `data`, which carries `tokens` tokens of output."""

    wait_us: int
    data: bytes
    tokens: int = 0


class Served(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The log's line about one request. It changes while the answer is being sent.

    `usage` is what the provider would bill for the whole answer, `told` what the answer said
    where that differs (wrong or no usage); `output_sent` the output tokens that left.
    """

    number: int
    at_us: int
    method: str
    path: str
    status: int = 0
    id: str = ""
    request_id: str = ""
    model: str = ""
    fault: str = ""
    service_tier: str = ""
    is_streamed: bool = False
    usage: Usage = NO_USAGE
    told: Usage | None = None
    score: float | None = None
    output_sent: int = 0
    bytes_sent: int = 0
    is_complete: bool = False
    is_cancelled: bool = False


class Script(msgspec.Struct, kw_only=True):
    """An answer: head, steps, ending. A whole answer has one step, a stream many."""

    status: int
    headers: list[tuple[bytes, bytes]]
    steps: Sequence[Step]
    ending: Ending = Ending.CLEAN
    is_streamed: bool = False
    served: Served
