"""The library: the gateway's engine in process, as clients whose calls are metered."""

from farthing.library.farthing import Farthing

__all__ = ["Farthing"]
