"""The gateway: takes calls over HTTP, sends them to providers, and accounts for each.

`Engine` is the whole of it without sockets of its own; `Supervisor` runs it in worker processes.
"""

from farthing.gateway.drain import DrainLoop
from farthing.gateway.engine import Engine
from farthing.gateway.keyring import KeyRing, UnknownKey, VirtualKey
from farthing.gateway.supervisor import Supervisor, listen, prepare, stop_on_signals
from farthing.gateway.wiring import Wired, wire_engine

__all__ = [
    "DrainLoop",
    "Engine",
    "KeyRing",
    "Supervisor",
    "UnknownKey",
    "VirtualKey",
    "Wired",
    "listen",
    "prepare",
    "stop_on_signals",
    "wire_engine",
]
