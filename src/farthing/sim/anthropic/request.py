"""Anthropic requests: what the simulator reads of them, and how Anthropic words what is wrong.

Source: https://docs.claude.com/en/api/messages (read 2026-11-24).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from farthing.sim.refused import Refused

__all__ = [
    "CountRequest",
    "Mark",
    "MessagesRequest",
    "TextBlock",
    "Turn",
    "read_count",
    "read_messages",
]

_KINDS: Final = (
    ("str", "string"),
    ("int", "integer"),
    ("float", "number"),
    ("bool", "boolean"),
    ("array", "list"),
    ("object", "dictionary"),
)


class Mark(msgspec.Struct, omit_defaults=True):
    """A `cache_control` mark."""

    type: str
    ttl: Literal["5m", "1h"] = "5m"


class TextBlock(msgspec.Struct, omit_defaults=True):
    """A content block; only what the simulator looks at."""

    type: str
    text: str = ""
    thinking: str = ""
    input: Any = None
    content: Any = None
    source: Any = None
    cache_control: Mark | None = None


class Turn(msgspec.Struct, omit_defaults=True):
    """A message of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[TextBlock]


class Tool(msgspec.Struct, omit_defaults=True):
    """A tool; those without a schema run at the provider and are never called here."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    cache_control: Mark | None = None


class CountRequest(msgspec.Struct, omit_defaults=True):
    """The body of a token count, and what a message request begins with."""

    model: str
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    cache_control: Mark | None = None


class MessagesRequest(CountRequest, omit_defaults=True, kw_only=True):
    """The body of a message request."""

    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    stream: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    output_config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


_MESSAGES: Final = msgspec.json.Decoder(MessagesRequest)
_COUNT: Final = msgspec.json.Decoder(CountRequest)
_Body = TypeVar("_Body", CountRequest, MessagesRequest)


def read_messages(body: bytes) -> MessagesRequest:
    """The message request in `body`.

    Raises:
        Refused: with Anthropic's status and words.
    """
    return _read(_MESSAGES, body)


def read_count(body: bytes) -> CountRequest:
    """The token count request in `body`.

    Raises:
        Refused: with Anthropic's status and words.
    """
    return _read(_COUNT, body)


def _read(decoder: msgspec.json.Decoder[_Body], body: bytes) -> _Body:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, _worded(str(error))) from error
    except msgspec.DecodeError as error:
        raise Refused(400, f"The request body is not valid JSON: {error}") from error


def _worded(fault: str) -> str:
    """Anthropic's words for a validation fault, which reads `what is wrong - at `$.path``."""
    what, _, place = fault.partition(" - at `$")
    path = re.sub(r"\[(\d+)\]", r".\1", place.rstrip("`")).lstrip(".")
    missing = re.search(r"missing required field `(\w+)`", what)
    if missing:
        return f"{path}.{missing[1]}: Field required".lstrip(".")
    bound = re.search(r"Expected `(?:int|float)` (<=|>=) (-?[\d.]+)", what)
    if bound:
        side = "less" if bound[1] == "<=" else "greater"
        number = bound[2].removesuffix(".0")
        return f"{path}: Input should be {side} than or equal to {number}"
    if "of length >= 1" in what:
        return f"{path}: at least one message is required"
    if "Invalid enum value" in what:
        return f"{path}: Input should be a valid value; {what[0].lower()}{what[1:]}"
    expected = what.partition(", got ")[0]
    wanted = next((text for kind, text in _KINDS if kind in expected), "value")
    return f"{path or 'body'}: Input should be a valid {wanted}"
