"""Streams are asked to report their usage even where their client did not ask; it is then hidden.

What a cache keeps and what calls share must hold it, for whoever comes next may ask.
"""

from __future__ import annotations

import msgspec

from farthing.gateway.cost_comment import comment_opening
from farthing.gateway.inbound import Inbound

__all__ = ["asking_usage", "without_usage"]


def asking_usage(inbound: Inbound) -> Inbound:
    """The same call as if its client had asked for usage in its stream."""
    view = inbound.view
    return msgspec.structs.replace(
        inbound,
        body=inbound.codec.write_request(inbound.body, view, view.model),
        view=msgspec.structs.replace(view, wants_usage=True, has_stream_options=True),
    )


def without_usage(inbound: Inbound, body: bytes) -> bytes:
    """A stream that came in one piece, as its client asked for it; the comment on its cost stays."""
    marker = comment_opening(inbound.call.id)
    events, comment, told = body.partition(marker)
    reader = inbound.codec.stream(inbound.view)
    return reader.feed(events) + reader.close()[0] + comment + told
