"""Chat completions: from a request to a plan, and from a plan to JSON or events.

Field sets and order: https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from farthing.sim.chance import Chance
from farthing.sim.openai.request import ChatRequest, Message, Part
from farthing.sim.openai.usage import Style
from farthing.sim.plan import Ask, Choice, Finish, Plan, ToolMode, ToolOffer
from farthing.sim.tokens import count_tokens, pieces

__all__ = [
    "FINISH_REASONS",
    "Envelope",
    "ask_of",
    "choice_object",
    "completion",
    "logprobs",
    "question_of",
    "render",
]

_MESSAGE_TOKENS: Final = 4  # 3 for a message and 1 for its role
_PRIMING_TOKENS: Final = 3
_IMAGE_TOKENS_LOW: Final = 85
_IMAGE_TOKENS: Final = 765  # 1024 x 1024 in high detail
_AUDIO_TOKENS: Final = 250
_FILE_TOKENS: Final = 1500
_REASONING_PREFIXES: Final = (
    "o1",
    "o3",
    "o4",
    "gpt-5",
    "gpt-6",
    "deepseek-reasoner",
    "grok-4",
    "sim-reason",
)
_EFFORT: Final = (("none", 0), ("minimal", 0), ("low", 64), ("medium", 256), ("high", 1024))
FINISH_REASONS: Final = MappingProxyType(
    {
        Finish.STOP: "stop",
        Finish.STOP_SEQUENCE: "stop",
        Finish.LENGTH: "length",
        Finish.TOOLS: "tool_calls",
    }
)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What all parts of one answer have in common."""

    id: str
    created: int
    model: str
    service_tier: str
    fingerprint: str
    style: Style
    chance: Chance
    with_logprobs: bool = False
    top_logprobs: int = 0


def question_of(request: ChatRequest) -> bytes:
    """The request without what only concerns transport; equal bytes get equal answers."""
    plain = msgspec.structs.replace(request, stream=None, stream_options=None)
    return msgspec.json.encode(plain)


def ask_of(request: ChatRequest) -> Ask:
    """What is asked; the prompt cache is looked at elsewhere."""
    messages = request.messages
    tokens = _PRIMING_TOKENS
    for message in messages:
        tokens += _message_tokens(message)
    tools = tuple(
        ToolOffer(tool.function.name, tool.function.parameters or {})
        for tool in request.tools or ()
        if tool.function is not None
    )
    if request.tools:
        tokens += count_tokens(msgspec.json.encode(request.tools).decode())
    tools, mode = _tools(request, tools)
    stop = request.stop
    return Ask(
        model=request.model,
        last_user=next((_text(m) for m in reversed(messages) if m.role == "user"), ""),
        prompt_tokens=tokens,
        output_most=request.max_completion_tokens or request.max_tokens or 0,
        choices=request.n or 1,
        tools=tools,
        tool_mode=mode,
        is_parallel=request.parallel_tool_calls is not False,
        schema=_schema(request.response_format),
        reasoning_typical=_reasoning(request),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        service_tier=request.service_tier if request.service_tier in _TIERS else "default",
    )


_TIERS: Final = ("default", "flex", "scale", "priority")


def _text(message: Message) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content or () if part.type == "text")


def _message_tokens(message: Message) -> int:
    content = message.content
    if isinstance(content, str):
        tokens = _MESSAGE_TOKENS + count_tokens(content)
    else:
        tokens = _MESSAGE_TOKENS + sum(_part_tokens(part) for part in content or ())
    if message.tool_calls:
        tokens += count_tokens(msgspec.json.encode(message.tool_calls).decode())
    return tokens + (1 if message.name else 0)


def _part_tokens(part: Part) -> int:
    match part.type:
        case "image_url":
            image = part.image_url
            is_low = (
                isinstance(image, dict) and cast("dict[str, Any]", image).get("detail") == "low"
            )
            return _IMAGE_TOKENS_LOW if is_low else _IMAGE_TOKENS
        case "input_audio":
            return _AUDIO_TOKENS
        case "file":
            return _FILE_TOKENS
        case _:
            return count_tokens(part.text)


