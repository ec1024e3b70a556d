"""The `farthing` command as a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

FARTHING = (sys.executable, "-m", "farthing")


def environment(**given):
    """The environment without settings of ours, and what is given."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("FARTHING_")}
    return bare | given


def finished(*arguments, folder, **given):
    """A command that ends by itself, with its output as text."""
    return subprocess.run(
        [*FARTHING, *map(str, arguments)],
        cwd=folder,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def started(*arguments, folder, **given):
    """A command that goes on; whatever becomes of the test, it is ended."""
    with subprocess.Popen(
        [*FARTHING, *map(str, arguments)],
        cwd=folder,
        env=environment(**given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def address(process):
    """The port that the process says it listens on, in its first lines."""
    return int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1])


def running_in(folder):
    """The ids of processes whose command line names `folder`."""
    found = []
    for commandline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in commandline.read_bytes():
                found.append(int(commandline.parent.name))
    return found
