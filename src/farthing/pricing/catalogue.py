"""The compiled price data that this version ships, and how it is read."""

from __future__ import annotations

import gzip
from importlib import resources

import msgspec

from farthing.pricing.rows import Row

__all__ = ["Catalogue", "Quarantined", "read_catalogue"]


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row that looks wrong and prices nothing until someone has looked at it.

    `reason` is `unit_slip` (no model ever cost that) or `half_price` (exactly half of what the
    model's maker asks: a batch price that leaked, or a promotion); `detail` gives the figures.
    """

    provider: str
    model: str
    reason: str
    detail: str
    row: Row


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """The compiled data: rows by provider and model, and the models other names stand for."""

    note: str
    rows: dict[str, dict[str, tuple[Row, ...]]]
    aliases: dict[str, dict[str, str]]
    quarantine: tuple[Quarantined, ...] = ()


def read_catalogue() -> Catalogue:
    """The catalogue that this version of Farthing ships."""
    packed = resources.files("farthing.pricing").joinpath("data/catalogue.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=Catalogue)
