"""Gives a stored answer to a call: its bytes under a new id, its headers, and what that saved."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from farthing.call import Call
from farthing.codecs import Answer
from farthing.gateway.cost_comment import cost_comment, is_cost_told
from farthing.gateway.headers import Headers, telling
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.pricer import Pricer
from farthing.gateway.targets import Target, protocol_of
from farthing.ledger import Entry, LeverMove
from farthing.levers.cache import AtHand, Stored, Tried
from farthing.money import ZERO, Money
from farthing.usage import STANDARD

__all__ = ["CACHE_HEADER", "Replayer", "in_form", "source_of"]

CACHE_HEADER: Final = b"x-farthing-cache"
_FORMS: Final = {True: b"text/event-stream; charset=utf-8", False: b"application/json"}
# What keeps proxies between us and the client from holding a stream back.
_UNBUFFERED: Final = ((b"x-accel-buffering", b"no"),)
_OF_FORM: Final = frozenset({b"content-type", b"cache-control", b"x-accel-buffering"})
_REQUEST_ID: Final = {"anthropic": b"request-id", "openai": b"x-request-id"}
_SHORT_US: Final = 300_000_000
_LONG_US: Final = 3_600_000_000
_SERVED: Final = "served from the answer to"
_SOURCE: Final = re.compile(rf"(?:{_SERVED}|shared the answer to) (\S+?)(?:,|$)")


class Replayer:
    """Serves stored answers; the same for exact, approved and semantic hits."""

    def __init__(self, pricer: Pricer, stream_cost: str) -> None:
        self._pricer = pricer
        self._stream_cost = stream_cost

    def give(
        self,
        inbound: Inbound,
        answer: AtHand,
        *,
        lever: str,
        told: bytes,
        now_us: int,
        would: tuple[tuple[str, str], ...] = (),
    ) -> Outcome:
        """The answer as this call's own; what it saved is booked on `lever`.

        `would` are the providers and models that would have been asked, where not those that were.

        Raises:
            NotReplayable: it can't be given in the form that is asked for.
        """
        stored = answer.stored
        call = inbound.call
        body = answer.cut(inbound.codec, inbound.view).put_together(
            call.id[5:].encode(), now_us // 1_000_000
        )
        worth = self.worth(call, stored, would)
        age_s = max(0, now_us - stored.created_us) // 1_000_000
        inbound.settlement.moved(
            LeverMove(lever=lever, saved=worth or ZERO, spent=ZERO),
            f"{_SERVED} {stored.call_id}, {age_s} s old",
            is_known=worth is not None,
        )
        if call.is_streamed and is_cost_told(self._stream_cost, inbound.caller):
            body += cost_comment(call.id, str(ZERO))
        return Outcome(status=200, headers=_headers(inbound, stored, told, age_s), body=body)

    def worth(
        self, call: Call, stored: Stored, would: tuple[tuple[str, str], ...] = ()
    ) -> Money | None:
        """What the call would have cost now; None where there is no price.

        Where others would be asked now, each is taken to use what the answer used: an estimate.
        """
        age_us = call.started_us - stored.created_us
        tries = stored.tried
        if would and tries:
            given = tries[stored.answered]
            tries = tuple(
                Tried(provider=provider, model=model, served="", usage=given.usage, terms=STANDARD)
                for provider, model in would
            )
        worth = ZERO
        for tried in tries:
            answer = Answer(
                usage=_repeated(tried, age_us).usage,
                terms=tried.terms,
                model_served=tried.served,
                provider_cost=tried.provider_cost,
            )
            cost = self._pricer.settle(call, Target(tried.provider, tried.model), answer).cost
            if cost is None:
                return None
            worth += cost
        return worth


def source_of(entry: Entry) -> str:
    """The call whose answer this one was given: another's where a cache or a leader served it."""
    found = None if entry.attempts else _SOURCE.match(entry.detail)
    return entry.call_id if found is None else found.group(1)


def _repeated(tried: Tried, age_us: int) -> Tried:
    """What the same call again would use: what it wrote to the provider's cache it would read."""
    usage = tried.usage
    read_5m = usage.cache_write_5m if age_us < _SHORT_US else 0
    read_1h = usage.cache_write_1h if age_us < _LONG_US else 0
    if not (read_5m or read_1h):
        return tried
    usage = msgspec.structs.replace(
        usage,
        cache_read=usage.cache_read + read_5m + read_1h,
        cache_write_5m=usage.cache_write_5m - read_5m,
        cache_write_1h=usage.cache_write_1h - read_1h,
    )
    return msgspec.structs.replace(tried, usage=usage)


def in_form(headers: Headers, *, is_streamed: bool) -> Headers:
    """The headers of an answer that was made over into the other form."""
    kept = [pair for pair in headers if pair[0] not in _OF_FORM]
    kept.append((b"content-type", _FORMS[is_streamed]))
    if is_streamed:
        kept += _UNBUFFERED
    return kept


def _headers(inbound: Inbound, stored: Stored, told: bytes, age_s: int) -> Headers:
    is_streamed = inbound.call.is_streamed
    headers = list(stored.headers)
    if stored.is_stream != is_streamed:
        headers = in_form(headers, is_streamed=is_streamed)
    elif is_streamed:
        headers += _UNBUFFERED
    headers += (
        (_REQUEST_ID[protocol_of(inbound.call.endpoint)], inbound.call.id.encode()),
        (b"age", b"%d" % age_s),
        (CACHE_HEADER, told),
    )
    if stored.tried:
        paid = stored.tried[stored.answered]
        headers.append((b"x-farthing-model", telling(f"{paid.provider}/{paid.model}")))
    return headers
