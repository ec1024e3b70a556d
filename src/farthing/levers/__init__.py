"""The levers: one place per way to spend better. Each decides as a pure function of what it sees.

A lever keeps an account of what it saved and spent on each call (`farthing.ledger.LeverMove`).
"""

from farthing.levers.cache import Answers, CacheSettings
from farthing.levers.coalesce import Broadcast, CoalesceSettings, Flight, Flights

__all__ = ["Answers", "Broadcast", "CacheSettings", "CoalesceSettings", "Flight", "Flights"]
