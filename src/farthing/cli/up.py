"""`farthing up`: run the gateway."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, cast

import click

from farthing.cli.until_closed import stop_when_closed, until_closed
from farthing.clock import SystemClock
from farthing.config import Config, load_config
from farthing.gateway import Supervisor, listen, prepare, stop_on_signals

__all__ = ["up"]


@click.command()
@click.option("--host", help="Address to listen on; other than loopback needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 picks a free one.")
@click.option("--unix", type=click.Path(), help="Path of a unix socket to listen on instead.")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes.")
@until_closed
@click.pass_obj
def up(
    config_path: str | None,
    host: str | None,
    port: int | None,
    unix: str | None,
    workers: int | None,
    until_closed: int | None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    given = {"host": host, "port": port, "unix": unix, "workers": workers}
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        os.environ[f"FARTHING_GATEWAY_{name.upper()}"] = str(value)  # the workers read it too
    config = load_config(config_path, os.environ)
    prepare(config)
    listener = listen(config)
    stop = threading.Event()
    stop_on_signals(stop)
    if until_closed is not None:
        stop_when_closed(until_closed, stop)
    _greet(config, listener.getsockname())
    supervisor = Supervisor(config, config_path, listener, SystemClock(), _say)
    supervisor.run(stop)
    click.echo("farthing: all calls are settled; goodbye.")


def _say(news: str) -> None:
    click.echo(f"farthing: {news}", err=True)


def _greet(config: Config, address: Any) -> None:
    """Say where to point SDKs, and what is missing."""
    if isinstance(address, tuple):
        host, port = str(cast("tuple[str, int]", address)[0]), cast("tuple[str, int]", address)[1]
        base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    else:
        base = f"unix socket {address}"
    click.echo(f"farthing: listening on {base} ({config.gateway.workers} worker(s))")
    click.echo(f"  OpenAI SDK:     base_url={base}/v1")
    click.echo(f"  Anthropic SDK:  base_url={base}")
    click.echo(
        f"  health {base}/healthz   metrics {base}/metrics   ledger {config.ledger.data_dir}"
    )
    for name, provider in config.providers.items():
        if not provider.secret(os.environ):
            wanted = provider.api_key_env or f"providers.{name}.api_key_env"
            click.echo(f"  {name}: no API key in {wanted}; the clients' own keys are passed on")
    sys.stdout.flush()
