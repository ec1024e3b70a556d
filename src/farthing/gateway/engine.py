"""The engine: from a request to a reply, the same under the HTTP server and in the library."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from farthing.call import Endpoint
from farthing.clock import Clock
from farthing.codecs import Codec, Problem, codec_for
from farthing.errors import CallerError, FarthingError
from farthing.gateway.browser import ORIGIN, Browsers
from farthing.gateway.caller import Callers
from farthing.gateway.decode import Decoder, endpoint_paths
from farthing.gateway.headers import first, telling
from farthing.gateway.inbound import Inbound, Outcome, Proceed
from farthing.gateway.refusal import refusal
from farthing.ledger import Entry
from farthing.money import total
from farthing.wire import Reply, Request

__all__ = ["Engine", "NoSuchPage", "Page"]

_LOG = logging.getLogger("farthing")
_MODEL = b"x-farthing-model"

Page = Callable[[Request], Awaitable[Reply]]


class NoSuchPage(CallerError):
    """No such path here; nothing reaches a provider unmetered."""

    code = "not_found"
    status = 404


class Engine:
    """Serves requests; all that it needs is handed in."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        serve: Proceed,
        callers: Callers,
        clock: Clock,
        pages: Mapping[tuple[str, str], Page],
        browsers: Browsers,
    ) -> None:
        """`serve` is the pipeline; `pages` what else is answered, by method and first path part."""
        self._browsers = browsers
        self._decoder = decoder
        self._serve = serve
        self._callers = callers
        self._clock = clock
        self._pages = pages
        self._codecs = {path: codec_for(endpoint) for path, endpoint in endpoint_paths().items()}

    async def handle(self, request: Request) -> Reply:
        """Answer one request; never raises but when it is cancelled."""
        arrived_us = self._clock.monotonic_us()
        if ORIGIN in request.named and not request.path.startswith("/api/"):
            return await self._for_browser(request)
        codec = self._codecs.get(request.target) or self._codecs.get(request.path)
        if codec is None or request.method != "POST":
            return await self._page(request)
        try:
            inbound = self._decoder.decode(request, codec, self._callers.meet(request), arrived_us)
        except FarthingError as error:
            return _reply(refusal(codec, error))
        try:
            return self._told(inbound, await self._serve(inbound))
        except Exception:  # edge: a bug of ours must answer, not hang up; settled by its stage
            _LOG.exception("call %s failed in Farthing", inbound.call.id)
            return _reply(_bug(codec, inbound.call.id))

    def refuse(self, status: int, reason: str, target: str) -> Reply:
        """The answer to a request that the server could not take at all."""
        told = reason[:1].upper() + reason[1:]
        kept = (
            "Nothing was sent to a provider and nothing was charged."
            if status < 500
            else "What was sent to a provider is in the ledger."
        )
        error = CallerError(f"{told}. {kept}")
        error.status = status
        codec = self._codecs.get(target.partition("?")[0]) or codec_for(Endpoint.OPENAI_CHAT)
        return _reply(refusal(codec, error))

    async def _for_browser(self, request: Request) -> Reply:
        try:
            return await self._browsers.serve(request, self.handle)
        except FarthingError as error:
            return _reply(refusal(self._codecs.get(request.path) or _codec_of(request), error))

    async def _page(self, request: Request) -> Reply:
        page = self._pages.get((request.method, "/" + request.path.split("/", 2)[1]), _no_page)
        codec = _codec_of(request)
        try:
            return await page(request)
        except FarthingError as error:
            return _reply(refusal(codec, error))
        except Exception:  # edge: see handle
            _LOG.exception("%s %s failed in Farthing", request.method, request.path)
            return _reply(_bug(codec, ""))

    def _told(self, inbound: Inbound, outcome: Outcome) -> Reply:
        """Add what Farthing knows of the call to the answer's headers."""
        headers = outcome.headers
        headers.append((b"x-farthing-call", inbound.call.id.encode()))
        hold = inbound.settlement.hold
        if (
            hold is not None
            and outcome.status != 429
            and (left := hold.reservation.remaining) is not None
        ):
            headers.append((b"x-farthing-budget", str(left).encode()))
        entry = inbound.settlement.entry
        if entry is not None:  # a stream is settled when it closes, after these headers
            cost = inbound.settlement.cost_told.encode()
            headers += (
                (b"x-farthing-cost", cost),
                (b"x-farthing-baseline", _baseline(entry) if entry.moves else cost),
                (b"x-farthing-overhead-us", b"%d" % entry.overhead_us),
            )
            if entry.moves:
                saved = total(tuple(move.saved - move.spent for move in entry.moves))
                headers.append((b"x-farthing-saved", str(saved).encode()))
            if entry.attempts and not (entry.moves and first(headers, _MODEL)):
                last = entry.attempts[-1]
                headers.append((_MODEL, telling(f"{last.provider}/{last.model}")))
        return Reply(status=outcome.status, headers=headers, body=outcome.body)


def _codec_of(request: Request) -> Codec:
    """How to speak to whoever asks for something that is no call."""
    is_anthropic = b"anthropic-version" in request.named
    return codec_for(Endpoint.ANTHROPIC_MESSAGES if is_anthropic else Endpoint.OPENAI_CHAT)


def _baseline(entry: Entry) -> bytes:
    return b"unpriced" if entry.baseline is None else str(entry.baseline).encode()


async def _no_page(request: Request) -> Reply:
    raise NoSuchPage(
        f"There is no {request.method} {request.path} here; only metered endpoints reach a "
        f"provider. Nothing was sent. {_hint(request)}"
    )


def _hint(request: Request) -> str:
    """What was probably meant: base URLs are given with a `/v1` too many or too few."""
    for path in sorted(endpoint_paths(), key=len, reverse=True):
        if request.path.rstrip("/").endswith(path.removeprefix("/v1")):
            return (
                f"Did you mean POST {path}? OpenAI's SDKs take a base URL that ends in /v1, "
                "Anthropic's one without."
            )
    return "See docs/protocols.md for the list."


def _reply(outcome: Outcome) -> Reply:
    return Reply(status=outcome.status, headers=outcome.headers, body=outcome.body)


def _bug(codec: Codec, call_id: str) -> Outcome:
    problem = Problem(
        status=500,
        kind="api_error",
        code="farthing_bug",
        message=f"Farthing failed on this call {call_id}. What was sent is in the ledger. "
        "Please report it with the log lines of this call.",
    )
    return Outcome(
        status=500,
        headers=[(b"content-type", b"application/json")],
        body=codec.write_error(problem),
    )
