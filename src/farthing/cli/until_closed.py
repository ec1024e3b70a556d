"""The hidden option by which a command ends together with the one that started it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import click

__all__ = ["stop_when_closed", "until_closed"]


def until_closed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the option: a descriptor of a pipe, whose other end the starter holds."""
    option = click.option("--until-closed", type=click.IntRange(0), hidden=True)
    return option(command)


def stop_when_closed(descriptor: int, stop: threading.Event) -> None:
    """Set `stop` once the other end of the pipe is closed, for whatever reason."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        stop.set()

    threading.Thread(target=wait, name="until-closed", daemon=True).start()
