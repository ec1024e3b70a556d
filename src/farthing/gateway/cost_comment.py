"""The SSE comment at a stream's end that tells what the call cost.

See ADR-0006 for why not everybody gets it.
"""

from __future__ import annotations

from farthing.gateway.caller import Caller

__all__ = ["comment_opening", "cost_comment", "is_cost_told"]


def is_cost_told(stream_cost: str, caller: Caller) -> bool:
    """Whether the caller's streams end with the comment; `stream_cost` is the gateway's setting."""
    return stream_cost == "always" or (stream_cost == "auto" and caller.knows_farthing)


def comment_opening(call_id: str) -> bytes:
    """The bytes that the comment of a call begins with, and no other."""
    return f": farthing call={call_id}".encode()


def cost_comment(call_id: str, cost: str) -> bytes:
    """The comment; `cost` in USD, or `unpriced`."""
    return comment_opening(call_id) + f" cost_usd={cost}\n\n".encode()
