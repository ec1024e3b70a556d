"""FOCUS: the FinOps cost and usage specification, one row per hour, price and kind of token.

FOCUS 1.4 has no column for tokens; direction and cache status go to `SkuMeter` and to columns of
our own (`x_`). Source: focus.finops.org, "FOCUS for AI" and the 1.4 data model, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from farthing.call import UNATTRIBUTED, Attempt, Pricing
from farthing.ledger.entry import Entry
from farthing.ledger.shares import Share
from farthing.money import Money
from farthing.usage import Unit

__all__ = ["FocusVersion", "focus_columns", "focus_rows"]

FocusVersion = Literal["1.4", "1.2"]
_HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"

# unit -> SkuMeter, direction, cache action, consumed unit
_METERS: Final = MappingProxyType(
    {
        Unit.INPUT: ("Input Tokens", "Input", "Uncached", "Tokens"),
        Unit.CACHE_READ: ("Input Cache Read Tokens", "Input", "Read", "Tokens"),
        Unit.CACHE_WRITE_5M: ("Input Cache Write 5m Tokens", "Input", "Write", "Tokens"),
        Unit.CACHE_WRITE_1H: ("Input Cache Write 1h Tokens", "Input", "Write", "Tokens"),
        Unit.OUTPUT: ("Output Tokens", "Output", "", "Tokens"),
        Unit.REASONING: ("Output Reasoning Tokens", "Output", "", "Tokens"),
        Unit.AUDIO_INPUT: ("Input Audio Tokens", "Input", "Uncached", "Tokens"),
        Unit.AUDIO_OUTPUT: ("Output Audio Tokens", "Output", "", "Tokens"),
        Unit.IMAGE_INPUT: ("Input Image Tokens", "Input", "Uncached", "Tokens"),
        Unit.WEB_SEARCH: ("Web Searches", "", "", "Searches"),
        Unit.REQUEST: ("Requests", "", "", "Requests"),
        None: ("Tokens", "", "", "Tokens"),
    }
)
_NAMES: Final = MappingProxyType(
    {
        "1.4": ("ServiceProviderName", "HostProviderName"),
        "1.2": ("ProviderName", "PublisherName"),
    }
)


class _Key(msgspec.Struct, frozen=True, order=True):
    """What rows are added up by; texts only, so that the order is the same every time."""

    hour: str
    provider: str
    model: str
    service_tier: str
    region: str
    unit: str
    source: str
    feature: str
    team: str
    tenant: str
    environment: str
    charge_class: str


class _Sums(msgspec.Struct):
    count: int = 0
    cost: int = 0
    requests: int = 0


def focus_columns(version: FocusVersion) -> tuple[str, ...]:
    """The columns, in order."""
    return (*_COLUMNS[:2], *_NAMES[version], *_COLUMNS[2:])


_COLUMNS: Final = (
    "BillingAccountId",
    "BillingAccountName",
    "InvoiceIssuerName",
    "SubAccountId",
    "SubAccountName",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "BillingCurrency",
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "RegionId",
    "RegionName",
    "x_Feature",
    "x_Team",
    "x_Customer",
    "x_Environment",
    "x_Model",
    "x_ServiceTier",
    "x_TokenDirection",
    "x_TokenCacheAction",
    "x_RequestCount",
    "x_CostSource",
)


def focus_rows(
    entries: Iterable[Entry],
    split: Callable[[Attempt], Iterable[Share]],
    version: FocusVersion = "1.4",
) -> Iterator[dict[str, str]]:
    """Rows of the Cost and Usage dataset; the sum of BilledCost is the entries' total, exactly.

    `entries` come oldest first: an hour's rows are given when the hour is over, so that memory
    holds one hour's sums. `x_RequestCount` is how many attempts stand behind a row. What has no
    price has BilledCost 0 and says so in `x_CostSource`.
    """
    hour = ""
    sums: dict[_Key, _Sums] = {}
    for entry in entries:
        began = entry.started_us - entry.started_us % _HOUR_US
        stamp = (_EPOCH + timedelta(microseconds=began)).strftime(_STAMP)
        if stamp != hour:
            yield from _rows(sums, version)
            sums.clear()
            hour = stamp
        for attempt in entry.attempts:
            for share in split(attempt):
                found = sums.setdefault(_key(hour, entry, attempt, share), _Sums())
                found.count += share.count
                found.cost += share.cost.nanodollars
                found.requests += 1
    yield from _rows(sums, version)


def _key(hour: str, entry: Entry, attempt: Attempt, share: Share) -> _Key:
    whom = entry.attribution
    return _Key(
        hour=hour,
        provider=attempt.provider or UNATTRIBUTED,
        model=attempt.model_served or attempt.model,
        service_tier=attempt.terms.service_tier,
        region=attempt.terms.region,
        unit=share.unit or "",
        source=_source(attempt),
        feature=whom.feature or UNATTRIBUTED,
        team=whom.tags.get("team", "") or UNATTRIBUTED,
        tenant=whom.tenant or UNATTRIBUTED,
        environment=whom.environment or UNATTRIBUTED,
        charge_class="Correction" if entry.corrects else "",
    )


def _source(attempt: Attempt) -> str:
    """How the cost came about; `unpriced...` where there is none."""
    if attempt.cost is None and attempt.pricing is Pricing.FREE:
        return "unpriced"
    return attempt.pricing.value


def _rows(sums: dict[_Key, _Sums], version: FocusVersion) -> Iterator[dict[str, str]]:
    provider_name, host_name = _NAMES[version]
    for key in sorted(sums):
        found = sums[key]
        meter, direction, action, unit = _METERS[Unit(key.unit) if key.unit else None]
        cost = str(Money(found.cost))
        start = datetime.strptime(key.hour, _STAMP).replace(tzinfo=UTC)
        month = start.replace(day=1, hour=0)
        following = (month + timedelta(days=32)).replace(day=1)
        yield {
            "BillingAccountId": key.provider,
            "BillingAccountName": "",
            provider_name: key.provider,
            host_name: key.provider,
            "InvoiceIssuerName": key.provider,
            "SubAccountId": key.tenant,
            "SubAccountName": "",
            "BillingPeriodStart": month.strftime(_STAMP),
            "BillingPeriodEnd": following.strftime(_STAMP),
            "ChargePeriodStart": key.hour,
            "ChargePeriodEnd": (start + timedelta(hours=1)).strftime(_STAMP),
            "ChargeCategory": "Usage",
            "ChargeClass": key.charge_class,
            "ChargeDescription": f"{key.model}: {meter}",
            "ChargeFrequency": "Usage-Based",
            "BillingCurrency": "USD",
            "BilledCost": cost,
            "EffectiveCost": cost,
            "ListCost": cost,
            "ContractedCost": cost,
            "PricingQuantity": str(found.count),
            "PricingUnit": unit,
            "ConsumedQuantity": str(found.count),
            "ConsumedUnit": unit,
            "ServiceCategory": "AI and Machine Learning",
            "ServiceSubcategory": "Generative AI",
            "ServiceName": f"{key.provider} inference",
            "SkuId": key.model,
            "SkuMeter": meter,
            "RegionId": key.region,
            "RegionName": key.region,
            "x_Feature": key.feature,
            "x_Team": key.team,
            "x_Customer": key.tenant,
            "x_Environment": key.environment,
            "x_Model": key.model,
            "x_ServiceTier": key.service_tier,
            "x_TokenDirection": direction,
            "x_TokenCacheAction": action,
            "x_RequestCount": str(found.requests),
            "x_CostSource": key.source,
        }
