"""The event loop to run on: uvloop where it is installed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util

__all__ = ["new_event_loop"]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new uvloop loop, or asyncio's own where uvloop is not to be had.

    Meant for `asyncio.Runner(loop_factory=new_event_loop)`.
    """
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return loop
