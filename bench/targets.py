"""What is measured: how each target is started, what it is set to, and how it says it is ready."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from loopback import Site, free_port, get, stop
from machine import resident_bytes
from peers import LITELLM_VERSION, litellm_python, program_path
from steps import MODEL

__all__ = ["TARGETS", "AbsentError", "Running", "Target", "farthing"]

_REPOSITORY = Path(__file__).parent.parent
_START_S_MOST = 90.0
_GATEWAY_SECRET = "sk-bench-0123456789abcdef"  # invented; the provider side takes any key


class AbsentError(Exception):
    """The target can't be measured here; its text says why and what would mend it."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A target that answers, and what must be known to judge its answers."""

    name: str
    version: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None  # the root of its processes; none for the provider itself
    is_exact: bool = True  # its JSON answers are the provider's bytes
    needs_key: bool = False  # it must refuse a request without its key
    ledger_calls: Callable[[], int] | None = None
    settle_s: float = 0.25  # how long after a step its CPU time is still counted
    start_s: float = 0.0
    rss_idle_bytes: int = 0
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Target:
    """A thing to measure: its name, what it does in one line, and how to start it."""

    name: str
    about: str
    start: Callable[[Site], Running]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """A command line that will listen on `port`, and a path it answers with 200 once it is up."""

    name: str
    version: str
    port: int
    command: Sequence[str]
    ready_path: str
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self, site: Site) -> Running:
        """Start it pinned to the targets' processor and wait until it answers.

        Raises:
            AbsentError: it ended, or did not answer in time; with the end of its log.
        """
        log = site.folder / f"{self.name}.log"
        began = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*site.pins.target(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_environment(self.env),
                cwd=site.folder,
            )
        while time.monotonic() - began < _START_S_MOST and process.poll() is None:
            if self._is_ready():
                return Running(
                    name=self.name,
                    version=self.version,
                    port=self.port,
                    pid=process.pid,
                    start_s=time.monotonic() - began,
                    rss_idle_bytes=resident_bytes(process.pid),
                    close=lambda: stop(process),
                )
            time.sleep(0.02)
        stop(process)
        last_lines = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise AbsentError(f"it did not start: {last_lines[-300:]}")

    def _is_ready(self) -> bool:
        try:
            return get(self.port, self.ready_path)[0] == 200
        except OSError:
            return False


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a target sees of our environment: no proxies, no keys, no settings of ours."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(extra)


