"""`farthing sim`: simulated providers until it is interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from farthing.cli.until_closed import until_closed
from farthing.errors import ConfigError
from farthing.sim import (
    INSTANT,
    Pace,
    Recorded,
    Rule,
    SimSettings,
    Simulator,
    listen_tcp,
    listen_unix,
    load_rules,
    read_rule,
)
from farthing.wire import new_event_loop

__all__ = ["sim"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MS = click.FloatRange(min=0)
_PORT = click.IntRange(0, 65535)


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options as given; see their help texts."""

    host: str
    port: int
    unix: Path | None
    workers: int
    seed: int
    instant: bool
    first_byte_ms: float
    token_ms: float
    fixed_clock: int
    vary: bool
    bare: bool
    keys: tuple[str, ...]
    outcomes: tuple[Path, ...]
    samples: tuple[Path, ...]
    rules: Path | None
    rule: tuple[str, ...]
    until_closed: int | None


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8900, type=_PORT, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--unix", type=click.Path(path_type=Path), help="Listen on this unix socket instead.")
@click.option("--workers", default=1, show_default=True, help="Processes; each has its own log.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other answers.")
@click.option("--instant", is_flag=True, help="Answer at once.")
@click.option(
    "--first-byte-ms", default=500.0, type=_MS, show_default=True, help="Median first byte."
)
@click.option(
    "--token-ms", default=12.0, type=_MS, show_default=True, help="Median time per token."
)
@click.option("--fixed-clock", default=0, metavar="S", help="Pin `created` to this Unix time.")
@click.option("--vary", is_flag=True, help="Answer a repeated question differently each time.")
@click.option("--bare", is_flag=True, help="Recorded answers alone, without text before them.")
@click.option("--key", "keys", multiple=True, help="Take only this API key (repeatable).")
@click.option("--outcomes", type=_FILE, multiple=True, help="Answer as this Outcomes file has it.")
@click.option("--samples", type=_FILE, multiple=True, help="Answer as this Samples file has it.")
@click.option("--rules", type=_FILE, help="Rules: TOML or JSON.")
@click.option("--rule", multiple=True, help="""One rule: 'model = "gpt-*", fault = "503"'.""")
@until_closed
def sim(**given: object) -> None:
    """Run simulated LLM providers on loopback, exact on the wire.

    Any API key is taken. Failures are asked for by a request header (`x-sim-fault: 429;
    retry_after=2`) or by rules; see docs/simulator.md.
    """
    options = msgspec.convert(given, _Options)
    settings = _settings(options)
    recorded = Recorded()
    for path in options.outcomes:
        recorded.add_outcomes(path)
    for path in options.samples:
        recorded.add_samples(path)
    if options.workers < 1:
        raise ConfigError(f"--workers must be at least 1, not {options.workers}.")
    sock = _listen(options)
    ended = _fork(options.workers - 1, options.until_closed)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(settings, recorded, sock, ended))


def _settings(options: _Options) -> SimSettings:
    rules: Sequence[Rule] = [read_rule(text) for text in options.rule]
    if options.rules is not None:
        rules = [*rules, *load_rules(options.rules)]
    paced = Pace(first_byte_ms=options.first_byte_ms, token_ms=options.token_ms)
    return SimSettings(
        seed=options.seed,
        pace=INSTANT if options.instant else paced,
        rules=tuple(rules),
        keys=options.keys,
        fixed_clock_s=options.fixed_clock,
        is_varied=options.vary,
        is_worked=not options.bare,
    )


def _listen(options: _Options) -> socket.socket:
    try:
        if options.unix is not None:
            return listen_unix(options.unix)
        return listen_tcp(options.host, options.port)
    except OSError as error:
        place = options.unix or f"{options.host}:{options.port}"
        raise ConfigError(
            f"Cannot listen on {place}: {error.strerror}. Nothing was started; "
            "pick another port (0 takes a free one)."
        ) from error


def _fork(children: int, until_closed: int | None) -> tuple[bool, int | None]:
    """Start the other workers; whether this is the first one, and what ends it when it closes.

    The others end with the first one, in whichever way that ends, by a pipe that it holds. All
    accept from the one socket they inherit.
    """
    if not children:
        return True, until_closed
    ended, held = os.pipe()
    for _ in range(children):
        if os.fork() == 0:
            os.close(held)
            return False, ended
    os.close(ended)
    return True, until_closed


async def _serve(
    settings: SimSettings, recorded: Recorded, sock: socket.socket, place: tuple[bool, int | None]
) -> None:
    is_first, ended = place
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    if ended is not None:
        loop.add_reader(ended, stop.set)
    simulator = Simulator(settings, recorded=recorded, sock=sock)
    await simulator.start()
    if is_first:
        url = simulator.base_url
        click.echo(
            f"farthing sim ready: OPENAI_BASE_URL={url}/v1 ANTHROPIC_BASE_URL={url} "
            f"log {url}/sim/log"
        )
    await stop.wait()
    await simulator.stop()
