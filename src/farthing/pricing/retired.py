"""When first-party models stop being served. Their prices stand on for calls of the past.

Days are the vendor's; each row names its page and, where we could not read that page ourselves,
who quotes it. `recorded` is the day of the notice, or else the day of the page we know it from.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from farthing.pricing.rows import Layer, Row

__all__ = ["RETIRED"]

_OPENAI = "https://developers.openai.com/api/docs/deprecations (2026-11)"
_ANTHROPIC = "https://docs.anthropic.com/en/docs/about-claude/model-deprecations"
_CLAUDE_NOTES = "https://platform.claude.com/docs/en/release-notes/overview"


def _on(day: str, announced: str, source: str, *models: str) -> dict[str, tuple[Row, ...]]:
    row = Row(
        layer=Layer.VERIFIED,
        kind="retired",
        source=source,
        quotes=(),
        valid_from=day,
        recorded=announced,
        verified_by="" if "quoted by" in source else "page",
    )
    return dict.fromkeys(models, (row,))


RETIRED: Mapping[str, Mapping[str, tuple[Row, ...]]] = MappingProxyType(
    {
        "openai": {
            **_on(
                "2026-10-23", "2026-10-15",
                f"{_OPENAI}, quoted by https://dev.to/importstatic (2026-10-15)",
                "gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-4", "gpt-4-0613", "gpt-4-1106-preview",
                "gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4o-2024-05-13", "o1",
                "o1-2024-12-17", "o1-pro", "o1-pro-2025-03-19", "o3-mini", "o3-mini-2025-01-31",
                "o4-mini", "o4-mini-2025-04-16", "gpt-4.1-nano", "gpt-4.1-nano-2025-04-14",
            ),
            **_on(
                "2026-12-11", "2026-06-11", _OPENAI,
                "gpt-5", "gpt-5-2025-08-07", "gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-nano",
                "gpt-5-nano-2025-08-07", "gpt-5-pro", "o3", "o3-2025-04-16", "o3-pro",
            ),
            **_on(
                "2027-01-14", "2026-10-14", _OPENAI,
                "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "gpt-4o-mini",
                "gpt-4o-mini-2024-07-18", "gpt-4.1", "gpt-4.1-2025-04-14", "gpt-4.1-mini",
                "gpt-4.1-mini-2025-04-14",
            ),
        },
        "anthropic": {
            **_on(
                "2024-11-06", "2024-09-04", _ANTHROPIC,
                "claude-instant-1", "claude-instant-1.1", "claude-instant-1.2",
            ),
            **_on(
                "2025-07-21", "2025-01-21", _ANTHROPIC,
                "claude-2", "claude-2.0", "claude-2.1", "claude-3-sonnet",
                "claude-3-sonnet-20240229",
            ),
            **_on(
                "2025-10-28", "2025-08-13", _CLAUDE_NOTES,
                "claude-3-5-sonnet", "claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022",
            ),
            **_on(
                "2026-01-05", "2025-06-30", _ANTHROPIC,
                "claude-3-opus-latest", "claude-3-opus-20240229",
            ),
            **_on(
                "2026-02-19", "2025-10-28",
                f"{_ANTHROPIC}, quoted by https://github.com/thevibeworks/claude-code-docs/pull/417",
                "claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219",
            ),
            **_on(
                "2026-06-15", "2026-06-15", _CLAUDE_NOTES,
                "claude-opus-4-0", "claude-opus-4-20250514", "claude-sonnet-4-0",
                "claude-sonnet-4-20250514",
            ),
            **_on(
                "2026-11-30", "2026-11-24",
                f"{_ANTHROPIC}, quoted by https://dev.to/leighefford (2026-10)",
                "claude-sonnet-4-5", "claude-sonnet-4-5-20250929",
            ),
        },
    }
)  # fmt: skip