def render(request: ChatRequest) -> bytes:
    """The prompt as the prompt cache sees it: tools first, then the messages."""
    head = msgspec.json.encode(request.tools) if request.tools else b""
    return head + msgspec.json.encode(request.messages)


def _tools(
    request: ChatRequest, offered: tuple[ToolOffer, ...]
) -> tuple[tuple[ToolOffer, ...], ToolMode]:
    """The tools that may be called and whether one must be. After a tool's result none is."""
    choice = request.tool_choice
    if isinstance(choice, Mapping):
        named = cast("Mapping[str, Any]", choice)
        name = cast("Mapping[str, Any]", named.get("function", {})).get("name")
        return tuple(t for t in offered if t.name == name) or offered, ToolMode.ANY
    if not offered or choice == "none":
        return offered, ToolMode.NONE
    if choice == "required":
        return offered, ToolMode.ANY
    is_answered = request.messages[-1].role in ("tool", "function")
    return offered, ToolMode.NONE if is_answered else ToolMode.AUTO


def _schema(response_format: dict[str, Any] | None) -> Mapping[str, Any] | None:
    if response_format is None:
        return None
    match response_format.get("type"):
        case "json_schema":
            named = cast("Mapping[str, Any]", response_format.get("json_schema") or {})
            return cast("Mapping[str, Any]", named.get("schema") or {})
        case "json_object":
            return {}
        case _:
            return None


def _reasoning(request: ChatRequest) -> int:
    name = request.model.rpartition("/")[2]
    if not name.startswith(_REASONING_PREFIXES) and not request.reasoning_effort:
        return 0
    return dict(_EFFORT).get(request.reasoning_effort or "medium", 256)


def completion(plan: Plan, envelope: Envelope, usage: dict[str, Any] | None) -> dict[str, Any]:
    """The whole answer; without `usage` where that is None."""
    answer: dict[str, Any] = {
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": [
            choice_object(choice, index, envelope) for index, choice in enumerate(plan.choices)
        ],
    }
    if usage is not None:
        answer["usage"] = usage
    if envelope.style is Style.OPENAI:
        answer["service_tier"] = envelope.service_tier
    if envelope.style is Style.OPENROUTER:
        answer = {"id": envelope.id, "provider": "Simulated", **answer}
    answer["system_fingerprint"] = envelope.fingerprint
    return answer


def choice_object(choice: Choice, index: int, envelope: Envelope) -> dict[str, Any]:
    """One choice of a whole answer."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if choice.calls else choice.text,
    }
    if choice.calls:
        message["tool_calls"] = [
            {
                "id": "call_" + envelope.chance.name(call.key, 24),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in choice.calls
        ]
    message["refusal"] = None
    if envelope.style is Style.OPENAI:
        message["annotations"] = []
    elif choice.reasoning:
        field = "reasoning" if envelope.style is Style.OPENROUTER else "reasoning_content"
        message[field] = choice.reasoning
    found: dict[str, Any] = {"index": index, "message": message}
    found["logprobs"] = logprobs(choice.text, envelope)
    found["finish_reason"] = FINISH_REASONS[choice.finish]
    if envelope.style is Style.OPENROUTER:
        found["native_finish_reason"] = found["finish_reason"]
    return found


def logprobs(text: str, envelope: Envelope) -> dict[str, Any] | None:
    """Log probabilities for each piece of `text`, where they are asked for."""
    if not envelope.with_logprobs:
        return None
    content: list[dict[str, Any]] = []
    for index, piece in enumerate(pieces(text)):
        spread = envelope.chance.digest[index % 32] / 256
        first = {"token": piece, "logprob": -spread, "bytes": list(piece.encode())}
        tops = [first] + [
            {"token": f"alt{rank}", "logprob": -spread - rank, "bytes": list(b"alt%d" % rank)}
            for rank in range(1, envelope.top_logprobs)
        ]
        content.append({**first, "top_logprobs": tops[: envelope.top_logprobs]})
    return {"content": content, "refusal": None}
