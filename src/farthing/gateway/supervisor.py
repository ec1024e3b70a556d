"""The supervisor: binds the socket, keeps the workers and the drainer alive, ends them in order.

Workers inherit one listening socket, so that connections waiting in it survive a worker's death.
A worker that dies is replaced at once; what it had in flight is in its journal, and the drainer
posts it as interrupted.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from farthing.clock import Clock
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.gateway.keyring import KeyRing
from farthing.gateway.targets import Targets
from farthing.ledger.layout import Layout
from farthing.levers.cache import check_extra
from farthing.levers.cache.semantic_extra import check_semantic, is_supplied

__all__ = ["Supervisor", "listen", "prepare", "stop_on_signals"]

_BACKLOG = 4096
_QUICK_DEATH_US = 2_000_000
_QUICK_DEATHS_MAX = 5
_REFUSED = 2  # the code of a process that can't start by its settings
_KILL_GRACE_S = 5.0
_IMPORT_S = 60.0  # for a module of the user's; what takes longer is left to the workers


def prepare(config: Config) -> None:
    """Make the ledger's folder, and refuse what no worker could start with.

    Raises:
        ConfigError: a target names a provider that is not there, an extra is not installed, the
            folder can't be made or written to, the keys in it can't be read, or an embedder that
            the user supplies can't be one.
    """
    Targets(config)
    check_extra(config.cache)
    check_semantic(config.cache)
    if config.cache.semantic.is_used:
        _check_supplied(config.cache.semantic.embedder, "cache.semantic.embedder")
    journal = Layout(Path(config.ledger.data_dir)).journal
    try:
        journal.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The ledger's folder {journal} can't be made: {error.strerror}. Nothing was started. "
            "Name another with ledger.data_dir or FARTHING_DATA_DIR."
        ) from error
    for folder in (journal.parent, journal):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(
                f"Nothing can be written to the ledger's folder {folder}. Nothing was started. Mend "
                "its permissions, or name another with ledger.data_dir or FARTHING_DATA_DIR."
            )
    KeyRing(journal.parent)


def _check_supplied(name: str, setting: str) -> None:
    """Raises ConfigError: the embedder that `setting` names is the user's, and can't be one."""
    if not is_supplied(name):
        return
    command = [sys.executable, "-m", "farthing.gateway.embedder_check", name, setting]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            command, stdout=subprocess.PIPE, text=True, timeout=_IMPORT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return
    if done.returncode == 0:
        return
    raise ConfigError(
        done.stdout.strip()
        or f"{setting} is {name!r}: to import it ended the process with code {done.returncode}. "
        "Nothing was started. Name another embedder, or mend its module."
    )


def listen(config: Config) -> socket.socket:
    """The bound listening socket.

    Raises:
        ConfigError: the address is taken or not ours, or is open to others while no key exists.
    """
    gateway = config.gateway
    if gateway.unix:
        return _listen_unix(Path(gateway.unix))
    if not gateway.is_local and KeyRing(Path(config.ledger.data_dir)).is_empty:
        raise ConfigError(
            f"gateway.host {gateway.host} is open to other machines, and there is no key yet. "
            "Nothing was started. Make one with `farthing keys create --tenant NAME`, or listen "
            "on 127.0.0.1."
        )
    family = socket.AF_INET6 if ":" in gateway.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((gateway.host, gateway.port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Can't listen on {gateway.host}:{gateway.port}: {error.strerror}. Nothing was "
            "started. Choose another with gateway.port, or stop what listens there."
        ) from error
    listener.listen(_BACKLOG)
    return listener


def _listen_unix(path: Path) -> socket.socket:
    if path.exists():
        _clear_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Can't make the socket {path}: {error.strerror}. Nothing was started."
        ) from error
    path.chmod(0o600)
    listener.listen(_BACKLOG)
    return listener


def _clear_socket(path: Path) -> None:
    """Remove the socket that a gateway left behind; nothing else, and none that is in use."""
    if not path.is_socket():
        raise ConfigError(
            f"{path} exists and is no socket. Nothing was started and it was left as it is. "
            "Choose another path with gateway.unix."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ConfigError(
                f"Something listens on {path} already. Nothing was started. Stop it, or choose "
                "another path with gateway.unix."
            )
    path.unlink(missing_ok=True)


class _Child:
    """One kept-alive process."""

    def __init__(self, command: list[str], descriptors: tuple[int, ...], clock: Clock) -> None:
        self._command = command
        self._descriptors = descriptors
        self._clock = clock
        self._quick_deaths = 0
        self._is_first = True
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started_us = self._clock.monotonic_us()
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            self._command, pass_fds=self._descriptors, start_new_session=True
        )

    def tend(self) -> str:
        """Restart the process if it died; says so, or an empty text."""
        code = self.process.poll()
        if code is None:
            return ""
        lived_us = self._clock.monotonic_us() - self._started_us
        if code == _REFUSED and self._is_first:
            raise ConfigError(
                f"{self._command[2]} can't start by these settings; see its message above. "
                "Calls already taken are in the ledger."
            )
        self._is_first = False
        # What is imported may take long before it is refused. A negative code: killed by a signal.
        is_quick = code > 0 and (code == _REFUSED or lived_us < _QUICK_DEATH_US)
        self._quick_deaths = self._quick_deaths + 1 if is_quick else 0
        if self._quick_deaths >= _QUICK_DEATHS_MAX:
            raise ConfigError(
                f"{self._command[2]} gave up five times right after its start (exit code "
                f"{code}). Calls already taken are in the ledger. See its messages above."
            )
        self.process = self._start()
        return f"{self._command[2]} ended with code {code}; a new one runs as {self.process.pid}"

    def end(self, grace_s: float) -> None:
        """Ask the process to end; kill it when it takes longer than `grace_s`."""
        self.process.terminate()
        self.wait(grace_s)

    def wait(self, grace_s: float) -> None:
        """Wait for the end; kill the process when it takes longer than `grace_s`."""
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Runs the gateway's processes until it is told to stop."""

    def __init__(
        self,
        config: Config,
        config_path: str | None,
        listener: socket.socket,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._drain_s = config.gateway.drain_s
        self._say = say
        tail = [str(os.getpid()), *([config_path] if config_path else [])]
        descriptor = listener.fileno()
        self._drainer = _Child([sys.executable, "-m", "farthing.gateway.drainer", *tail], (), clock)
        self._workers = [
            _Child(
                [
                    sys.executable,
                    "-m",
                    "farthing.gateway.worker",
                    str(slot),
                    str(descriptor),
                    *tail,
                ],
                (descriptor,),
                clock,
            )
            for slot in range(config.gateway.workers)
        ]

    def run(self, stop: threading.Event) -> None:
        """Tend the processes until `stop`; then end the workers first and the drainer last."""
        try:
            while not stop.wait(0.1):
                for child in (*self._workers, self._drainer):
                    news = child.tend()
                    if news:
                        self._say(news)
        finally:
            for worker in self._workers:
                worker.process.terminate()
            for worker in self._workers:
                worker.wait(self._drain_s + _KILL_GRACE_S)
            self._drainer.end(_KILL_GRACE_S + self._drain_s)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set `stop`."""

    def heard(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, heard)
