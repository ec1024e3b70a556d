"""Entries as flat rows: one row per attempt, the same columns in SQLite and in Parquet.

A call without attempts has one row, attempt 0. What a call was and for whom stands on all its
rows; its amounts (latency, baseline, what levers moved) only on its final row, so that plain sums
over rows are right. Money is in nanodollars; NULL costs are unpriced. Text is never NULL on the
rows it belongs to: an empty text means that nobody said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from farthing.call import Attempt, AttemptStatus, Attribution, Conversation, Endpoint, Pricing
from farthing.ledger.entry import CallStatus, Entry, LeverMove
from farthing.money import Money
from farthing.usage import NO_USAGE, STANDARD, Terms, Usage

__all__ = ["COLUMNS", "DEFAULTS", "INTEGER_COLUMNS", "TOKEN_COLUMNS", "Row", "entry_of", "rows_of"]

Row = tuple[str | int | None, ...]

# name -> is it a number
_COLUMNS: Final = (
    ("call_id", False),
    ("attempt", True),  # 1, 2, ...; 0 for a call without attempts
    ("is_final", True),  # 1 on exactly one row of each entry
    ("started_us", True),
    ("endpoint", False),
    ("model", False),  # as the client named it
    ("is_streamed", True),
    ("status", False),
    ("feature", False),
    ("end_user", False),  # Attribution.user; `user` is a function in many SQL dialects
    ("tenant", False),
    ("session", False),
    ("trace", False),
    ("step", False),
    ("environment", False),
    ("tags", False),  # a JSON object
    ("turn", True),
    ("turn_step", True),
    ("last_turn", False),
    ("corrects", False),
    ("duration_us", True),  # from here: final row only
    ("overhead_us", True),
    ("baseline_nanodollars", True),
    ("saved_nanodollars", True),  # over all levers
    ("spent_nanodollars", True),
    ("call_cost_nanodollars", True),  # over all attempts
    ("call_tokens", True),
    ("moves", False),  # a JSON array; empty text for none
    ("detail", False),
    ("number", True),  # from here: the attempt's own
    ("provider", False),
    ("model_sent", False),
    ("model_served", False),
    ("attempt_status", False),
    ("http_status", True),
    ("attempt_detail", False),
    ("request_id", False),
    ("tokens_input", True),
    ("tokens_cache_read", True),
    ("tokens_cache_write_5m", True),
    ("tokens_cache_write_1h", True),
    ("tokens_output", True),
    ("tokens_reasoning", True),
    ("tokens_audio_input", True),
    ("tokens_audio_output", True),
    ("tokens_image_input", True),
    ("web_searches", True),
    ("requests", True),
    ("is_estimated", True),
    ("service_tier", False),
    ("is_batch", True),
    ("region", False),
    ("speed", False),
    ("pricing", False),
    ("cost_nanodollars", True),
    ("card_nanodollars", True),
    ("provider_nanodollars", True),
    ("card_id", False),
    ("attempt_started_us", True),
    ("first_byte_us", True),
    ("attempt_duration_us", True),
    ("finish_reason", False),
)
COLUMNS: Final = tuple(name for name, _ in _COLUMNS)
INTEGER_COLUMNS: Final = tuple(name for name, is_number in _COLUMNS if is_number)
# What nearly every row holds in columns that few calls have a use for.
DEFAULTS: Final[Mapping[str, str | int | None]] = MappingProxyType(
    {
        "trace": "",
        "step": "",
        "tags": "{}",
        "turn_step": 0,
        "corrects": "",
        "saved_nanodollars": 0,
        "spent_nanodollars": 0,
        "moves": "",
        "detail": "",
        "attempt_detail": "",
        "tokens_cache_write_5m": 0,
        "tokens_cache_write_1h": 0,
        "tokens_audio_input": 0,
        "tokens_audio_output": 0,
        "tokens_image_input": 0,
        "web_searches": 0,
        "requests": 0,
        "is_estimated": 0,
        "service_tier": "default",
        "is_batch": 0,
        "region": "",
        "speed": "",
        "provider_nanodollars": None,
    }
)
TOKEN_COLUMNS: Final = tuple(name for name in COLUMNS if name.startswith("tokens_"))

_NO_FINAL: Final = (None,) * 9
_NO_ATTEMPT: Final = Attempt(
    number=0, provider="", model="", status=AttemptStatus.OK, cost=Money(0)
)
_ENCODE = msgspec.json.Encoder().encode
_DECODE_TAGS = msgspec.json.Decoder(dict[str, str]).decode
_DECODE_MOVES = msgspec.json.Decoder(tuple[LeverMove, ...]).decode


def rows_of(entry: Entry) -> list[Row]:
    """The rows of an entry, in the order of its attempts."""
    call = _shared(entry)
    final = _final(entry)
    attempts = entry.attempts
    key: Row = (entry.call_id, len(attempts), 1)
    last = key + call + final + _attempt(attempts[-1] if attempts else _NO_ATTEMPT)
    if len(attempts) <= 1:
        return [last]
    rows: list[Row] = [
        (entry.call_id, place, 0, *call, *_NO_FINAL, *_attempt(attempt))
        for place, attempt in enumerate(attempts[:-1], 1)
    ]
    return [*rows, last]


# `_value_` is a member's value without the descriptor behind `value`, which takes six times as long.


def _shared(entry: Entry) -> Row:
    whom = entry.attribution
    where = entry.conversation
    return (
        entry.started_us,
        entry.endpoint._value_,
        entry.model,
        int(entry.is_streamed),
        entry.status._value_,
        whom.feature,
        whom.user,
        whom.tenant,
        whom.session,
        whom.trace,
        whom.step,
        whom.environment,
        _ENCODE(whom.tags).decode() if whom.tags else "{}",
        where.turn,
        where.step,
        where.last_turn,
        entry.corrects,
    )


def _final(entry: Entry) -> Row:
    cost = tokens = saved = spent = 0
    for attempt in entry.attempts:
        usage = attempt.usage
        tokens += usage.prompt_tokens + usage.completion_tokens
        if attempt.cost is not None:
            cost += attempt.cost.nanodollars
    for move in entry.moves:
        saved += move.saved.nanodollars
        spent += move.spent.nanodollars
    return (
        entry.duration_us,
        entry.overhead_us,
        None if entry.baseline is None else entry.baseline.nanodollars,
        saved,
        spent,
        cost,
        tokens,
        _ENCODE(entry.moves).decode() if entry.moves else "",
        entry.detail,
    )


def _attempt(attempt: Attempt) -> Row:
    usage = attempt.usage
    terms = attempt.terms
    cost = attempt.cost
    card = attempt.card_cost
    provider = attempt.provider_cost
    return (
        attempt.number,
        attempt.provider,
        attempt.model,
        attempt.model_served,
        attempt.status._value_,
        attempt.http_status,
        attempt.detail,
        attempt.request_id,
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
        usage.image_input,
        usage.web_search,
        usage.request,
        int(usage.is_estimated),
        terms.service_tier,
        int(terms.is_batch),
        terms.region,
        terms.speed,
        attempt.pricing._value_,
        None if cost is None else cost.nanodollars,
        None if card is None else card.nanodollars,
        None if provider is None else provider.nanodollars,
        attempt.card_id,
        attempt.started_us,
        attempt.first_byte_us,
        attempt.duration_us,
        attempt.finish_reason,
    )


class _Cells:
    """One row, read by column name."""

    def __init__(self, row: Sequence[str | int | None]) -> None:
        self._cells = dict(zip(COLUMNS, row, strict=True))

    def text(self, column: str) -> str:
        return str(self._cells[column])

    def number(self, column: str) -> int:
        return int(self._cells[column] or 0)

    def money(self, column: str) -> Money | None:
        return None if self._cells[column] is None else Money(self.number(column))


def entry_of(rows: Sequence[Row]) -> Entry:
    """The entry whose rows these are; the inverse of `rows_of`."""
    ordered = sorted((_Cells(row) for row in rows), key=lambda cells: cells.number("attempt"))
    last = ordered[-1]
    moves = last.text("moves")
    return Entry(
        call_id=last.text("call_id"),
        endpoint=Endpoint(last.text("endpoint")),
        model=last.text("model"),
        is_streamed=bool(last.number("is_streamed")),
        status=CallStatus(last.text("status")),
        started_us=last.number("started_us"),
        duration_us=last.number("duration_us"),
        overhead_us=last.number("overhead_us"),
        attribution=_attribution_of(last),
        conversation=Conversation(
            turn=last.number("turn"),
            step=last.number("turn_step"),
            last_turn=last.text("last_turn"),
        ),
        attempts=tuple(_attempt_of(cells) for cells in ordered if cells.number("attempt")),
        baseline=last.money("baseline_nanodollars"),
        moves=_DECODE_MOVES(moves) if moves else (),
        corrects=last.text("corrects"),
        detail=last.text("detail"),
    )


def _attribution_of(cells: _Cells) -> Attribution:
    return Attribution(
        feature=cells.text("feature"),
        user=cells.text("end_user"),
        tenant=cells.text("tenant"),
        session=cells.text("session"),
        trace=cells.text("trace"),
        step=cells.text("step"),
        environment=cells.text("environment"),
        tags=_DECODE_TAGS(cells.text("tags")),
    )


def _attempt_of(cells: _Cells) -> Attempt:
    usage = Usage(
        input=cells.number("tokens_input"),
        cache_read=cells.number("tokens_cache_read"),
        cache_write_5m=cells.number("tokens_cache_write_5m"),
        cache_write_1h=cells.number("tokens_cache_write_1h"),
        output=cells.number("tokens_output"),
        reasoning=cells.number("tokens_reasoning"),
        audio_input=cells.number("tokens_audio_input"),
        audio_output=cells.number("tokens_audio_output"),
        image_input=cells.number("tokens_image_input"),
        web_search=cells.number("web_searches"),
        request=cells.number("requests"),
        is_estimated=bool(cells.number("is_estimated")),
    )
    terms = Terms(
        service_tier=cells.text("service_tier"),
        is_batch=bool(cells.number("is_batch")),
        region=cells.text("region"),
        speed=cells.text("speed"),
    )
    return Attempt(
        number=cells.number("number"),
        provider=cells.text("provider"),
        model=cells.text("model_sent"),
        status=AttemptStatus(cells.text("attempt_status")),
        model_served=cells.text("model_served"),
        http_status=cells.number("http_status"),
        detail=cells.text("attempt_detail"),
        request_id=cells.text("request_id"),
        usage=NO_USAGE if usage == NO_USAGE else usage,
        terms=STANDARD if terms == STANDARD else terms,
        pricing=Pricing(cells.text("pricing")),
        cost=cells.money("cost_nanodollars"),
        card_cost=cells.money("card_nanodollars"),
        provider_cost=cells.money("provider_nanodollars"),
        card_id=cells.text("card_id"),
        started_us=cells.number("attempt_started_us"),
        first_byte_us=cells.number("first_byte_us"),
        duration_us=cells.number("attempt_duration_us"),
        finish_reason=cells.text("finish_reason"),
    )
