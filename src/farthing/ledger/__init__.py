"""The ledger: what every call used and cost, kept for good.

L1  An entry is never changed; a correction is a new entry that names the old (`corrects`).
L2  A call resolves once: its first posted entry stands, whoever dies in between.
L3  Whatever stands in a journal or in the store is on disk or nowhere: trouble with the store
    grows neither memory nor loses an entry.
L4  Every entry falls in exactly one bucket of every dimension (`unattributed` is one), and every
    total equals the sum of its lines.
L5  Each attempt names its rate card, whose content is kept, or says why it is unpriced.
L6  A fact is always posted: what can't be read or stored is kept aside and counted.
"""

from farthing.ledger.archive import ArchiveError
from farthing.ledger.drainer import Drainer, DrainerBusy, DrainReport
from farthing.ledger.entry import CallStatus, Entry, LeverMove
from farthing.ledger.journal import Journal, JournalError, JournalFull
from farthing.ledger.ledger import Ledger, LedgerMissing, Order, Sealed, instant_us
from farthing.ledger.query import DIMENSIONS, QueryError, ReportQuery
from farthing.ledger.report import Report, ReportRow
from farthing.ledger.settings import LedgerSettings
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store, StoreError, StoreState

__all__ = [
    "DIMENSIONS",
    "ArchiveError",
    "CallStatus",
    "DrainReport",
    "Drainer",
    "DrainerBusy",
    "Entry",
    "Journal",
    "JournalError",
    "JournalFull",
    "Ledger",
    "LedgerMissing",
    "LedgerSettings",
    "LeverMove",
    "Order",
    "QueryError",
    "Report",
    "ReportQuery",
    "ReportRow",
    "Sealed",
    "SqliteStore",
    "Store",
    "StoreError",
    "StoreState",
    "instant_us",
]
