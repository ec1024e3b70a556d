"""The two ends of the benchmark on loopback: the provider and the load generator.

Both are small C programs, compiled when they are needed. Where there is no compiler, stand_in.py
speaks the same two command lines; it is slower, so figures then say more about it than about the
targets, and the results say so.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import cpu_ns
from steps import PROVIDER_ANSWER, PROVIDER_EVENT, PROVIDER_TAIL, Step

__all__ = ["Meter", "Pins", "Site", "free_port", "get", "stop"]

_HERE = Path(__file__).parent
_START_S_MOST = 10.0
_NEEDLE = "total_tokens"  # stands in each right answer, streamed or not


def free_port() -> int:
    """A TCP port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Status and body of a GET on loopback.

    Raises:
        OSError: nothing answers there.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP from port {port}: {error!r}") from error
    finally:
        connection.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started, kindly and then not, and collect it."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Pins:
    """Which processor each side runs on: targets on one, provider and load on the other."""

    target_cpu: int
    load_cpu: int
    is_realtime: bool = False

    def target(self) -> list[str]:
        """What stands before a target's command line."""
        return self._prefix(self.target_cpu, 5)

    def provider(self) -> list[str]:
        """What stands before the provider's command line."""
        return self._prefix(self.load_cpu, 5)

    def load(self) -> list[str]:
        """What stands before the load generator's command line."""
        return self._prefix(self.load_cpu, 6)

    def _prefix(self, cpu: int, priority: int) -> list[str]:
        pinned = ["taskset", "-c", str(cpu)] if shutil.which("taskset") else []
        return [*pinned, "chrt", "-r", str(priority)] if self.is_realtime else pinned


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads the CPU time of a process tree, `settle_s` seconds after a step has ended."""

    pid: int | None
    settle_s: float

    def read(self) -> int:
        """Nanoseconds so far; 0 where there is no process to meter."""
        return cpu_ns(self.pid) if self.pid else 0


@dataclass(kw_only=True)
class Site:
    """A folder for this run, the provider in it, and the means to put load on a port."""

    folder: Path
    pins: Pins
    is_polling: bool = False  # provider and load never sleep while a step fills the target
    is_native: bool = field(init=False)
    provider_port: int = field(init=False)
    _provider: subprocess.Popen[bytes] = field(init=False)
    _load: list[str] = field(init=False)

    def __post_init__(self) -> None:
        provider, self._load = self._programs()
        self.provider_port = free_port()
        texts = []
        for name, text in (
            ("answer.json", PROVIDER_ANSWER),
            ("event.txt", PROVIDER_EVENT),
            ("tail.txt", PROVIDER_TAIL),
        ):
            (self.folder / name).write_text(text)
            texts.append(str(self.folder / name))
        self._provider = subprocess.Popen(
            [*self.pins.provider(), *provider, str(self.provider_port), *texts]
        )
        self.set_manner(Step(name="", about="", body_bytes=0, connections=1))

    def close(self) -> None:
        """Stop the provider."""
        stop(self._provider)

    def set_manner(self, step: Step) -> None:
        """Tell the provider how to answer from now on, and to count from 0."""
        path = (
            f"/bench/set?delay_us={step.delay_us}&pace_us={step.pace_us}&chunks={step.events}"
            f"&poll={self._polls(step)}"
        )
        _until(lambda: get(self.provider_port, path)[0] == 200)

    def _polls(self, step: Step) -> int:
        return int(self.is_polling and not step.leaves_idle)

    def provider_requests(self) -> int:
        """Requests that reached the provider since its manner was last set."""
        return json.loads(get(self.provider_port, "/bench/stats")[1])["requests"]

    def load(
        self, step: Step, port: int, request: bytes, *, body_bytes: int, meter: Meter
    ) -> dict[str, Any]:
        """Run one step against a port; each JSON answer must have `body_bytes` (0 = any).

        The report is load.c's, with the CPU time of the metered process tree under `cpu_ns`: from
        all connections open to the end, and a moment beyond it for work that was put off.

        Raises:
            OSError: nothing listens on the port.
        """
        (self.folder / "request.http").write_bytes(request)
        numbers = (
            *(step.connections, step.seconds, step.requests, body_bytes, step.events),
            self._polls(step),
        )
        command = [*self.pins.load(), *self._load, str(port), str(self.folder / "request.http")]
        with subprocess.Popen(
            [*command, *map(str, numbers), _NEEDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as client:
            assert client.stdin
            assert client.stdout
            if client.stdout.readline().strip() != b"ready":
                raise OSError(f"the load generator can't reach port {port}")
            before = meter.read()
            client.stdin.write(b"go\n")
            client.stdin.flush()
            line = client.stdout.readline()
            time.sleep(meter.settle_s)
            after = meter.read()
            client.stdin.close()
        report: dict[str, Any] = json.loads(line)
        return {**report, "cpu_ns": after - before}

    def _programs(self) -> tuple[list[str], list[str]]:
        """The commands of the provider and of the load generator, compiled where possible."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        self.is_native = compiler is not None
        if not compiler:
            stand_in = [sys.executable, str(_HERE / "stand_in.py")]
            return [*stand_in, "upstream"], [*stand_in, "load"]
        for name in ("upstream", "load"):
            source, program = str(_HERE / f"{name}.c"), str(self.folder / name)
            subprocess.run([compiler, "-O2", "-o", program, source], check=True)
        return [str(self.folder / "upstream")], [str(self.folder / "load")]


def _until(is_done: Callable[[], bool]) -> None:
    """Ask until it is so; an OSError means not yet.

    Raises:
        OSError: it was not so within ten seconds.
    """
    end = time.monotonic() + _START_S_MOST
    while True:
        try:
            if is_done():
                return
        except OSError:
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            raise OSError("the provider does not answer")
        time.sleep(0.02)
