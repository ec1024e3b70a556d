"""Rate limits beside budgets: requests, tokens and running calls per key.

A budget says how much; a rate limit says how fast. What exactly holds, for one worker and for
several, stands in `farthing.limits.limiter`.
"""

from farthing.limits.bucket import Bucket
from farthing.limits.headers import anthropic_headers, openai_headers, retry_headers
from farthing.limits.limiter import Gauge, Limiter, Limits, Permit, TooMany
from farthing.limits.settings import LimitSettings

__all__ = [
    "Bucket",
    "Gauge",
    "LimitSettings",
    "Limiter",
    "Limits",
    "Permit",
    "TooMany",
    "anthropic_headers",
    "openai_headers",
    "retry_headers",
]
