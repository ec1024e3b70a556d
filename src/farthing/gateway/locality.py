"""Whether a caller is on this machine."""

from __future__ import annotations

import ipaddress

__all__ = ["is_local", "is_local_name"]


def is_local(peer: str) -> bool:
    """Whether an address is loopback's; empty is a unix socket."""
    if not peer:
        return True
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def is_local_name(host: bytes) -> bool:
    """Whether a Host header names this machine, and not a name that somebody made lead here."""
    name = host.decode("latin-1").strip()
    if name.startswith("["):
        return is_local(name[1:].partition("]")[0] or "-")
    name = name.partition(":")[0]
    return name == "localhost" or (name != "" and is_local(name))
