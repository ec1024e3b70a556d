"""A whole gateway as processes, for tests that hurt it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from pathlib import Path

from farthing.wire import Client, Origin, Timeouts

TIMEOUTS = Timeouts(connect_s=10, first_byte_s=30, idle_s=30, total_s=60)
ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@contextlib.asynccontextmanager
async def running(folder: Path, upstream: str, *, workers: int = 1, ledger: str = ""):
    """`farthing up` on a free port in front of `upstream`; gives the process and its origin."""
    config = folder / "farthing.toml"
    config.write_text(
        f'[ledger]\ndata_dir = "{folder / "ledger"}"\ndrain_interval_ms = 50\n{ledger}\n'
        f"[retry]\nretries_max = 0\n"
        f'[providers.openai]\nbase_url = "{upstream}/v1"\napi_key = "sk-simulated"\n'
        f'[providers.anthropic]\nbase_url = "{upstream}"\napi_key = "sk-ant-simulated"\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "farthing",
        "--config",
        str(config),
        "up",
        "--port",
        "0",
        "--workers",
        str(workers),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield process, Origin.parse(ADDRESS.search(line).group().decode())
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)


def children(pid: int, module: str) -> list[int]:
    """The living child processes of `pid` that run `module`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
            if int(fields[1]) == pid and fields[0] != "Z" and module.encode() in command:
                found.append(int(stat.parent.name))
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def send(client: Client, origin: Origin, path: str, headers: dict[str, str], body: bytes):
    """One request; the status and the body, or an error."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    response = await client.send(origin, "POST", path, encoded, body, TIMEOUTS)
    return response.status, await response.read(1 << 24)
