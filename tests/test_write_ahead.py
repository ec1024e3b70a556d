"""An SQLite file that many open at once is switched to WAL by one of them; the others wait."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from farthing.write_ahead import write_ahead


def opened(path, **more):
    return sqlite3.connect(path, isolation_level=None, timeout=0, **more)


@pytest.fixture
def held(tmp_path):
    """A file that somebody has to itself."""
    path = tmp_path / "one.sqlite"
    holder = opened(path)
    holder.execute("CREATE TABLE things (name TEXT)")
    holder.execute("BEGIN EXCLUSIVE")
    yield path, holder
    holder.close()


def mode(db):
    return db.execute("PRAGMA journal_mode").fetchone()[0]


def test_it_tries_again_while_somebody_has_the_file_to_himself(held):
    path, holder = held
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            holder.execute("COMMIT")

    db = opened(path)
    write_ahead(db, 1.0, pause)
    assert (len(pauses), mode(db)) == (3, "wal")
    db.close()


def test_it_gives_up_once_the_time_is_up(held):
    path, _ = held
    pauses = []
    db = opened(path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(db, 0.5, pauses.append)
    assert sum(pauses) == pytest.approx(0.5)
    db.close()


def test_what_no_waiting_helps_is_told_at_once(tmp_path):
    (tmp_path / "one.sqlite").write_bytes(b"")
    db = opened(f"file:{tmp_path / 'one.sqlite'}?mode=ro", uri=True)
    pauses = []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        write_ahead(db, 1.0, pauses.append)
    assert pauses == []
    db.close()


def test_many_may_open_a_new_file_at_once(tmp_path):
    barrier = threading.Barrier(8)
    modes = []

    def work():
        db = sqlite3.connect(tmp_path / "new.sqlite", isolation_level=None, timeout=10)
        barrier.wait()
        write_ahead(db, 10)
        modes.append(mode(db))
        db.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes == ["wal"] * 8
