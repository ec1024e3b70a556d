"""The demonstration: a support product's traffic against simulated providers."""

from farthing.demo.run import WRITTEN_BY, DemoOptions, run_demo
from farthing.demo.traffic import Planned, Ticket, plan_tickets

__all__ = ["WRITTEN_BY", "DemoOptions", "Planned", "Ticket", "plan_tickets", "run_demo"]
