"""The site of the routing bench: a simulator that answers as recorded, a gateway, and its callers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from farthing.wire import Client, Origin, Timeouts

__all__ = ["Answer", "Line", "Site", "ask_all", "list_prices", "read_lines", "write_lines"]

_TIMES = Timeouts(connect_s=10, first_byte_s=60, idle_s=60, total_s=120)
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")
_FARTHING = [sys.executable, "-m", "farthing"]
_AT_A_TIME = 16

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller got: the call's id, the score by the record, who served, and the reason."""

    call: str
    score: float
    model: str
    route: str


def read_lines(path: Path) -> list[Line]:
    """An Outcomes file; an answer that is missing becomes one that agrees with no other model's."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    lines = [json.loads(line) for line in raw.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        # Prompts must differ, or the simulator knows only one of them.
        line["prompt"] = f"{line['prompt']}\n[{number}]"
        for model, told in line["outcomes"].items():
            if told.get("answer") is None:
                told["answer"] = f"no final answer of {model}"
    return lines


def write_lines(path: Path, lines: Sequence[Line]) -> Path:
    """Write an Outcomes file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def list_prices(lines: Sequence[Line]) -> dict[str, tuple[Decimal, Decimal]]:
    """USD for a million tokens in and out by model, as the recorded costs imply them."""
    rows: dict[str, list[tuple[int, int, float]]] = {}
    for line in lines:
        for model, told in line["outcomes"].items():
            counts = (told["input_tokens"], told["output_tokens"], float(told["cost_usd"]))
            rows.setdefault(model, []).append(counts)
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for model, told in rows.items():
        table = np.array(told)
        rates, *_ = np.linalg.lstsq(table[:, :2], table[:, 2] * 1e6, rcond=None)
        found[model] = (_rounded(rates[0]), _rounded(rates[1]))
    return found


def _rounded(rate: float) -> Decimal:
    return Decimal(str(round(rate, 4))).normalize()


class Site:
    """One folder with its configuration; simulator and gateway are started on it at will."""

    def __init__(
        self,
        folder: Path,
        outcomes: Path,
        incumbent: str,
        prices: dict[str, tuple[Decimal, Decimal]],
    ) -> None:
        self.folder = folder
        self._outcomes = outcomes
        self._incumbent = incumbent
        self.prices = dict(prices)
        self.config = folder / "farthing.toml"

    def configure(self, url: str = "http://127.0.0.1:9", more: str = "", mode: str = "on") -> None:
        """Write the configuration, for a provider at `url`."""
        others = sorted(set(self.prices) - {self._incumbent})
        lines = [
            f'[ledger]\ndata_dir = "{self.folder / "ledger"}"',
            "[retry]\nretries_max = 0",
            f'[providers.openai]\nbase_url = "{url}/v1"\napi_key = "sk-simulated"',
            f'[routing.pools.auto]\nincumbent = "{self._incumbent}"\nmode = "{mode}"',
            f"models = {json.dumps(others)}\n{more}",
        ]
        for model, (paid_in, paid_out) in self.prices.items():
            lines.append(
                f'[[price]]\nprovider = "openai"\nmodel = "{model}"\n'
                f'input = "{paid_in:f}"\noutput = "{paid_out:f}"'
            )
        self.config.write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str) -> tuple[int, Any]:
        """A command with `--json`; its exit status and document."""
        done = subprocess.run(
            [*_FARTHING, "--config", str(self.config), *arguments, "--json"],
            capture_output=True,
            check=False,
        )
        if done.returncode > 1:
            raise RuntimeError(done.stderr.decode())
        return done.returncode, json.loads(done.stdout)

    @contextlib.asynccontextmanager
    async def up(self, *rules: str, more: str = "", mode: str = "on") -> AsyncIterator[Origin]:
        """The simulator under these rules, and the gateway in front of it."""
        told = [part for rule in rules for part in ("--rule", rule)]
        arguments = [
            "sim",
            "--port",
            "0",
            "--instant",
            "--bare",
            "--outcomes",
            str(self._outcomes),
            *told,
        ]
        async with (
            _process(*arguments) as upstream,
            contextlib.AsyncExitStack() as stack,
        ):
            self.configure(f"http://{upstream.host}:{upstream.port}", more, mode)
            gateway = _process("--config", str(self.config), "up", "--port", "0")
            yield await stack.enter_async_context(gateway)


@contextlib.asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[Origin]:
    process = await asyncio.create_subprocess_exec(
        *_FARTHING, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        address = _ADDRESS.search(line)
        if address is None:
            raise RuntimeError(f"{arguments[0]} said {line!r}")
        yield Origin.parse(address.group().decode())
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 60)


async def ask_all(
    gateway: Origin,
    lines: Sequence[Line],
    *,
    at_a_time: int = _AT_A_TIME,
    pause_s: float = 0.0,
) -> list[Answer]:
    """Ask every prompt through `farthing/auto:TASK`; the answers in the order of the prompts.

    Each of the callers waits `pause_s` after an answer.
    """
    client = Client()
    found: list[Answer | None] = [None] * len(lines)
    numbers = iter(range(len(lines)))

    async def caller() -> None:
        for number in numbers:
            found[number] = await _ask(client, gateway, lines[number])
            await asyncio.sleep(pause_s)

    await asyncio.gather(*(caller() for _ in range(at_a_time)))
    client.close()
    return [one for one in found if one is not None]


async def _ask(client: Client, gateway: Origin, line: Line) -> Answer:
    body = json.dumps(
        {
            "model": f"farthing/auto:{line['task']}",
            "messages": [{"role": "user", "content": line["prompt"]}],
        }
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer any")]
    response = await client.send(gateway, "POST", "/v1/chat/completions", headers, body, _TIMES)
    answer = await response.read(1 << 24)
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {answer[:300]!r}")
    told = dict(response.headers)
    return Answer(
        call=told[b"x-farthing-call"].decode(),
        score=float(told[b"x-sim-score"]),
        model=told[b"x-farthing-model"].decode().partition("/")[2],
        route=told[b"x-farthing-route"].decode(),
    )
