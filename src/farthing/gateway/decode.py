"""From a request's bytes to a call: who asks, what for, and where it stands in its conversation."""

from __future__ import annotations

import msgspec

from farthing.call import Attribution, Call, Endpoint
from farthing.clock import Clock
from farthing.codecs import AmbiguousRequest, BadRequest, Codec, RequestView
from farthing.compression import HTTP_WINDOW_LOG, BrokenOff, NoZstd, TooLong, gunzip, unzstd
from farthing.config import Config
from farthing.errors import CallerError
from farthing.gateway.caller import Caller
from farthing.gateway.desk import Desk
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import Inbound
from farthing.levers.routing.virtual import PREFIX, read_virtual
from farthing.wire import Request

__all__ = ["Decoder"]


_FEATURE_MAX = 256
_GZIPPED = frozenset({b"gzip", b"x-gzip", b"deflate"})
_BYTES_PER_TOKEN = 4  # a length estimate; usage comes from the answer


class BadEncoding(CallerError):
    """The body's content-encoding is unknown or broken."""

    code = "unsupported_content_encoding"
    status = 415


class BodyTooLarge(CallerError):
    """The body grows over the limit when it is decompressed."""

    code = "request_too_large"
    status = 413


class Decoder:
    """Makes the `Inbound` of each request."""

    def __init__(self, config: Config, desk: Desk, clock: Clock, ids: CallIds) -> None:
        self._body_bytes_max = config.gateway.body_bytes_max
        self._desk = desk
        self._clock = clock
        self._ids = ids

    def decode(self, request: Request, codec: Codec, caller: Caller, arrived_us: int) -> Inbound:
        """The call in `request`; its account is open from here on.

        Raises:
            CallerError: the body can't be decompressed, or can't be read and the caller's key
                limits what it may ask for; nothing was recorded.
        """
        body = request.body
        is_decoded = caller.encoding != b"identity"
        if is_decoded:
            body = self._decoded(caller.encoding, body)
        view = self._read(codec, body, caller)
        attribution = caller.attribution_of(view)
        if view.model.startswith(PREFIX):
            attribution = _with_feature(attribution, view.model)
        now_us = self._clock.now_us()
        call = Call(
            id=self._ids.make(now_us),
            endpoint=codec.endpoint,
            model=view.model,
            body=request.body,
            is_streamed=view.is_streamed,
            output_most=view.output_most,
            attribution=attribution,
            conversation=view.conversation,
            started_us=now_us,
        )
        return Inbound(
            call=call,
            view=view,
            codec=codec,
            body=body,
            caller=caller,
            settlement=self._desk.open(call, arrived_us),
            is_body_decoded=is_decoded,
        )

    def _read(self, codec: Codec, body: bytes, caller: Caller) -> RequestView:
        """What the body asks for; of a body that can't be read, nothing but its length.

        Such a call goes to the provider as it is, whose own error the client should see; should
        the provider accept it after all, it is metered by its answer like any other.

        Raises:
            BadRequest: it could lead to another model than the key or a budget's scope names.
        """
        try:
            return codec.read_request(body)
        except BadRequest as error:
            is_limited = caller.key is not None and caller.key.models
            if is_limited or isinstance(error, AmbiguousRequest):
                raise
            return RequestView(
                model="", input_estimate=len(body) // _BYTES_PER_TOKEN, input_most=len(body)
            )

    def _decoded(self, encoding: bytes, body: bytes) -> bytes:
        """The JSON of a request that was sent compressed.

        Raises:
            BadEncoding: the encoding is none that is read here, or the data is broken.
            BodyTooLarge: there is more in it than `gateway.body_bytes_max`.
        """
        most = self._body_bytes_max
        try:
            if encoding in _GZIPPED:
                return gunzip(body, most)
            if encoding == b"zstd":
                return unzstd(body, most, window_log_most=HTTP_WINDOW_LOG)
        except TooLong as error:
            raise BodyTooLarge(
                f"The request body is {error}. Nothing was sent and nothing was charged. Send "
                "less, or raise gateway.body_bytes_max."
            ) from error
        except NoZstd as error:
            raise BadEncoding(
                f"The request body can't be read. Nothing was sent. {error}"
            ) from error
        except BrokenOff as error:
            raise BadEncoding(
                f"The compressed request body is broken ({error}). Nothing was sent. Send it again."
            ) from error
        raise BadEncoding(
            f"The request body is encoded as {encoding.decode('latin-1')!r}, which is not read "
            "here. Nothing was sent. Send it as gzip, deflate, zstd or plain JSON."
        )


def _with_feature(attribution: Attribution, model: str) -> Attribution:
    """The attribution with the feature that a virtual model names, where nobody names another."""
    try:
        virtual = read_virtual(model)
    except ValueError:
        return attribution  # whoever serves it says what is wrong
    if virtual is None or not virtual.feature or attribution.feature:
        return attribution
    return msgspec.structs.replace(attribution, feature=virtual.feature[:_FEATURE_MAX])


def endpoint_paths() -> dict[str, Endpoint]:
    """The metered POST paths; each also below `/openai` or `/anthropic`."""
    paths = {
        "/v1/chat/completions": Endpoint.OPENAI_CHAT,
        "/v1/embeddings": Endpoint.OPENAI_EMBEDDINGS,
        "/v1/messages": Endpoint.ANTHROPIC_MESSAGES,
        "/v1/messages/count_tokens": Endpoint.ANTHROPIC_COUNT_TOKENS,
    }
    prefixed = {
        f"/{endpoint.value.partition('.')[0]}{path}": endpoint for path, endpoint in paths.items()
    }
    return paths | prefixed
