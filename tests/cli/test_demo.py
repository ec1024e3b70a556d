"""`farthing demo`: the figures are the same each time, and nothing of it stays behind."""

from __future__ import annotations

import re
import signal
import socket
import time

import pytest
from commands import address, finished, running_in, started

ROW = re.compile(r"^(\w+) +(\S+) +\$([\d.]+) +([\d,]+) ", re.MULTILINE)


def test_a_seed_gives_the_same_report_whose_rows_add_up_to_its_total(tmp_path):
    reports = []
    for _ in range(2):
        found = finished("demo", "--tickets", "12", "--dir", tmp_path / "demo", folder=tmp_path)
        assert (found.returncode, found.stderr) == (0, "")
        reports.append(found.stdout)
    assert running_in(tmp_path) == []
    made, failed = re.search(r"(\d+) calls made, (\d+) of them failed", reports[0]).groups()
    spend, calls = re.search(r"Spend \$([\d.]+) in (\d+) calls", reports[0]).groups()
    rows = [ROW.findall(report) for report in reports]
    assert rows[0] == rows[1]
    assert failed == "0"
    assert made == calls == str(sum(int(row[3]) for row in rows[0]))
    nanodollars = [round(float(row[2]) * 1e9) for row in rows[0]]
    assert sum(nanodollars) == round(float(spend) * 1e9)
    assert {row[0] for row in rows[0]} >= {"answer", "agent", "summary", "triage", "search"}
    for line in ("regenerations", "steps", "turns", "environments", "unattributed"):
        assert line in reports[0]
    assert "Look at" not in reports[0]  # nothing of it runs any more
    assert "The gateway ends here" in reports[0]


@pytest.fixture
def heard():
    """Children hear SIGINT, which a shell's background jobs are told to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_says_so_and_ends_what_it_started(number, tmp_path):
    arguments = ("demo", "--tickets", "5000", "--dir", tmp_path / "demo")
    with started(*arguments, folder=tmp_path) as process:
        assert "simulated providers at" in process.stdout.readline()
        assert "gateway at" in process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted: the simulator and the gateway have ended" in errors
    assert running_in(tmp_path) == []


@pytest.mark.usefixtures("heard")
def test_a_demo_that_stays_shows_addresses_that_answer_until_it_is_told_to_end(tmp_path):
    arguments = ("demo", "--tickets", "3", "--stay", "--dir", tmp_path / "demo")
    with started(*arguments, folder=tmp_path) as process:
        port = None
        for line in process.stdout:
            found = re.search(r"Look at +http://127\.0\.0\.1:(\d+)/metrics", line)
            port = int(found[1]) if found else port
            if line.startswith("The gateway stays up"):
                break
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert running_in(tmp_path) == []


def test_a_demo_that_is_killed_leaves_nothing_running(tmp_path):
    arguments = ("demo", "--tickets", "5000", "--dir", tmp_path / "demo")
    with started(*arguments, folder=tmp_path) as process:
        simulator = address(process)
        assert "gateway at" in process.stdout.readline()
        process.kill()
        process.communicate(timeout=60)
    end_s = time.monotonic() + 60
    while (running_in(tmp_path) or _is_open(simulator)) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert (running_in(tmp_path), _is_open(simulator)) == ([], False)


def _is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_what_no_demo_wrote_is_left_as_it_is(tmp_path):
    (tmp_path / "farthing.toml").write_text("[gateway]\nport = 4000\n")
    (tmp_path / "ledger").mkdir()
    found = finished("demo", "--dir", ".", folder=tmp_path)
    assert found.returncode == 2
    assert "Nothing was started and nothing was changed" in found.stderr
    assert (tmp_path / "farthing.toml").read_text() == "[gateway]\nport = 4000\n"
    assert (tmp_path / "ledger").exists()
