"""Who a call is from, for the semantic cache: whose questions are whose, within a tenant.

It is the user that the call names, or else the one that its key was made for; whoever holds a key
is trusted to name users, as an application's back end does. Where nobody is named it is the key, or
(`unnamed = "tenant"`) all such calls together. A key that was made for one user has one voice, however
many users its calls name: none of them confirms another. Tenants, and callers with other upstream
credentials, never meet at all: that is in the scope.
"""

from __future__ import annotations

from farthing.gateway.keyring import VirtualKey
from farthing.levers.cache import TenantKeys
from farthing.levers.cache.semantic_settings import Unnamed

__all__ = ["principal_of"]


def principal_of(key: VirtualKey | None, named: str, keys: TenantKeys, unnamed: Unnamed) -> str:
    """What stands for the principal: hexadecimal, its voice first; empty: nobody is told apart.

    `named` is the user that the call is attributed to.
    """
    own = "" if key is None else key.user
    if own or named:
        voice = keys.mark("user", own or named).hex()
        return voice + (keys.mark("user", named).hex() if own and named != own else "")
    if key is None or unnamed == "tenant":
        return ""
    return keys.mark("key", key.id).hex()
