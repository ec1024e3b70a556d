"""Rows checked by hand against the vendor's own page, where the catalogues begin too late.

Days are those of the vendor's announcement. Each row names the page it was read from.
"""

from __future__ import annotations

from collections.abc import Mapping

from farthing.pricing.rows import Layer, Quote, Row

__all__ = ["VERIFIED"]


def _row(  # noqa: PLR0913 - a price, its days and its page
    source: str,
    fresh: str,
    out: str,
    *,
    read: str = "",
    since: str = "",
    until: str = "",
    kind: str = "change",
) -> Row:
    rates = {"input": fresh, "output": out} | ({"cache_read": read} if read else {})
    return Row(
        layer=Layer.VERIFIED,
        source=source,
        kind=kind,
        valid_from=since,
        valid_to=until,
        quotes=(Quote(rates=rates),),
    )


_HELLO_4O = "https://openai.com/index/hello-gpt-4o/ (2024-05-13)"
_STRUCTURED = "https://openai.com/index/introducing-structured-outputs-in-the-api/ (2024-08-06)"
_CACHING = "https://openai.com/index/api-prompt-caching/ (2024-10-01)"
_NEW_MODELS = "https://openai.com/index/new-embedding-models-and-api-updates/ (2024-01-25)"
_DEVDAY = (
    "https://openai.com/index/new-models-and-developer-products-announced-at-devday/ (2023-11-06)"
)

VERIFIED: Mapping[str, Mapping[str, tuple[Row, ...]]] = {
    "openai": {
        # The alias moved to gpt-4o-2024-08-06 on 2024-10-02, which halved its input price.
        "gpt-4o": (_row(_HELLO_4O, "5", "15", read="5", since="2024-05-13", until="2024-10-02"),),
        "gpt-4o-2024-05-13": (_row(_HELLO_4O, "5", "15", read="5", since="2024-05-13"),),
        "gpt-4o-2024-08-06": (
            _row(_STRUCTURED, "2.5", "10", since="2024-08-06", until="2024-10-01"),
            _row(_CACHING, "2.5", "10", read="1.25", since="2024-10-01"),
        ),
        "gpt-3.5-turbo": (
            _row(_DEVDAY, "1.5", "2", until="2023-11-06", kind="price"),
            _row(_DEVDAY, "1", "2", since="2023-11-06", until="2024-01-25"),
            _row(_NEW_MODELS, "0.5", "1.5", since="2024-01-25"),
        ),
        "gpt-3.5-turbo-1106": (_row(_DEVDAY, "1", "2", since="2023-11-06"),),
    },
}
