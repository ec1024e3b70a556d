"""The Anthropic provider: which endpoint answers what, with its headers, keys and models.

Response headers: https://docs.claude.com/en/api/rate-limits (read 2026-11-24).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from farthing.sim.anthropic import errors
from farthing.sim.anthropic.messages import (
    Envelope,
    ask_of,
    blocks_of,
    message_events,
    message_object,
    prompt_tokens,
    question_of,
)
from farthing.sim.anthropic.request import read_count, read_messages
from farthing.sim.chance import Chance
from farthing.sim.delivery import deliver_whole
from farthing.sim.exchange import JSON, Exchange, Headers, retry_headers
from farthing.sim.faults import FaultKind
from farthing.sim.plan import plan
from farthing.sim.refused import Refused
from farthing.sim.script import Script
from farthing.sim.settings import INSTANT
from farthing.sim.world import Conditions, World

__all__ = ["AnthropicProvider"]

_LIMITS: Final = (
    ("requests", 4_000),
    ("tokens", 2_400_000),
    ("input-tokens", 2_000_000),
    ("output-tokens", 400_000),
)
_MODELS_CREATED: Final = "2025-09-29T00:00:00Z"


class AnthropicProvider:
    """Answers in the Anthropic protocol."""

    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, exchange: Exchange) -> Script:
        """The script for one exchange; errors are answers too."""
        try:
            return self._answer(exchange)
        except Refused as refused:
            return self.refuse(exchange, refused)

    def refuse(self, exchange: Exchange, refused: Refused) -> Script:
        """An error answer in Anthropic's words."""
        chance = Chance(self._world.settings.seed, exchange.question.body, b"refused")
        headers = self._headers(exchange, chance)
        headers += retry_headers(exchange.fault)
        if refused.http_status in (429, 500, 503, 529):
            headers.append((b"x-should-retry", b"true"))
        body = errors.error_body(refused, exchange.served.request_id)
        made = deliver_whole(body, 0, INSTANT, chance, None)
        return exchange.script(refused.http_status, [*headers, JSON], made)

    def _answer(self, exchange: Exchange) -> Script:
        question, path = exchange.question, exchange.path
        key = self._key(exchange)
        if path == "/models" or path.startswith("/models/"):
            return self._models(exchange, path)
        if len(question.body) > self._world.settings.body_bytes_max:
            raise errors.of_status(413)
        match question.method, path:
            case "POST", "/messages":
                return self._messages(exchange, key)
            case "POST", "/messages/count_tokens":
                return self._count(exchange)
            case _, "/messages" | "/messages/count_tokens":
                raise Refused(405, "Method Not Allowed")
            case _:
                raise Refused(404, "Not found", kind="not_found_error")

    def _key(self, exchange: Exchange) -> str:
        question = exchange.question
        bearer = question.header(b"authorization").partition(" ")[2].strip()
        key = question.header(b"x-api-key") or bearer
        if not key:
            raise errors.no_key()
        keys = self._world.settings.keys
        if (keys and key not in keys) or "invalid" in key:
            raise errors.bad_key()
        if not question.header(b"anthropic-version"):
            raise Refused(400, "anthropic-version: header is required")
        return key

    def _meet(self, exchange: Exchange, model: str) -> Conditions:
        exchange.served.model = model
        if not self._world.is_known(model):
            raise errors.unknown_model(model)
        question = exchange.question
        conditions = self._world.conditions(model, question.path, exchange.steering)
        exchange.meet(conditions)
        fault = conditions.fault
        if fault is not None and fault.kind is FaultKind.STATUS:
            raise errors.of_status(fault.status)
        if fault is not None and fault.kind is FaultKind.QUOTA:
            raise errors.of_status(402)
        return conditions

    def _messages(self, exchange: Exchange, key: str) -> Script:
        request = read_messages(exchange.question.body)
        conditions = self._meet(exchange, request.model)
        lost = exchange.without_answer()
        if lost is not None:
            return lost
        blocks = blocks_of(request)
        ask = ask_of(request, prompt_tokens(blocks))
        owner = f"{key}\0{request.model}".encode()
        cache = self._world.prompt_cache.marked(owner, blocks, self._world.now_s())
        ask = msgspec.structs.replace(ask, cache=cache)
        given = self._world.given(ask, question_of(request), exchange.steering, conditions)
        made = plan(ask, given)
        answer_id = "msg_01" + given.chance.name("answer", 22)
        envelope = Envelope(
            id=answer_id,
            model=conditions.serves or request.model,
            chance=given.chance,
            service_tier=ask.service_tier,
            told=exchange.note(made, answer_id, ask.service_tier),
            has_thinking=bool(ask.reasoning_typical),
        )
        headers = self._headers(exchange, given.chance)
        if request.stream:
            events = message_events(made, envelope)
            broken = errors.error_event(errors.of_status(529))
            return exchange.stream(headers, events, broken, given.chance)
        if exchange.fault is not None and exchange.fault.kind is FaultKind.ERROR_EVENT:
            raise errors.of_status(529)
        body = msgspec.json.encode(message_object(made, envelope))
        return exchange.whole(headers, body, given.chance)

    def _count(self, exchange: Exchange) -> Script:
        request = read_count(exchange.question.body)
        self._meet(exchange, request.model)
        lost = exchange.without_answer()
        if lost is not None:
            return lost
        steered = exchange.steering.input_tokens
        tokens = prompt_tokens(blocks_of(request)) if steered is None else steered
        chance = Chance(self._world.settings.seed, exchange.question.body)
        body = msgspec.json.encode({"input_tokens": tokens})
        made = deliver_whole(body, 0, INSTANT, chance, exchange.fault)
        return exchange.script(200, [*self._headers(exchange, chance), JSON], made)

    def _models(self, exchange: Exchange, path: str) -> Script:
        wanted = path.removeprefix("/models").removeprefix("/")
        chance = Chance(self._world.settings.seed, path.encode())
        if wanted:
            if not self._world.is_known(wanted):
                raise errors.unknown_model(wanted)
            answer: Any = _model(wanted)
        else:
            listed = [_model(name) for name in self._world.models()]
            answer = {
                "data": listed,
                "has_more": False,
                "first_id": listed[0]["id"] if listed else None,
                "last_id": listed[-1]["id"] if listed else None,
            }
        made = deliver_whole(msgspec.json.encode(answer), 0, INSTANT, chance, None)
        return exchange.script(200, [*self._headers(exchange, chance), JSON], made)

    def _headers(self, exchange: Exchange, chance: Chance) -> Headers:
        request_id = "req_011C" + chance.name("request", 20)
        exchange.served.request_id = request_id
        usage = exchange.served.usage
        used = (
            1,
            usage.prompt_tokens + usage.completion_tokens,
            usage.prompt_tokens,
            usage.completion_tokens,
        )
        reset = datetime.fromtimestamp(self._world.now_s() + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers: Headers = [
            (b"request-id", request_id.encode()),
            (b"anthropic-organization-id", b"00000000-0000-4000-8000-000000000000"),
        ]
        for (name, limit), count in zip(_LIMITS, used, strict=True):
            head = f"anthropic-ratelimit-{name}-".encode()
            headers.append((head + b"limit", b"%d" % limit))
            headers.append((head + b"remaining", b"%d" % max(0, limit - count)))
            headers.append((head + b"reset", reset.encode()))
        return headers


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": _MODELS_CREATED,
        "lifecycle": "active",
    }
