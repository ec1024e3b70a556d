"""Real processes, killed at random instants: what was dispatched stands in the ledger, once."""

import contextlib
import random
import signal
import subprocess
import sys

import pytest

from farthing.ledger import CallStatus, Drainer, Ledger, LedgerSettings

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from ledger_samples import an_entry, an_intent
from farthing.ledger import Journal, LedgerSettings
journal = Journal.open(Path(sys.argv[1]), "w", settings=LedgerSettings(segment_mb=1))
number = 0
while True:
    call_id = f"{sys.argv[2]}-{number}"
    journal.intend(an_intent(call_id))
    print("I", call_id, flush=True)
    if number % 3:
        journal.settle(an_entry(call_id))
        print("S", call_id, flush=True)
    number += 1
"""

DRAINER = """
import sys
from pathlib import Path
from farthing.ledger import Drainer, LedgerSettings
with Drainer(Path(sys.argv[1]), settings=LedgerSettings(batch_kb=64)) as drainer:
    print("ready", flush=True)
    while True:
        drainer.drain()
"""


def started(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_after(process, lines):
    """What a process said until it was killed, after about that many lines."""
    said = []
    with process:
        for line in process.stdout:
            said.append(line.split())
            if len(said) == lines:
                process.send_signal(signal.SIGKILL)
    return [words for words in said if len(words) == 2]


@pytest.mark.parametrize("seed", range(4))
def test_killed_writers_and_drainers_lose_nothing_and_post_nothing_twice(tmp_path, request, seed):
    chance = random.Random(seed)
    said = []
    for number in range(5):
        drainer = started(DRAINER, tmp_path)
        assert drainer.stdout.readline() == "ready\n"
        writer = started(WRITER, tmp_path, f"{number}", request.path.parent)
        said += killed_after(writer, chance.randint(1, 900))
        drainer.send_signal(signal.SIGKILL)
        with contextlib.closing(drainer.stdout):
            drainer.wait(10)
    with Ledger.open(tmp_path, settings=LedgerSettings()) as ledger:
        found = {entry.call_id: entry for entry in ledger.entries()}
        assert ledger.report().calls == len(found)
    dispatched = {call_id for kind, call_id in said if kind == "I"}
    settled = {call_id for kind, call_id in said if kind == "S"}
    assert dispatched <= set(found)
    assert all(found[call_id].status is CallStatus.OK for call_id in settled)
    unsettled = [call_id for call_id in found if int(call_id.split("-")[1]) % 3 == 0]
    assert all(found[call_id].status is CallStatus.INTERRUPTED for call_id in unsettled)
    with Drainer(tmp_path) as drainer:
        assert drainer.drain().posted == 0
