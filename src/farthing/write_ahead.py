"""Have an SQLite file written ahead (WAL), when many open it at once.

The switch from one journal mode to the other needs the file alone. Where two ask for it at the same
moment SQLite refuses one of them at once, whatever its time-out is: waiting could be a deadlock.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

__all__ = ["write_ahead"]

_PAUSE_S: Final = 0.01
_PRIMARY: Final = 0xFF  # of an extended result code


def write_ahead(
    db: sqlite3.Connection, patience_s: float, pause: Callable[[float], None] = time.sleep
) -> None:
    """Switch the file to WAL; try again while others are about it, for `patience_s` at most.

    Raises:
        sqlite3.Error: it can't be switched; of a busy file only once the time is up.
    """
    for _ in range(int(patience_s / _PAUSE_S)):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
                raise
            pause(_PAUSE_S)
        else:
            return
    db.execute("PRAGMA journal_mode = WAL")
