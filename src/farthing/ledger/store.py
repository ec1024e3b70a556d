"""What a ledger's store must do; SQLite does it on one machine, others may elsewhere."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from farthing.errors import FarthingError
from farthing.ledger.entry import Entry
from farthing.ledger.record import CardNote
from farthing.ledger.row import Row

__all__ = [
    "Batch",
    "Checkpoint",
    "Damage",
    "Part",
    "Position",
    "Posted",
    "Source",
    "Store",
    "StoreError",
    "StoreState",
]


class StoreState(enum.StrEnum):
    """How a store fares."""

    OK = "ok"
    LOCKED = "locked"
    READ_ONLY = "read_only"
    FULL = "full"
    FAILED = "failed"


class StoreError(FarthingError):
    """The store did not do it; nothing of the transaction was kept."""

    code = "store_error"
    status = 503

    def __init__(self, state: StoreState, message: str) -> None:
        super().__init__(message)
        self.state = state


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in a writer's run: the segment's sequence and the byte in it."""

    sequence: int = 0
    offset: int = 0


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run was drained.

    Settlements before `read` stand in the store; reading begins again at `resume`, the oldest
    intent still open, so that no intent is forgotten.
    """

    run: str
    resume: Position
    read: Position


class Damage(msgspec.Struct, frozen=True):
    """A line that can't be read, kept as it was found."""

    segment: str
    offset: int
    line: bytes


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction posts."""

    entries: Sequence[Entry] = ()
    cards: Sequence[CardNote] = ()
    damages: Sequence[Damage] = ()
    checkpoint: Checkpoint | None = None

    @property
    def run(self) -> str:
        """The journal it comes from; empty for none."""
        return self.checkpoint.run if self.checkpoint is not None else ""


class Posted(msgspec.Struct, frozen=True):
    """What a transaction added: calls that were already there are not among the entries."""

    entries: tuple[Entry, ...] = ()
    rows: int = 0


class Part(msgspec.Struct, frozen=True, order=True):
    """One Parquet file of a sealed day (`YYYY-MM-DD`), by its name in the day's folder."""

    day: str
    file: str


class Source(Protocol):
    """Something that answers the ledger's SQL over a table `entries`."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query in the common subset of SQLite and DuckDB."""
        ...


class Store(Source, Protocol):
    """The entries that are not yet sealed, and the drainer's and archive's accounts.

    Every method raises `StoreError` where the store can't do it, and then nothing was kept.
    """

    def snapshot(self) -> AbstractContextManager[None]:
        """A span in which all reads, those of `parts` too, see the store as at its beginning."""
        ...

    def post(self, batch: Batch) -> Posted:
        """Add a batch and its checkpoint in one transaction; the first entry of a call stays."""
        ...

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """All checkpoints by run."""
        ...

    def forget(self, runs: Iterable[str]) -> None:
        """Drop the checkpoints and leases of runs whose files are gone."""
        ...

    def damages(self) -> int:
        """How many unreadable lines are kept."""
        ...

    def card(self, card_id: str) -> bytes | None:
        """A rate card's content."""
        ...

    def parts(self) -> Sequence[Part]:
        """The archive's files; a file not listed here does not count."""
        ...

    def seal(self, part: Part | None, since_us: int, until_us: int) -> None:
        """List a part and drop the rows of its time, in one transaction; no part: all were there."""
        ...

    def drop_days(self, days: Iterable[str]) -> None:
        """Take the parts of these days off the list."""
        ...

    def close(self) -> None:
        """Free what it holds; another call opens it again."""
        ...
