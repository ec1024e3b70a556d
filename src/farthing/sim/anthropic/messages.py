"""Messages: from a request to a plan, and from a plan to JSON or events.

Sources: https://docs.claude.com/en/api/messages and
https://docs.claude.com/en/docs/build-with-claude/streaming (read 2026-11-24).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from farthing.sim.anthropic.request import CountRequest, MessagesRequest, TextBlock
from farthing.sim.chance import Chance
from farthing.sim.delivery import Event
from farthing.sim.plan import Ask, Choice, Finish, Plan, ToolMode, ToolOffer
from farthing.sim.prompt_cache import Block
from farthing.sim.tokens import count_tokens, pieces
from farthing.usage import Usage

__all__ = [
    "Envelope",
    "ask_of",
    "blocks_of",
    "message_events",
    "message_object",
    "prompt_tokens",
    "question_of",
]

_PRIMING_TOKENS: Final = 3
_TURN_TOKENS: Final = 4
_TOOLS_TOKENS: Final = 340  # the system prompt for tool use
_IMAGE_TOKENS: Final = 1334  # 1000 x 1000 pixels / 750
_DOCUMENT_TOKENS: Final = 2000
_THINKING_TYPICAL: Final = 300
_STOP_REASONS: Final = MappingProxyType(
    {
        Finish.STOP: "end_turn",
        Finish.STOP_SEQUENCE: "stop_sequence",
        Finish.LENGTH: "max_tokens",
        Finish.TOOLS: "tool_use",
    }
)
_EFFORTS: Final = (("low", 100), ("medium", 300), ("high", 800), ("max", 2000))


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What all parts of one answer have in common; `told` None leaves usage out."""

    id: str
    model: str
    chance: Chance
    service_tier: str
    told: Usage | None
    has_thinking: bool


def question_of(request: MessagesRequest) -> bytes:
    """The request without what only concerns transport; equal bytes get equal answers."""
    return msgspec.json.encode(msgspec.structs.replace(request, stream=None))


def blocks_of(request: CountRequest) -> list[Block]:
    """The prompt in the order in which it is cached: tools, system, messages."""
    found: list[Block] = []
    for tool in request.tools or ():
        text = msgspec.json.encode(msgspec.structs.replace(tool, cache_control=None))
        extra = 0 if found else _TOOLS_TOKENS
        ttl = tool.cache_control.ttl if tool.cache_control else ""
        found.append(Block(text, count_tokens(text.decode()) + extra, ttl))
    found.extend(_blocks(request.system or "", 0))
    for turn in request.messages:
        found.extend(_blocks(turn.content, _TURN_TOKENS))
    if request.cache_control is not None and found:
        found[-1] = msgspec.structs.replace(found[-1], ttl=request.cache_control.ttl)
    return found


def _blocks(content: str | list[TextBlock], extra: int) -> Iterator[Block]:
    if isinstance(content, str):
        if content or extra:
            yield Block(content.encode(), count_tokens(content) + extra)
        return
    for index, block in enumerate(content):
        ttl = block.cache_control.ttl if block.cache_control else ""
        plain = msgspec.structs.replace(block, cache_control=None)
        text = block.text.encode() if block.type == "text" else msgspec.json.encode(plain)
        yield Block(text, _block_tokens(block) + (0 if index else extra), ttl)


def _block_tokens(block: TextBlock) -> int:
    match block.type:
        case "text":
            return count_tokens(block.text)
        case "image":
            return _IMAGE_TOKENS
        case "document":
            return _DOCUMENT_TOKENS
        case "thinking" | "redacted_thinking":
            return count_tokens(block.thinking)
        case "tool_use":
            return count_tokens(msgspec.json.encode(block.input).decode()) + _TURN_TOKENS
        case _:
            return count_tokens(msgspec.json.encode(block.content).decode())


def ask_of(request: MessagesRequest, prompt_tokens: int) -> Ask:
    """What is asked; the prompt cache is looked at elsewhere."""
    tools = tuple(
        ToolOffer(tool.name, tool.input_schema)
        for tool in request.tools or ()
        if tool.input_schema is not None
    )
    tools, mode = _tools(request, tools)
    choice = request.tool_choice or {}
    return Ask(
        model=request.model,
        last_user=_last_user(request),
        prompt_tokens=prompt_tokens,
        output_most=request.max_tokens,
        tools=tools,
        tool_mode=mode,
        is_parallel=choice.get("disable_parallel_tool_use") is not True,
        schema=_schema(request.output_config),
        reasoning_typical=_thinking(request),
        stops=tuple(request.stop_sequences or ()),
        service_tier="standard",
    )


def _last_user(request: CountRequest) -> str:
    for turn in reversed(request.messages):
        if turn.role != "user":
            continue
        if isinstance(turn.content, str):
            return turn.content
        texts = [block.text for block in turn.content if block.type == "text"]
        if texts:
            return "\n".join(texts)
    return ""


def prompt_tokens(blocks: list[Block]) -> int:
    """All tokens of the prompt."""
    return _PRIMING_TOKENS + sum(block.tokens for block in blocks)


