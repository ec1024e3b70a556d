"""A ledger in a folder that can only be read is reported on as it stands, and that is said."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger_cli_samples import an_entry, run

from farthing.ledger import Journal

_NOBODY = 65534


@pytest.fixture
def ledger():
    """A drained ledger, and behind it a journal with one call more; anybody may look into it."""
    root = Path(tempfile.mkdtemp())
    folder = root / "ledger"
    folder.mkdir()
    root.chmod(0o755)
    note(folder, "first")
    assert run("report", "--data-dir", str(folder)).exit_code == 0
    note(folder, "second")
    yield folder
    shutil.rmtree(root)


def note(folder, call_id):
    journal = Journal.open(folder, call_id)
    journal.settle(an_entry(call_id, "search", tokens=100))
    journal.close()


@contextmanager
def only_readable(folder):
    """Nothing in the folder can be written, not even by root."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("command", ["report", "calls"])
def test_it_is_read_without_draining_and_nothing_is_left_in_it(ledger, command):
    before = sorted(ledger.rglob("*"))
    size = sum(path.stat().st_size for path in (ledger / "journal").iterdir())
    with only_readable(ledger):
        done = run(command, "--data-dir", str(ledger))
    assert done.exit_code == 0
    assert "search" in done.stdout
    assert "can't be written, so its journals were not drained" in done.stderr
    assert f"new in their {size:,} bytes" in done.stderr
    assert sorted(ledger.rglob("*")) == before
    after = run(command, "--data-dir", str(ledger))
    assert after.stderr == ""


def test_a_damaged_store_is_told_once(ledger):
    store = ledger / "ledger.sqlite"
    store.write_bytes(b"no database" * 500)
    done = run("report", "--data-dir", str(ledger))
    told = f"{done.stderr}{done.exception or ''}"
    assert done.exit_code == 1
    assert told.count("is not usable") == 1
    assert told.count("file is not a database") == 1
