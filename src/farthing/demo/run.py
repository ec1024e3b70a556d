"""Runs the demonstration: simulator and gateway as processes, traffic, then the report."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from farthing.demo.traffic import Planned, Ticket, plan_tickets
from farthing.errors import ConfigError, ProviderError
from farthing.wire import Client, Origin, Timeouts, new_event_loop

__all__ = ["WRITTEN_BY", "DemoOptions", "DemoResult", "run_demo"]

WRITTEN_BY = "# Written by `farthing demo`"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_TIMEOUTS = Timeouts(connect_s=5, first_byte_s=60, idle_s=60, total_s=120)


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `concurrency` tickets are worked on at a time."""

    directory: Path
    tickets: int = 120
    seed: int = 7
    concurrency: int = 24


class DemoResult(msgspec.Struct, kw_only=True):
    """What came of it: HTTP answers by status, and a call's id to look at."""

    answers: dict[int, int]
    call_id: str = ""
    address: str = ""


@contextmanager
def run_demo(
    options: DemoOptions, say: Callable[[str], None], progress: Callable[[], None]
) -> Generator[DemoResult]:
    """Play the traffic; inside the context the gateway still runs, so that one can look at it.

    `progress` is called once a ticket is done.

    Raises:
        ConfigError: a process did not start; its messages are on stderr.
    """
    options.directory.mkdir(parents=True, exist_ok=True)
    farthing = [sys.executable, "-m", "farthing"]
    pace = ["--first-byte-ms", "60", "--token-ms", "0.5"]  # real models take about ten times longer
    seed = ["--seed", str(options.seed)]
    with _started([*farthing, "sim", "--port", "0", *pace, *seed]) as simulator:
        config = options.directory / "farthing.toml"
        config.write_text(_config(simulator, options.directory / "ledger"))
        say(f"simulated providers at {simulator}")
        gateway_command = [*farthing, "--config", str(config), "up", "--port", "0"]
        with _started(gateway_command) as gateway:
            say(f"gateway at {gateway}, configured by {config}")
            result = DemoResult(answers={}, address=gateway)
            tickets = plan_tickets(options.tickets, options.seed)
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(_play(tickets, options.concurrency, result, progress))
            yield result


def _config(simulator: str, ledger: Path) -> str:
    return (
        f"{WRITTEN_BY}: both providers are simulated.\n"
        f'[ledger]\ndata_dir = "{ledger}"\ndrain_interval_ms = 100\n\n'
        '[cache]\nmode = "on"  # equal calls are served again\nstore = "memory"\n\n'
        '[coalesce]\nmode = "on"  # equal calls in flight share one\n\n'
        f'[providers.openai]\nbase_url = "{simulator}/v1"\napi_key = "sk-simulated"\n\n'
        f'[providers.anthropic]\nbase_url = "{simulator}"\napi_key = "sk-ant-simulated"\n'
    )


@contextmanager
def _started(command: list[str]) -> Generator[str]:
    """Run a command until the context ends; gives the address in its first line.

    It holds one end of a pipe, and ends by itself once the other end is closed: by this process,
    or by the system where this process was killed.
    """
    environ = {name: v for name, v in os.environ.items() if not name.startswith("FARTHING_")}
    held, ours = os.pipe()
    with subprocess.Popen(  # noqa: S603 - our own commands
        [*command, "--until-closed", str(held)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        pass_fds=(held,),
    ) as process:
        try:
            os.close(held)
            first = process.stdout.readline() if process.stdout else ""
            address = _ADDRESS.search(first)
            if address is None:
                raise ConfigError(
                    f"{' '.join(command[2:])} did not start: {first or 'it printed nothing'}. "
                    "See its messages above."
                )
            yield address.group()
        finally:
            process.terminate()
            os.close(ours)


async def _play(
    tickets: list[Ticket], concurrency: int, result: DemoResult, progress: Callable[[], None]
) -> None:
    client = Client()
    origin = Origin.parse(result.address)
    waiting = iter(tickets)

    async def work() -> None:
        for ticket in waiting:
            for call in ticket.calls:
                await _send(client, origin, call, result)
            progress()

    await asyncio.gather(*(work() for _ in range(concurrency)))
    client.close()


async def _send(client: Client, origin: Origin, call: Planned, result: DemoResult) -> None:
    headers = [(name.encode(), value.encode()) for name, value in call.headers.items()]
    status = 0
    try:
        response = await client.send(origin, "POST", call.path, headers, call.body, _TIMEOUTS)
        status = response.status
        async for _ in response:
            pass
        found = dict(response.headers).get(b"x-farthing-call", b"").decode()
        if call.headers.get("x-farthing-feature") == "agent":
            result.call_id = found
    except ProviderError:
        status = 0
    result.answers[status] = result.answers.get(status, 0) + 1