def _output(command: Sequence[str], pattern: str) -> str:
    """What the first group of `pattern` finds in all that a command prints; empty if nothing."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""


# --- the provider itself ----------------------------------------------------------------------


def _direct(site: Site) -> Running:
    return Running(name="direct", version="", port=site.provider_port)


# --- nginx: a plain reverse proxy in C --------------------------------------------------------

_NGINX = """
worker_processes 1; daemon off; pid nginx.pid; error_log stderr crit; {user}
events {{ worker_connections 4096; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 100000000; server_tokens off;
  client_max_body_size 64m; client_body_buffer_size 2m; proxy_buffering off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def _nginx(site: Site) -> Running:
    program = program_path("nginx")
    if not program:
        raise AbsentError("nginx is not installed: python bench/overhead.py --install-peers")
    version = _output([program, "-v"], r"nginx/(\S+)")
    if not version:
        raise AbsentError(f"{program} does not run")
    home = site.folder / "nginx"
    home.mkdir()
    port = free_port()
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    text = _NGINX.format(user=user, provider=site.provider_port, port=port)
    (home / "nginx.conf").write_text(text)
    command = [program, "-p", str(home), "-c", "nginx.conf", "-e", "stderr"]
    return _Program(
        name="nginx", version=version, port=port, command=command, ready_path="/bench/stats"
    ).start(site)


# --- the bare floor: Farthing's server and client with nothing between ------------------------


def _floor(site: Site) -> Running:
    script = _REPOSITORY / "bench" / "wire_floor.py"
    if not script.exists():
        raise AbsentError("bench/wire_floor.py is not there yet")
    port, upstream = free_port(), f"http://127.0.0.1:{site.provider_port}"
    command = [_project_python(), str(script), "--listen", str(port), "--upstream", upstream]
    return _Program(
        name="floor", version="", port=port, command=command, ready_path="/bench/stats"
    ).start(site)


# --- Farthing: keys, attribution and ledger on ------------------------------------------------

_FARTHING = """
[gateway]
port = {port}
workers = 1

[providers.openai]
base_url = "http://127.0.0.1:{provider}/v1"
api_key = "sk-provider"

[ledger]
data_dir = "{ledger}"
"""


def _project_python() -> str:
    own = _REPOSITORY / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def farthing(site: Site, name: str = "farthing", settings: str = "") -> Running:
    """`farthing --config FILE up`; each thing that may change about it stands in this function."""
    home = site.folder / name
    home.mkdir()
    port = free_port()
    config = home / "farthing.toml"
    text = _FARTHING.format(port=port, provider=site.provider_port, ledger=home / "ledger")
    config.write_text(text + settings)
    base = [_project_python(), "-m", "farthing", "--config", str(config)]
    version = _output([*base[:3], "--version"], r"version (\S+)")
    create = [*base, "keys", "create", "--tenant", "acme", "--feature", "support", "--json"]
    made = subprocess.run(create, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        last_line = (made.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise AbsentError(f"`farthing keys create` fails: {last_line}")
    key = json.loads(made.stdout)["key"]
    command = [*base, "up"]
    started = _Program(
        name=name, version=version, port=port, command=command, ready_path="/healthz"
    ).start(site)

    def ledger_calls() -> int:
        done = subprocess.run(
            [*base, "report", "--json"], capture_output=True, text=True, timeout=60, check=True
        )
        return int(json.loads(done.stdout)["calls"])

    return replace(
        started,
        headers={
            "authorization": f"Bearer {key}",
            "x-farthing-feature": "reply",
            "x-farthing-user": "user-17",
            "x-farthing-session": "ticket-4711",
            "x-farthing-env": "prod",
        },
        needs_key=True,
        settle_s=1.25,  # its drainer runs twice a second; that work is part of the price
        ledger_calls=ledger_calls,
    )


# --- LiteLLM proxy ----------------------------------------------------------------------------


def _litellm(site: Site) -> Running:
    python = litellm_python()
    if not python:
        raise AbsentError(
            f"LiteLLM {LITELLM_VERSION} is not installed: python bench/overhead.py --install-peers"
        )
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": f"http://127.0.0.1:{site.provider_port}/v1",
                    "api_key": "sk-provider",
                },
            }
        ],
        "general_settings": {"master_key": _GATEWAY_SECRET},
        "litellm_settings": {"num_retries": 0, "json_logs": True, "telemetry": False},
        "router_settings": {"num_retries": 0},
    }
    port, path = free_port(), site.folder / "litellm.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    env = {
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    program = str(python.parent / "litellm")
    command = [program, "--config", str(path), "--host", "127.0.0.1", "--num_workers", "1"]
    command += ["--telemetry", "False", "--port", str(port)]
    started = _Program(
        name="litellm",
        version=LITELLM_VERSION,
        port=port,
        command=command,
        ready_path="/health/liveliness",
        env=env,
    ).start(site)
    headers = {"authorization": f"Bearer {_GATEWAY_SECRET}"}
    return replace(started, headers=headers, is_exact=False, needs_key=True)


TARGETS = (
    Target("direct", "no gateway: the load generator speaks to the provider", _direct),
    Target("nginx", "reverse proxy, kept-alive upstream, unbuffered, no log", _nginx),
    Target("floor", "Farthing's HTTP server and client, nothing between", _floor),
    Target("farthing", "1 worker; keys, attribution, prices and ledger on", farthing),
    Target(
        "litellm", "proxy, 1 worker, master key, no database, no retries, production mode", _litellm
    ),
)
