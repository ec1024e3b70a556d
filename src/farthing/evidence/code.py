"""A judge that runs an answer's code with a program of the user's own, within limits.

The program gets the code on its standard input and says by exit code 0 that it is good. It runs in
an empty folder of its own, without our environment, in a session of its own, with limits on time,
memory, files and their size; without network where the kernel lets us take that away. That keeps
slips in bounds. It is no prison: for code that may be hostile, let the program start one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

from farthing.evidence.judges import Judge, Judged, unfenced

__all__ = ["runs"]

# Limits are set in the child, by a program of its own: a fork of a process with threads may not.
_CHILD: Final = """
import ctypes, os, resource, sys
seconds, memory = int(sys.argv[1]), int(sys.argv[2])
def limit(kind, most):
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))
limit(resource.RLIMIT_CPU, seconds)
limit(resource.RLIMIT_AS, memory)
limit(resource.RLIMIT_FSIZE, 1000000)
limit(resource.RLIMIT_NOFILE, 64)
limit(resource.RLIMIT_CORE, 0)
try:
    ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)  # a user's and a network's name space
except (OSError, AttributeError):
    pass
os.execvpe(sys.argv[3], sys.argv[3:], {"PATH": os.environ.get("PATH", os.defpath), "HOME": "."})
"""


def runs(command: Sequence[str], *, seconds_max: float, memory_bytes_max: int) -> Judge:
    """A judge: 1 where `command` ends with exit code 0 on the candidate's code; it blocks.

    No reference is needed.
    """

    def judge(candidate: str, reference: str) -> Judged:
        del reference
        code = unfenced(candidate)
        if not code.strip():
            return Judged(0.0, "no code")
        ended = _run(command, code, seconds_max, memory_bytes_max)
        if ended is None:
            return Judged(0.0, f"ran for more than {seconds_max:g} s")
        told = f"exit code {ended}" if ended >= 0 else f"ended by signal {-ended}"
        return Judged(0.0 if ended else 1.0, told)

    return judge


def _run(command: Sequence[str], code: str, seconds: float, memory: int) -> int | None:
    """The exit code; None: it took too long, and was ended with all that it started."""
    limits = [str(max(1, round(seconds))), str(memory)]
    with (
        tempfile.TemporaryDirectory(prefix="farthing-code-") as folder,
        subprocess.Popen(  # noqa: S603 - the configuration names the program
            [sys.executable, "-I", "-S", "-c", _CHILD, *limits, *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
    ):
        try:
            process.communicate(code.encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode
