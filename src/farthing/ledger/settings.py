"""The settings of the ledger: where it lies, how large its files grow, when days are sealed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["LedgerSettings"]


class LedgerSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Section `[ledger]` of `farthing.toml`."""

    data_dir: Annotated[
        str, Meta(description="Folder of the ledger: journals, store and archive.")
    ] = "farthing-data"
    segment_mb: Annotated[
        int, Meta(ge=1, le=4096, description="Size at which a journal begins its next file, in MB.")
    ] = 64
    sync_interval_ms: Annotated[
        int,
        Meta(ge=1, description="How often a journal is forced to disk (a power cut loses this)."),
    ] = 200
    drain_interval_ms: Annotated[
        int, Meta(ge=1, description="How often journals are moved into the store.")
    ] = 500
    batch_kb: Annotated[
        int, Meta(ge=64, le=65_536, description="Journal bytes the drainer posts at once, in kB.")
    ] = 250
    busy_timeout_ms: Annotated[
        int, Meta(ge=0, description="How long to wait for a store that is locked.")
    ] = 2000
    seal_after_days: Annotated[
        int, Meta(ge=1, description="Days after which a day's entries move to Parquet.")
    ] = 7
    retention_days: Annotated[
        int, Meta(ge=0, description="Days after which a sealed day is deleted; 0 keeps all.")
    ] = 0
