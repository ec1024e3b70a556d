"""What the request readers of both protocols share: whole numbers, names and sessions."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec

from farthing.codecs.once import Flag, Whole

__all__ = ["flag", "most", "session_of", "strings_of", "text", "user_and_session"]

_SESSION_KEYS: Final = ("session_id", "session", "conversation_id", "thread_id")

# A coding agent's user id: user_<hash>_account_<uuid>_session_<uuid>; the account may be empty.
_AGENT_USER: Final = re.compile(
    r"(user_[0-9a-zA-Z]+)_account_[0-9a-zA-Z-]*_session_([0-9a-zA-Z-]+)"
)


class _AgentId(msgspec.Struct, gc=False):
    """The same three facts as a JSON text, as later agents send them."""

    device_id: str = ""
    session_id: str = ""


def text(value: Any) -> str:
    """The value if it is a string, else empty: a hint of a wrong type is no hint."""
    return value if isinstance(value, str) else ""


def flag(value: Flag | None) -> bool:
    """Whether a flag is there and true."""
    return value is not None and value.value


def most(*limits: Whole | None) -> int:
    """The largest limit that is given; 0 where none is, or none is positive."""
    found = 0
    for limit in limits:
        if limit is not None and limit.value > found:
            found = limit.value
    return found


def strings_of(value: Any) -> dict[str, str]:
    """The string members of a metadata object; empty for anything else."""
    if not isinstance(value, dict):
        return {}
    members = cast("dict[str, object]", value)
    return {name: member for name, member in members.items() if isinstance(member, str)}


def session_of(metadata: dict[str, str]) -> str:
    """The session a caller names in its metadata."""
    for key in _SESSION_KEYS:
        if metadata.get(key):
            return metadata[key]
    return ""


def user_and_session(user_id: str) -> tuple[str, str]:
    """The user and the session within Anthropic's metadata.user_id; no session in a plain id."""
    found = _AGENT_USER.fullmatch(user_id)
    if found:
        return found[1], found[2]
    if user_id.startswith("{"):
        try:
            agent = msgspec.json.decode(user_id, type=_AgentId)
        except msgspec.DecodeError:
            return user_id, ""
        return agent.device_id or user_id, agent.session_id
    return user_id, ""
