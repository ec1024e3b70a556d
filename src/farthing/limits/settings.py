"""The settings of rate limits: whom they hold for, and how much a minute."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["LimitSettings"]


class LimitSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A rate limit for keys; the first whose patterns match a key counts. 0: no such limit."""

    key: Annotated[
        str, Meta(description="Key id it holds for; a shell pattern, `*` for every key.")
    ] = "*"
    tenant: Annotated[str, Meta(description="Tenant whose keys it holds for; a shell pattern.")] = (
        "*"
    )
    requests_per_minute: Annotated[int, Meta(ge=0, description="Requests a minute.")] = 0
    requests_burst: Annotated[
        int, Meta(ge=0, description="Requests at once after a quiet spell; 0: a minute's worth.")
    ] = 0
    tokens_per_minute: Annotated[
        int, Meta(ge=0, description="Tokens a minute, prompt and answer together.")
    ] = 0
    tokens_burst: Annotated[
        int,
        Meta(
            ge=0,
            description="Tokens at once after a quiet spell, and so the most that one call may"
            " ask for; 0: a minute's worth.",
        ),
    ] = 0
    concurrency: Annotated[int, Meta(ge=0, description="Calls running at the same time.")] = 0