def _tools(
    request: MessagesRequest, offered: tuple[ToolOffer, ...]
) -> tuple[tuple[ToolOffer, ...], ToolMode]:
    choice = request.tool_choice or {}
    match choice.get("type", "auto"):
        case "tool":
            named = tuple(tool for tool in offered if tool.name == choice.get("name"))
            return named or offered, ToolMode.ANY
        case "any":
            return offered, ToolMode.ANY
        case "none":
            return offered, ToolMode.NONE
        case _:
            last = request.messages[-1].content
            answered = not isinstance(last, str) and any(b.type == "tool_result" for b in last)
            return offered, ToolMode.NONE if answered or not offered else ToolMode.AUTO


def _schema(output_config: dict[str, Any] | None) -> Mapping[str, Any] | None:
    chosen = cast("Mapping[str, Any]", (output_config or {}).get("format") or {})
    return chosen.get("schema") if chosen.get("type") == "json_schema" else None


def _thinking(request: MessagesRequest) -> int:
    thinking = request.thinking or {}
    match thinking.get("type"):
        case "enabled":
            return min(int(thinking.get("budget_tokens", 1024)), _THINKING_TYPICAL)
        case "adaptive":
            effort = str((request.output_config or {}).get("effort", "medium"))
            return dict(_EFFORTS).get(effort, _THINKING_TYPICAL)
        case _:
            return 0


def message_object(plan: Plan, envelope: Envelope) -> dict[str, Any]:
    """The whole answer."""
    choice = plan.choices[0]
    message: dict[str, Any] = {
        "id": envelope.id,
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": [block for block, _ in _content(choice, envelope)],
        "stop_reason": _STOP_REASONS[choice.finish],
        "stop_sequence": choice.stop_sequence or None,
    }
    if envelope.told is not None:
        message["usage"] = _usage(envelope.told, envelope)
    return message


def _usage(usage: Usage, envelope: Envelope) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    found["service_tier"] = envelope.service_tier
    found["inference_geo"] = "not_available"
    return found


def _content(choice: Choice, envelope: Envelope) -> Iterator[tuple[dict[str, Any], str]]:
    """Each block in full, with the text that its deltas carry."""
    if choice.reasoning and envelope.has_thinking:
        signature = b64encode(envelope.chance.name("signature", 60).encode() * 3).decode()
        block = {"type": "thinking", "thinking": choice.reasoning, "signature": signature}
        yield block, choice.reasoning
    if choice.text or not choice.calls:
        yield {"type": "text", "text": choice.text}, choice.text
    for call in choice.calls:
        block = {
            "type": "tool_use",
            "id": "toolu_01" + envelope.chance.name(call.key, 22),
            "name": call.name,
            "input": msgspec.json.decode(call.arguments),
        }
        yield block, call.arguments


def message_events(plan: Plan, envelope: Envelope) -> list[Event]:
    """All events of the answer, up to and with the protocol's last one."""
    choice = plan.choices[0]
    start: dict[str, Any] = message_object(plan, envelope)
    start |= {"content": (), "stop_reason": None, "stop_sequence": None}
    if envelope.told is not None:
        begun: dict[str, Any] = start["usage"]
        begun["output_tokens"] = min(1, plan.usage.completion_tokens)
        begun.pop("output_tokens_details", None)
    events = [Event(_event("message_start", {"message": start}))]
    for index, (block, text) in enumerate(_content(choice, envelope)):
        events.extend(_block_events(index, block, text))
        if index == 0:
            events.insert(2, Event(_event("ping", {})))
    delta = {
        "stop_reason": _STOP_REASONS[choice.finish],
        "stop_sequence": choice.stop_sequence or None,
    }
    ending: dict[str, Any] = {"delta": delta}
    if envelope.told is not None:
        ending["usage"] = _delta_usage(envelope.told)
    events.append(Event(_event("message_delta", ending)))
    events.append(Event(_event("message_stop", {})))
    return events


def _delta_usage(usage: Usage) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return found


def _block_events(index: int, block: dict[str, Any], text: str) -> Iterator[Event]:
    kind: str = block["type"]
    match kind:
        case "thinking":
            begun = {"type": kind, "thinking": "", "signature": ""}
            delta, field = "thinking_delta", "thinking"
        case "tool_use":
            begun: dict[str, Any] = {**block, "input": msgspec.Raw(b"{}")}
            delta, field = "input_json_delta", "partial_json"
        case _:
            begun = {"type": kind, "text": ""}
            delta, field = "text_delta", "text"
    yield Event(_event("content_block_start", {"index": index, "content_block": begun}))
    head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,' % index
    head += b'"delta":{"type":"%b","%b":' % (delta.encode(), field.encode())
    if kind == "tool_use":
        yield Event(head + b'""}}\n\n', 8)
    for piece in pieces(text):
        yield Event(b"%b%b}}\n\n" % (head, msgspec.json.encode(piece)), 1)
    if kind == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        yield Event(_event("content_block_delta", {"index": index, "delta": signed}))
    yield Event(_event("content_block_stop", {"index": index}))


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    data = msgspec.json.encode({"type": kind, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
