"""OpenAI requests: what the simulator reads of them, and how OpenAI words what is wrong.

Source: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from farthing.sim.refused import Refused

__all__ = [
    "ChatRequest",
    "EmbeddingsRequest",
    "FunctionTool",
    "Message",
    "Part",
    "read_chat",
    "read_embeddings",
]

NOT_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was "
    "not valid JSON. If you have trouble figuring out how to fix this, please contact us through "
    "our help center at help.openai.com.)"
)
_KINDS: Final = (
    ("str", "a string"),
    ("int", "an integer"),
    ("float", "a decimal"),
    ("bool", "a boolean"),
    ("array", "an array"),
    ("object", "an object"),
    ("null", "null"),
)


class Part(msgspec.Struct, omit_defaults=True):
    """A content part of a message; unknown kinds are taken as they come."""

    type: str
    text: str = ""
    image_url: Any = None
    input_audio: Any = None
    file: Any = None


class Message(msgspec.Struct, omit_defaults=True):
    """A message of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None


class Function(msgspec.Struct, omit_defaults=True):
    """A function a tool offers."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(msgspec.Struct, omit_defaults=True):
    """A tool; custom tools are counted but never called."""

    type: str
    function: Function | None = None
    custom: Any = None


class StreamOptions(msgspec.Struct, omit_defaults=True):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(msgspec.Struct, omit_defaults=True):
    """The body of a chat completion request."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    seed: int | None = None


class EmbeddingsRequest(msgspec.Struct, omit_defaults=True):
    """The body of an embeddings request."""

    model: str
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None


_CHAT: Final = msgspec.json.Decoder(ChatRequest)
_EMBEDDINGS: Final = msgspec.json.Decoder(EmbeddingsRequest)
_Body = TypeVar("_Body", ChatRequest, EmbeddingsRequest)


def read_chat(body: bytes) -> ChatRequest:
    """The chat request in `body`.

    Raises:
        Refused: with OpenAI's status and words.
    """
    return _read(_CHAT, body)


def read_embeddings(body: bytes) -> EmbeddingsRequest:
    """The embeddings request in `body`.

    Raises:
        Refused: with OpenAI's status and words.
    """
    return _read(_EMBEDDINGS, body)


def _read(decoder: msgspec.json.Decoder[_Body], body: bytes) -> _Body:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except msgspec.DecodeError as error:
        raise Refused(400, NOT_JSON) from error


def _invalid(fault: str) -> Refused:
    """OpenAI's words for a validation fault, which reads `what is wrong - at `$.path``."""
    what, _, place = fault.partition(" - at `$")
    param = place.rstrip("`").lstrip(".") or None
    missing = re.search(r"missing required field `(\w+)`", what)
    if missing:
        name = f"{param}.{missing[1]}" if param else missing[1]
        return Refused(
            400,
            f"Missing required parameter: '{name}'.",
            code="missing_required_parameter",
            param=name,
        )
    bound = re.search(r"Expected `(int|float)` (<=|>=) (-?[\d.]+)", what)
    if bound:
        kind = "integer" if bound[1] == "int" else "decimal"
        side, edge = ("above", "maximum") if bound[2] == "<=" else ("below", "minimum")
        return Refused(
            400,
            f"Invalid '{param}': {kind} {side} {edge} value. "
            f"Expected a value {bound[2]} {_plain(bound[3])}.",
            code=f"{kind}_{side}_{edge[:3]}_value",
            param=param,
        )
    if "of length >= 1" in what:
        return Refused(
            400,
            f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            code="empty_array",
            param=param,
        )
    if "Invalid enum value" in what:
        return Refused(
            400, f"Invalid value for '{param}': {what}.", code="invalid_value", param=param
        )
    return _wrong_type(what, param)


def _wrong_type(what: str, param: str | None) -> Refused:
    expected, _, got = what.partition(", got ")
    wanted = " or ".join(
        text for kind, text in _KINDS if f"`{kind}" in expected or f"| {kind}" in expected
    )
    found = next((text for kind, text in _KINDS if f"`{kind}`" in got), "something else")
    return Refused(
        400,
        f"Invalid type for '{param}': expected {wanted or 'something else'}, but got {found} "
        "instead.",
        code="invalid_type",
        param=param,
    )


def _plain(number: str) -> str:
    return number.removesuffix(".0")
