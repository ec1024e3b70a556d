"""The exact cache: an answer given once is given again to a call that asks just the same.

C1  Two tenants never share an entry: a tenant's secret is in every key, and encrypts what is kept.
C2  Whatever may change an answer is in its key; what we do not know may.
C3  Only whole answers are kept: ended by themselves, not refused, filtered, cut or failed.
C4  A caller can only ask for less of the cache than the rules allow.
C5  Whatever fails in the cache is a miss.
"""

from farthing.levers.cache.answers import Answers, Found, check_extra, open_vault
from farthing.levers.cache.asked import Asked, Verdict, decide
from farthing.levers.cache.directives import NO_DIRECTIVES, Directives, read_directives
from farthing.levers.cache.entry import Stored, Tried, place_in, taken_of, tried_of, why_not_keep
from farthing.levers.cache.fingerprint import NeutralHeaders, Prints, marked, prints_of
from farthing.levers.cache.known import KnownRequests
from farthing.levers.cache.memory import AtHand
from farthing.levers.cache.scope import NoSuchTenant, TenantKeys, Vault
from farthing.levers.cache.settings import CacheSettings, FeatureCache, Rules, rules_of
from farthing.levers.cache.store import (
    CacheStoreError,
    Purge,
    SqliteAnswers,
    Tally,
    cache_file,
)

__all__ = [
    "NO_DIRECTIVES",
    "Answers",
    "Asked",
    "AtHand",
    "CacheSettings",
    "CacheStoreError",
    "Directives",
    "FeatureCache",
    "Found",
    "KnownRequests",
    "NeutralHeaders",
    "NoSuchTenant",
    "Prints",
    "Purge",
    "Rules",
    "SqliteAnswers",
    "Stored",
    "Tally",
    "TenantKeys",
    "Tried",
    "Vault",
    "Verdict",
    "cache_file",
    "check_extra",
    "decide",
    "marked",
    "open_vault",
    "place_in",
    "prints_of",
    "read_directives",
    "rules_of",
    "taken_of",
    "tried_of",
    "why_not_keep",
]
