"""Entries for tests: one builder with defaults, and strategies that know every field."""

import string
import tempfile
from pathlib import Path

from hypothesis import strategies as st

from farthing.call import (
    Attempt,
    AttemptStatus,
    Attribution,
    Conversation,
    Endpoint,
    Pricing,
)
from farthing.ledger import CallStatus, Entry, LeverMove
from farthing.money import Money
from farthing.usage import Terms, Unit, Usage

NOON_US = 1_788_264_000_000_000  # 2026-09-01T12:00:00Z
DAY_US = 86_400_000_000


class FixedClock:
    """A clock that moves only when told, and a microsecond each time it is asked."""

    def __init__(self, now_us=NOON_US):
        self.at_us = now_us

    def now_us(self):
        self.at_us += 1
        return self.at_us

    def monotonic_us(self):
        return self.now_us()


class StoredCard:
    """A rate card as the journal sees it."""

    def __init__(self, card_id="openai/gpt-4o@2026", content=b'{"rates":[1,2]}'):
        self.id = card_id
        self._content = content

    def to_json(self):
        return self._content


def an_attempt(number=1, cost=5_000, **changes):
    given = {
        "number": number,
        "provider": "openai",
        "model": "gpt-4o",
        "model_served": "gpt-4o-2024-08-06",
        "status": AttemptStatus.OK,
        "usage": Usage(input=100, cache_read=20, output=30),
        "pricing": Pricing.CARD,
        "cost": None if cost is None else Money(cost),
        "card_id": "openai/gpt-4o@2026",
        "started_us": NOON_US,
        "duration_us": 800_000,
    }
    return Attempt(**{**given, **changes})


def an_entry(call_id="call-1", **changes):
    given = {
        "call_id": call_id,
        "endpoint": Endpoint.OPENAI_CHAT,
        "model": "gpt-4o",
        "is_streamed": False,
        "status": CallStatus.OK,
        "started_us": NOON_US,
        "duration_us": 900_000,
        "attribution": Attribution(feature="search"),
        "attempts": (an_attempt(),),
    }
    return Entry(**{**given, **changes})


def an_intent(call_id="call-1", **changes):
    return an_entry(call_id, **{"status": CallStatus.INTERRUPTED, **changes})


def a_folder():
    """A fresh folder for one example; hypothesis runs many within one test."""
    in_memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None)


names = st.sampled_from(["", "a", "b", "unattributed", "é\x00\n'\"=1+1", "-7"])
texts = st.text(st.characters(codec="utf-8"), max_size=12)
counts = st.integers(0, 2**40)
sums = st.integers(-(2**53), 2**53).map(Money)
instants = st.integers(NOON_US - 3 * DAY_US, NOON_US + DAY_US)
usages = st.builds(
    Usage, **{unit.value: st.integers(0, 10**6) for unit in Unit}, is_estimated=st.booleans()
)
terms = st.builds(
    Terms,
    service_tier=names,
    is_batch=st.booleans(),
    region=names,
    speed=st.sampled_from(["", "fast"]),
)
attempts = st.builds(
    Attempt,
    number=st.integers(0, 9),
    provider=st.sampled_from(["openai", "anthropic", ""]),
    model=names,
    status=st.sampled_from(AttemptStatus),
    model_served=names,
    http_status=st.sampled_from([0, 200, 529]),
    detail=texts,
    request_id=texts,
    usage=usages,
    terms=terms,
    pricing=st.sampled_from(Pricing),
    cost=st.none() | sums,
    card_cost=st.none() | sums,
    provider_cost=st.none() | sums,
    card_id=texts,
    started_us=counts,
    first_byte_us=counts,
    duration_us=counts,
    finish_reason=texts,
)
attributions = st.builds(
    Attribution,
    feature=names,
    user=names,
    tenant=names,
    session=names,
    trace=names,
    step=names,
    environment=st.sampled_from(["", "prod", "dev"]),
    tags=st.dictionaries(
        st.sampled_from(["team", "a.b", "x y"]) | texts,
        st.sampled_from(["", "a", "é'\"\n=1"]),  # SQLite ends a tag's value at a NUL
        max_size=3,
    ),
)
conversations = st.builds(
    Conversation,
    turn=st.integers(0, 3),
    step=st.integers(0, 2),
    last_turn=st.sampled_from(["", "ab", "cd"]),
)
moves = st.builds(LeverMove, lever=st.sampled_from(["cache", "routing"]), saved=sums, spent=sums)


def entries(call_ids):
    """Entries of every shape, with ids from the given strategy."""
    return st.builds(
        Entry,
        call_id=call_ids,
        endpoint=st.sampled_from(Endpoint),
        model=names,
        is_streamed=st.booleans(),
        status=st.sampled_from(CallStatus),
        started_us=instants,
        duration_us=st.integers(0, 5_000_000),
        overhead_us=counts,
        attribution=attributions,
        conversation=conversations,
        attempts=st.lists(attempts, max_size=3).map(tuple),
        baseline=st.none() | sums,
        moves=st.lists(moves, max_size=2).map(tuple),
        corrects=st.sampled_from(["", "", "older"]),
        detail=texts,
    )


call_ids = st.text(string.ascii_lowercase, min_size=1, max_size=3)
many_entries = st.lists(entries(call_ids), max_size=8, unique_by=lambda entry: entry.call_id)
