"""Rows checked against the vendor's own page, where the catalogues begin too late or are wrong.

Days are those of the vendor's announcement, which each row names. `verified_by` says how the
figures were checked on 2026-11-24: `page ADDRESS`, a stored copy of that page of the vendor's shows
them; `records`, at least two independent dated records agree on them (LiteLLM, langfuse, FLAML,
OpenRouter's snapshots, models.dev), while the announcement itself could not be read; `record`, one
such record, or several that do not tell the day. No page was found for a `record`: such a row is as
good as what it is copied from, and a price of your own (`[[price]]`) overrules it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from farthing.pricing.rows import Layer, Quote, Row

__all__ = ["VERIFIED"]

_CHECKED: Final = "2026-11-24"
# Shows Claude Opus 4 and 4.1, Sonnet 4 and 3.7, Haiku 3.5, Opus 3 and Haiku 3, with their caches.
_CLAUDE_PAGE: Final = "page https://platform.claude.com/docs/en/about-claude/pricing"
# Shows Claude 3.5 Sonnet, which the page of today no longer lists.
_CLAUDE_PAGE_2025: Final = "page https://docs.anthropic.com/en/docs/about-claude/pricing"
_SEARCH: Final = {"web_search": "10"}  # USD per thousand


def _rates(fresh: str, out: str, read: str = "", write: str = "") -> dict[str, str]:
    rates = {"input": fresh, "output": out, "cache_read": read, "cache_write_5m": write}
    return {unit: amount for unit, amount in rates.items() if amount}


def _audio(heard: str, spoken: str) -> dict[str, str]:
    return {"audio_input": heard, "audio_output": spoken}


def _row(
    source: str,
    since: str,
    rates: dict[str, str],
    *,
    over: tuple[int, dict[str, str]] | None = None,
    kind: str = "price",
    by: str = "records",
) -> Row:
    """A row from the day it was announced; `over` is a context tier and its rates."""
    quotes = [Quote(rates=rates)]
    if over is not None:
        quotes.append(Quote(rates=over[1], context_over=over[0]))
    return Row(
        layer=Layer.VERIFIED,
        source=source,
        kind=kind,
        valid_from=since,
        recorded=since,
        checked=_CHECKED,
        verified_by=by,
        quotes=tuple(quotes),
    )


def _each(models: Sequence[str], *rows: Row) -> dict[str, tuple[Row, ...]]:
    return dict.fromkeys(models, rows)


_INDEX: Final = "https://openai.com/index"
_GPT_4 = f"{_INDEX}/gpt-4-research/ (2023-03-14)"
_CHATGPT_API = f"{_INDEX}/introducing-chatgpt-and-whisper-apis/ (2023-03-01)"
_FUNCTIONS = f"{_INDEX}/function-calling-and-other-api-updates/ (2023-06-13)"
_DEVDAY = f"{_INDEX}/new-models-and-developer-products-announced-at-devday/ (2023-11-06)"
_NEW_MODELS = f"{_INDEX}/new-embedding-models-and-api-updates/ (2024-01-25)"
_HELLO_4O = f"{_INDEX}/hello-gpt-4o/ (2024-05-13)"
_MINI = f"{_INDEX}/gpt-4o-mini-advancing-cost-efficient-intelligence/ (2024-07-18)"
_STRUCTURED = f"{_INDEX}/introducing-structured-outputs-in-the-api/ (2024-08-06)"
_O1 = f"{_INDEX}/introducing-openai-o1-preview/ (2024-09-12)"
_CACHING = f"{_INDEX}/api-prompt-caching/ (2024-10-01)"
_AUDIO = "https://platform.openai.com/docs/guides/audio (2024-10-17)"
_O1_API = f"{_INDEX}/o1-and-new-tools-for-developers/ (2024-12-17)"
_O3_MINI = f"{_INDEX}/openai-o3-mini/ (2025-01-31)"
_GPT_45 = f"{_INDEX}/introducing-gpt-4-5/ (2025-02-27)"
_O1_PRO = "https://platform.openai.com/docs/models/o1-pro (2025-03-19)"
_O3 = f"{_INDEX}/introducing-o3-and-o4-mini/ (2025-04-16)"
_O3_CUT = "https://platform.openai.com/docs/changelog (2025-06-10)"
_TURBO_PAGE = "https://developers.openai.com/api/docs/models/gpt-4-turbo (2024-04-09)"

_OPENAI: Mapping[str, tuple[Row, ...]] = {
    **_each(("gpt-4", "gpt-4-0314"), _row(_GPT_4, "2023-03-14", _rates("30", "60"))),
    "gpt-4-0613": (_row(_FUNCTIONS, "2023-06-13", _rates("30", "60")),),
    **_each(("gpt-4-32k", "gpt-4-32k-0314"), _row(_GPT_4, "2023-03-14", _rates("60", "120"))),
    "gpt-4-1106-preview": (_row(_DEVDAY, "2023-11-06", _rates("10", "30")),),
    **_each(
        ("gpt-4-turbo-preview", "gpt-4-0125-preview"),
        _row(_NEW_MODELS, "2024-01-25", _rates("10", "30")),
    ),
    **_each(
        ("gpt-4-turbo", "gpt-4-turbo-2024-04-09"),
        _row(
            _TURBO_PAGE,
            "2024-04-09",
            _rates("10", "30"),
            by=f"page {_TURBO_PAGE.partition(' ')[0]}",
        ),
    ),
    # The alias moved to gpt-3.5-turbo-0613 on 2023-06-27, and twice again with new prices.
    "gpt-3.5-turbo": (
        _row(_CHATGPT_API, "2023-03-01", _rates("2", "2"), by="record"),
        _row(_FUNCTIONS, "2023-06-13", _rates("1.5", "2"), kind="change"),
        _row(_DEVDAY, "2023-11-06", _rates("1", "2"), kind="change", by="record"),
        _row(_NEW_MODELS, "2024-01-25", _rates("0.5", "1.5"), kind="change"),
    ),
    "gpt-3.5-turbo-0613": (_row(_FUNCTIONS, "2023-06-13", _rates("1.5", "2")),),
    "gpt-3.5-turbo-16k": (_row(_FUNCTIONS, "2023-06-13", _rates("3", "4")),),
    "gpt-3.5-turbo-1106": (_row(_DEVDAY, "2023-11-06", _rates("1", "2")),),
    "gpt-3.5-turbo-0125": (_row(_NEW_MODELS, "2024-01-25", _rates("0.5", "1.5")),),
    # The alias moved to gpt-4o-2024-08-06 on 2024-10-02, which halved its input price.
    "gpt-4o": (
        _row(_HELLO_4O, "2024-05-13", _rates("5", "15")),
        _row(_CACHING, "2024-10-02", _rates("2.5", "10", "1.25"), kind="change"),
    ),
    "gpt-4o-2024-05-13": (_row(_HELLO_4O, "2024-05-13", _rates("5", "15")),),
    "gpt-4o-2024-08-06": (
        _row(_STRUCTURED, "2024-08-06", _rates("2.5", "10")),
        _row(_CACHING, "2024-10-01", _rates("2.5", "10", "1.25"), kind="change"),
    ),
    **_each(
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        _row(_MINI, "2024-07-18", _rates("0.15", "0.6")),
        _row(_CACHING, "2024-10-01", _rates("0.15", "0.6", "0.075"), kind="change"),
    ),
    **_each(
        ("o1-preview", "o1-preview-2024-09-12"),
        _row(_O1, "2024-09-12", _rates("15", "60")),
        _row(_CACHING, "2024-10-01", _rates("15", "60", "7.5"), kind="change"),
    ),
    **_each(
        ("o1-mini", "o1-mini-2024-09-12"),
        _row(_O1, "2024-09-12", _rates("3", "12")),
        _row(_CACHING, "2024-10-01", _rates("3", "12", "1.5"), kind="change"),
        _row(_O3_MINI, "2025-01-31", _rates("1.1", "4.4", "0.55"), kind="change"),
    ),
    **_each(("o1", "o1-2024-12-17"), _row(_O1_API, "2024-12-17", _rates("15", "60", "7.5"))),
    **_each(
        ("o3-mini", "o3-mini-2025-01-31"),
        _row(_O3_MINI, "2025-01-31", _rates("1.1", "4.4", "0.55")),
    ),
    **_each(
        ("gpt-4.5-preview", "gpt-4.5-preview-2025-02-27"),
        _row(_GPT_45, "2025-02-27", _rates("75", "150", "37.5")),
    ),
    **_each(("o1-pro", "o1-pro-2025-03-19"), _row(_O1_PRO, "2025-03-19", _rates("150", "600"))),
    **_each(
        ("o3", "o3-2025-04-16"),
        _row(_O3, "2025-04-16", _rates("10", "40", "2.5")),
        _row(_O3_CUT, "2025-06-10", _rates("2", "8", "0.5"), kind="change"),
    ),
    # The catalogues list these models' text alone; their audio was cut by 60 % with the snapshot
    # of December.
    "gpt-4o-audio-preview-2024-10-01": (
        _row(_AUDIO, "2024-10-17", _rates("2.5", "10") | _audio("100", "200")),
    ),
    "gpt-4o-audio-preview": (
        _row(_AUDIO, "2024-10-17", _rates("2.5", "10") | _audio("100", "200")),
        _row(_O1_API, "2024-12-17", _rates("2.5", "10") | _audio("40", "80"), kind="change"),
    ),
    **_each(
        ("gpt-4o-audio-preview-2024-12-17", "gpt-4o-audio-preview-2025-06-03"),
        _row(_O1_API, "2024-12-17", _rates("2.5", "10") | _audio("40", "80")),
    ),
    **_each(
        ("gpt-4o-mini-audio-preview", "gpt-4o-mini-audio-preview-2024-12-17"),
        _row(_O1_API, "2024-12-17", _rates("0.15", "0.6") | _audio("10", "20")),
    ),
    "text-embedding-3-small": (_row(_NEW_MODELS, "2024-01-25", {"input": "0.02"}),),
    "text-embedding-3-large": (_row(_NEW_MODELS, "2024-01-25", {"input": "0.13"}),),
}

_NEWS: Final = "https://www.anthropic.com/news"
_CLAUDE_2 = f"{_NEWS}/claude-2 (2023-07-11)"
_CLAUDE_21 = f"{_NEWS}/claude-2-1 (2023-11-21)"
_CLAUDE_3 = f"{_NEWS}/claude-3-family (2024-03-04)"
_HAIKU_3 = f"{_NEWS}/claude-3-haiku (2024-03-13)"
_SONNET_35 = f"{_NEWS}/claude-3-5-sonnet (2024-06-20)"
_CLAUDE_CACHE = f"{_NEWS}/prompt-caching (2024-08-14)"
_MODELS_35 = f"{_NEWS}/3-5-models-and-computer-use (2024-10-22)"
_HAIKU_CUT = f"{_NEWS}/trainium2-and-distillation (2024-12-03)"
_SEARCH_API = f"{_NEWS}/web-search-api (2025-05-07)"
_CLAUDE_4 = f"{_NEWS}/claude-4 (2025-05-22)"
_LONG_CONTEXT = f"{_NEWS}/1m-context (2025-08-12)"
_SONNET = _rates("3", "15", "0.3", "3.75")

_ANTHROPIC: Mapping[str, tuple[Row, ...]] = {
    "claude-2": (
        _row(_CLAUDE_2, "2023-07-11", _rates("11.02", "32.68"), by="record"),
        _row(_CLAUDE_21, "2023-11-21", _rates("8", "24"), kind="change"),
    ),
    "claude-2.0": (_row(_CLAUDE_21, "2023-11-21", _rates("8", "24")),),
    "claude-2.1": (_row(_CLAUDE_21, "2023-11-21", _rates("8", "24")),),
    **_each(
        ("claude-3-opus", "claude-3-opus-latest", "claude-3-opus-20240229"),
        _row(_CLAUDE_3, "2024-03-04", _rates("15", "75"), by=_CLAUDE_PAGE),
        _row(
            _CLAUDE_CACHE,
            "2024-08-14",
            _rates("15", "75", "1.5", "18.75"),
            kind="change",
            by=_CLAUDE_PAGE,
        ),
    ),
    **_each(
        ("claude-3-sonnet", "claude-3-sonnet-20240229"),
        _row(_CLAUDE_3, "2024-03-04", _rates("3", "15")),
    ),
    **_each(
        ("claude-3-haiku", "claude-3-haiku-20240307"),
        _row(_HAIKU_3, "2024-03-13", _rates("0.25", "1.25"), by=_CLAUDE_PAGE),
        _row(
            _CLAUDE_CACHE,
            "2024-08-14",
            _rates("0.25", "1.25", "0.03", "0.3"),
            kind="change",
            by=_CLAUDE_PAGE,
        ),
    ),
    "claude-3-5-sonnet-20240620": (
        _row(_SONNET_35, "2024-06-20", _rates("3", "15"), by=_CLAUDE_PAGE_2025),
        _row(
            _CLAUDE_CACHE,
            "2024-08-14",
            _rates("3", "15", "0.3", "3.75"),
            kind="change",
            by=_CLAUDE_PAGE_2025,
        ),
    ),
    "claude-3-5-sonnet-20241022": (
        _row(_MODELS_35, "2024-10-22", _rates("3", "15", "0.3", "3.75"), by=_CLAUDE_PAGE_2025),
        _row(
            _SEARCH_API,
            "2025-05-07",
            _rates("3", "15", "0.3", "3.75") | _SEARCH,
            kind="change",
            by=_CLAUDE_PAGE_2025,
        ),
    ),
    **_each(
        ("claude-3-7-sonnet", "claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
        _row(f"{_NEWS}/claude-3-7-sonnet (2025-02-24)", "2025-02-24", _SONNET, by=_CLAUDE_PAGE),
        _row(_SEARCH_API, "2025-05-07", _SONNET | _SEARCH, kind="change", by=_CLAUDE_PAGE),
    ),
    **_each(
        ("claude-opus-4", "claude-opus-4-0", "claude-opus-4-20250514"),
        _row(
            _CLAUDE_4,
            "2025-05-22",
            _rates("15", "75", "1.5", "18.75") | _SEARCH,
            by=_CLAUDE_PAGE,
        ),
    ),
    # The catalogues lack this model's price for prompts of more than 200,000 tokens.
    **_each(
        ("claude-sonnet-4", "claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        _row(_CLAUDE_4, "2025-05-22", _SONNET | _SEARCH, by=_CLAUDE_PAGE),
        _row(
            _LONG_CONTEXT,
            "2025-08-12",
            _SONNET | _SEARCH,
            over=(200_000, _rates("6", "22.5", "0.6", "7.5")),
            kind="change",
        ),
    ),
    **_each(
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        _row(_MODELS_35, "2024-11-04", _rates("1", "5", "0.1", "1.25")),
        _row(
            _HAIKU_CUT,
            "2024-12-03",
            _rates("0.8", "4", "0.08", "1"),
            kind="change",
            by=_CLAUDE_PAGE,
        ),
        _row(
            _SEARCH_API,
            "2025-05-07",
            _rates("0.8", "4", "0.08", "1") | _SEARCH,
            kind="change",
            by=_CLAUDE_PAGE,
        ),
    ),
}

_FLASH_CUT = (
    "https://developers.googleblog.com/en/gemini-15-flash-updates-google-ai-studio-gemini-api/"
    " (2024-08-08)"
)
_GEMINI_002 = (
    "https://developers.googleblog.com/en/"
    "updated-gemini-models-reduced-15-pro-pricing-increased-rate-limits-and-more/ (2024-09-24)"
)

# Google's own changes are dated by the announcement; the records only bracket them (June to
# October 2024), so these rows begin on the day from which the announcement says they hold.
_GOOGLE: Mapping[str, tuple[Row, ...]] = {
    **_each(
        ("gemini-1.5-flash", "gemini-1.5-flash-001"),
        _row(
            "https://blog.google/technology/ai/gemini-api-developers-cloud/ (2024-05-14)",
            "2024-05-14",
            _rates("0.35", "1.05"),
            over=(128_000, _rates("0.7", "2.1")),
            by="record",
        ),
        _row(
            _FLASH_CUT,
            "2024-08-12",
            _rates("0.075", "0.3", "0.01875"),
            over=(128_000, _rates("0.15", "0.6", "0.0375")),
            kind="change",
            by="record",
        ),
    ),
    **_each(
        ("gemini-1.5-pro", "gemini-1.5-pro-001"),
        _row(
            "https://blog.google/technology/ai/gemini-api-developers-cloud/ (2024-05-14)",
            "2024-05-14",
            _rates("3.5", "10.5"),
            over=(128_000, _rates("7", "21")),
            by="record",
        ),
        _row(
            _GEMINI_002,
            "2024-10-01",
            _rates("1.25", "5", "0.3125"),
            over=(128_000, _rates("2.5", "10", "0.625")),
            kind="change",
            by="record",
        ),
    ),
    # models.dev listed the price of the preview before it for the first three weeks.
    "gemini-2.5-flash-preview-09-2025": (
        _row(
            "https://developers.googleblog.com/en/"
            "continuing-to-bring-you-our-latest-models-with-an-improved-gemini-2-5-flash-and-flash-lite-release/"
            " (2025-09-25)",
            "2025-09-25",
            _rates("0.3", "2.5"),
        ),
    ),
}

VERIFIED: Mapping[str, Mapping[str, tuple[Row, ...]]] = MappingProxyType(
    {"openai": _OPENAI, "anthropic": _ANTHROPIC, "google": _GOOGLE}
)
