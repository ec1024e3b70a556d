"""Simulated providers on loopback, exact on the wire, repeatable, and able to fail on demand."""

from farthing.sim.engine import Engine
from farthing.sim.recorded import Recorded
from farthing.sim.script import Served
from farthing.sim.server import Simulator, listen_tcp, listen_unix
from farthing.sim.settings import INSTANT, Judging, Pace, Rule, SimSettings, load_rules, read_rule

__all__ = [
    "INSTANT",
    "Engine",
    "Judging",
    "Pace",
    "Recorded",
    "Rule",
    "Served",
    "SimSettings",
    "Simulator",
    "listen_tcp",
    "listen_unix",
    "load_rules",
    "read_rule",
]
