"""How OpenAI and the providers that speak its protocol report usage.

Sources (read 2026-11-24): OpenAI, https://platform.openai.com/docs/api-reference/chat/object;
OpenRouter, https://openrouter.ai/docs/use-cases/usage-accounting (`cost`, `cost_details`);
DeepSeek, https://api-docs.deepseek.com/api/create-chat-completion (cache hit and miss tokens);
xAI, https://docs.x.ai/docs/api-reference (text tokens, `num_sources_used`; reasoning tokens are
beside completion_tokens and part of total_tokens; a tick of `cost_in_usd_ticks` is 1e-10 USD).
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, Final

import msgspec

from farthing.money import Money
from farthing.sim.world import Conditions
from farthing.usage import Usage

__all__ = ["Style", "usage_object"]

_TICKS_PER_NANODOLLAR: Final = 10
_PER_MILLION: Final = 1_000_000


class Style(enum.StrEnum):
    """Whose usage fields an answer carries."""

    OPENAI = "openai"
    OPENROUTER = "openrouter"
    DEEPSEEK = "deepseek"
    XAI = "xai"


def usage_object(usage: Usage, style: Style, conditions: Conditions) -> dict[str, Any]:
    """The `usage` object in the given style."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    match style:
        case Style.OPENAI:
            return _openai(usage, prompt, completion)
        case Style.OPENROUTER:
            return _openrouter(usage, conditions)
        case Style.DEEPSEEK:
            return {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": usage.cache_read},
                **(
                    {"completion_tokens_details": {"reasoning_tokens": usage.reasoning}}
                    if usage.reasoning
                    else {}
                ),
                "prompt_cache_hit_tokens": usage.cache_read,
                "prompt_cache_miss_tokens": prompt - usage.cache_read,
            }
        case Style.XAI:
            return _xai(usage, conditions)


def _openai(usage: Usage, prompt: int, completion: int) -> dict[str, Any]:
    details = {"cached_tokens": usage.cache_read, "audio_tokens": 0}
    if usage.cache_write_5m:
        details["cache_write_tokens"] = usage.cache_write_5m
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _openrouter(usage: Usage, conditions: Conditions) -> dict[str, Any]:
    prompt_cost, completion_cost = _costs(usage, conditions)
    cost = _number(prompt_cost + completion_cost)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": cost,
            "upstream_inference_prompt_cost": _number(prompt_cost),
            "upstream_inference_completions_cost": _number(completion_cost),
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "image_tokens": 0},
    }


def _xai(usage: Usage, conditions: Conditions) -> dict[str, Any]:
    prompt_cost, completion_cost = _costs(usage, conditions)
    ticks = (prompt_cost + completion_cost).nanodollars * _TICKS_PER_NANODOLLAR
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {
            "text_tokens": usage.prompt_tokens,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": usage.cache_read,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
        "cost_in_usd_ticks": ticks,
    }


def _costs(usage: Usage, conditions: Conditions) -> tuple[Money, Money]:
    """What prompt and completion cost at the rule's prices; all prompt tokens cost alike."""
    price_in = Money.usd(Decimal(conditions.usd_per_million_input or "1")).nanodollars
    price_out = Money.usd(Decimal(conditions.usd_per_million_output or "4")).nanodollars
    return (
        Money(usage.prompt_tokens * price_in // _PER_MILLION),
        Money(usage.completion_tokens * price_out // _PER_MILLION),
    )


def _number(cost: Money) -> msgspec.Raw:
    """The sum in USD as a JSON number, exact."""
    return msgspec.Raw(str(cost).encode())
