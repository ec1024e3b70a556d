"""What a codec is, and the values that pass through one.

A codec knows one wire format. Bytes go in, values come out, and the other way round; it opens no
socket, reads no clock and keeps no configuration. Raw provider JSON never leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from farthing.call import Conversation, Endpoint
from farthing.errors import CallerError
from farthing.money import Money
from farthing.usage import NO_USAGE, STANDARD, Terms, Usage

__all__ = [
    "AmbiguousRequest",
    "Answer",
    "BadRequest",
    "BilledPart",
    "Codec",
    "Problem",
    "RequestView",
    "StreamReader",
]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error to tell a caller, before a protocol gives it its shape.

    `kind` is the protocol's error type where we know it ("invalid_request_error"), `code` our
    stable code, `param` the member of the request at fault. `details` become further members.
    """

    status: int
    kind: str
    code: str
    message: str
    param: str | None = None
    details: dict[str, Any] = {}


class BadRequest(CallerError):
    """The request body cannot be read; `problem` is ready for `Codec.write_error`."""

    code = "invalid_request"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(
            status=self.status,
            kind="invalid_request_error",
            code=self.code,
            message=message,
            param=param,
        )


class AmbiguousRequest(BadRequest):
    """A member that decides money stands twice: we and a provider may each go by another one."""


class RequestView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What we need to know of a request; the body itself is forwarded as it is.

    `output_most` is the caller's limit on output tokens per choice (0: none given); `choices` how
    many answers were asked for. `wants_usage` says that the client asked for usage in its stream,
    `has_stream_options` that the body has that member. `input_estimate` counts tokens from the
    length of the body; `input_most` is more than they can be, since each is at least a byte.
    `last_message` is the content of the last message as written. `cache_write_ttl` is the longest
    cache lifetime asked for ("", "5m", "1h").
    `user`, `session`, `metadata` and `cache_key` are the caller's own hints.
    """

    model: str
    is_streamed: bool = False
    output_most: int = 0
    choices: int = 1
    wants_usage: bool = False
    has_stream_options: bool = False
    service_tier: str = ""
    conversation: Conversation = Conversation()
    user: str = ""
    session: str = ""
    metadata: dict[str, str] = {}
    cache_key: str = ""
    input_estimate: int = 0
    input_most: int = 0
    last_message: bytes | msgspec.Raw = b""
    cache_write_ttl: str = ""


class BilledPart(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens billed within an answer beside those of the model that produced it.

    `kind` is the provider's word ("compaction", "advisor_message", "message" of a model that
    declined); `usage` is to be priced at `model`.
    """

    kind: str
    model: str
    usage: Usage


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an answer says about itself.

    `usage` is what `model_served` is billed for: measured, or estimated and flagged; None where
    the answer tells nothing and no estimate was possible. `parts` are billed beside it.
    `finish_reason` is the provider's word (several choices: comma-separated). `error` says what is
    wrong with the answer or its usage; `is_error` where the provider's own error stands in place of
    the answer, or of the rest of it. `counted` is the result of a count_tokens call.
    """

    usage: Usage | None = None
    parts: tuple[BilledPart, ...] = ()
    terms: Terms = STANDARD
    model_served: str = ""
    finish_reason: str = ""
    provider_cost: Money | None = None
    error: str = ""
    is_error: bool = False
    counted: int = 0

    @property
    def usage_billed(self) -> Usage:
        """`usage` and all `parts` in one sum, whatever model each ran on."""
        return sum((part.usage for part in self.parts), self.usage or NO_USAGE)


class StreamReader(Protocol):
    """Reads one streamed answer as it passes.

    `is_complete` says that the protocol's terminal event was seen; `output_most` is more than the
    tokens of output seen so far can be.
    """

    @property
    def is_complete(self) -> bool:
        """Whether the terminal event was seen."""
        ...

    @property
    def output_most(self) -> int:
        """An upper bound on the output tokens seen so far: one for each byte of their text."""
        ...

    def feed(self, data: bytes, /) -> bytes:
        """What the client gets for these bytes: the same object when nothing is to be hidden."""
        ...

    def finish_early(self, shown: bytes, details: Mapping[str, Any], /) -> bytes | None:
        """What the client gets last when its stream is stopped for want of money.

        `shown` is what `feed` gave last, which the client does not have yet: of it goes out what
        ends an event that has begun. Then the stream ends as the protocol ends one whose limit on
        output is reached, with `details` beside the reason. `close` is still to be called.
        None: an event has begun that does not end in `shown`; pass that on, feed and ask again.
        """
        ...

    def close(self) -> tuple[bytes, Answer]:
        """The bytes still held back, and what was learnt from the stream."""
        ...


class Codec(Protocol):
    """One endpoint's wire format."""

    @property
    def endpoint(self) -> Endpoint:
        """Whose wire format this is."""
        ...

    def read_request(self, body: bytes, /) -> RequestView:
        """The parts of a request that we need.

        Raises:
            BadRequest: the body is no such request.
        """
        ...

    def write_request(
        self, body: bytes, view: RequestView, model: str, *, meter: bool = True
    ) -> bytes:
        """The bytes to send upstream: `body` itself when nothing must change.

        `model` replaces the model's name. With `meter`, a stream is asked to report its usage.
        """
        ...

    def limit_output(self, body: bytes, tokens: int, member: str, /) -> bytes:
        """The body of a request that names no limit on its output, with one; `member` names it."""
        ...

    def read_answer(self, body: bytes, view: RequestView | None = None, /) -> Answer:
        """What a whole (2xx) answer says. `view` makes an estimate possible if usage is missing."""
        ...

    def stream(self, view: RequestView, *, meter: bool = True) -> StreamReader:
        """A reader for one streamed answer to a request written with the same `meter`."""
        ...

    def write_error(self, problem: Problem, /) -> bytes:
        """The JSON body of an error answer."""
        ...

    def write_error_event(self, problem: Problem, /) -> bytes:
        """The event that ends a stream which has already begun."""
        ...
