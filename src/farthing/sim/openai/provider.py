"""The OpenAI provider: which endpoint answers what, with its headers, keys and models.

Response headers: https://platform.openai.com/docs/api-reference/debugging-requests and
https://platform.openai.com/docs/guides/rate-limits (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farthing.sim.chance import Chance
from farthing.sim.delivery import deliver_whole
from farthing.sim.exchange import JSON, Exchange, Headers, retry_headers
from farthing.sim.faults import Fault, FaultKind
from farthing.sim.openai import errors
from farthing.sim.openai.chat import Envelope, ask_of, completion, question_of, render
from farthing.sim.openai.embeddings import embeddings, inputs_of
from farthing.sim.openai.request import ChatRequest, read_chat, read_embeddings
from farthing.sim.openai.stream import StreamShape, stream_events
from farthing.sim.openai.usage import Style, usage_object
from farthing.sim.plan import Ask, plan
from farthing.sim.prompt_cache import NO_CACHE_USE, CacheUse
from farthing.sim.refused import Refused
from farthing.sim.script import Script
from farthing.sim.settings import INSTANT
from farthing.sim.world import Conditions, World
from farthing.usage import Usage

__all__ = ["OpenAIProvider"]

_REQUESTS_LIMIT: Final = 10_000
_TOKENS_LIMIT: Final = 2_000_000
_MODELS_CREATED: Final = 1_715_367_049


class OpenAIProvider:
    """Answers in the OpenAI protocol."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fingerprint = "fp_" + Chance(world.settings.seed).hexadecimal("fingerprint", 10)

    def answer(self, exchange: Exchange) -> Script:
        """The script for one exchange; errors are answers too."""
        try:
            return self._answer(exchange)
        except Refused as refused:
            return self.refuse(exchange, refused)

    def refuse(self, exchange: Exchange, refused: Refused) -> Script:
        """An error answer in OpenAI's words."""
        chance = Chance(self._world.settings.seed, exchange.question.body, b"refused")
        headers = self._headers(exchange, chance, 0)
        headers += retry_headers(exchange.fault)
        body = errors.error_body(refused)
        made = deliver_whole(body, 0, INSTANT, chance, None)
        return exchange.script(refused.http_status, [*headers, JSON], made)

    def _answer(self, exchange: Exchange) -> Script:
        question, path = exchange.question, exchange.path
        key = self._key(exchange)
        if path == "/models" or path.startswith("/models/"):
            return self._models(exchange, path)
        if len(question.body) > self._world.settings.body_bytes_max:
            raise errors.of_status(413, "", 0)
        match question.method, path:
            case "POST", "/chat/completions":
                return self._chat(exchange, key)
            case "POST", "/embeddings":
                return self._embeddings(exchange)
            case _, "/chat/completions" | "/embeddings":
                raise Refused(405, f"Not allowed to {question.method} on {question.path}.")
            case _:
                raise Refused(404, f"Invalid URL ({question.method} {question.path})")

    def _key(self, exchange: Exchange) -> str:
        scheme, _, key = exchange.question.header(b"authorization").partition(" ")
        key = key.strip() or exchange.question.header(b"api-key")
        if not key or (scheme and scheme.lower() != "bearer"):
            raise errors.no_key()
        keys = self._world.settings.keys
        if (keys and key not in keys) or "invalid" in key:
            raise errors.bad_key(key)
        return key

    def _meet(self, exchange: Exchange, model: str) -> Conditions:
        """Check the model and see which conditions hold; raises where a fault refuses."""
        exchange.served.model = model
        if not self._world.is_known(model):
            raise errors.unknown_model(model)
        question = exchange.question
        conditions = self._world.conditions(model, question.path, exchange.steering)
        exchange.meet(conditions)
        fault = conditions.fault
        if fault is not None and fault.kind is FaultKind.STATUS:
            raise errors.of_status(fault.status, model, fault.retry_after_s)
        if fault is not None and fault.kind is FaultKind.QUOTA:
            raise errors.quota()
        return conditions

    def _chat(self, exchange: Exchange, key: str) -> Script:
        request = read_chat(exchange.question.body)
        conditions = self._meet(exchange, request.model)
        lost = exchange.without_answer()
        if lost is not None:
            return lost
        ask = ask_of(request)
        ask = msgspec.structs.replace(ask, cache=self._cache(request, ask, key))
        given = self._world.given(ask, question_of(request), exchange.steering, conditions)
        made = plan(ask, given)
        style = Style(conditions.style or exchange.style)
        envelope = Envelope(
            id=_answer_id(given.chance, style),
            created=self._world.now_s(),
            model=conditions.serves or request.model,
            service_tier=ask.service_tier,
            fingerprint=self._fingerprint,
            style=style,
            chance=given.chance,
            with_logprobs=bool(request.logprobs),
            top_logprobs=request.top_logprobs or 0,
        )
        told = exchange.note(made, envelope.id, ask.service_tier)
        usage = None if told is None else usage_object(told, style, conditions)
        headers = self._headers(exchange, given.chance, made.usage.prompt_tokens)
        if not request.stream:
            if _is_error_event(exchange.fault):
                raise errors.of_status(500, request.model, 0)
            body = msgspec.json.encode(completion(made, envelope, usage))
            return exchange.whole(headers, msgspec.json.format(body, indent=2), given.chance)
        events = stream_events(made, envelope, _shape(request, usage, style))
        broken = errors.error_event(errors.of_status(500, request.model, 0))
        return exchange.stream(headers, events, broken, given.chance)

    def _cache(self, request: ChatRequest, ask: Ask, key: str) -> CacheUse:
        if ask.prompt_tokens < 1024:
            return NO_CACHE_USE
        owner = f"{key}\0{request.model}".encode()
        prompt_cache = self._world.prompt_cache
        return prompt_cache.automatic(
            owner, render(request), ask.prompt_tokens, self._world.now_s()
        )

    def _embeddings(self, exchange: Exchange) -> Script:
        request = read_embeddings(exchange.question.body)
        self._meet(exchange, request.model)
        lost = exchange.without_answer()
        if lost is not None:
            return lost
        inputs = inputs_of(request)
        seed = self._world.settings.seed
        answer = embeddings(request, inputs, seed, exchange.steering.input_tokens)
        tokens: int = answer["usage"]["prompt_tokens"]
        exchange.served.usage = Usage(input=tokens)
        if exchange.fault is not None and exchange.fault.kind is FaultKind.NO_USAGE:
            del answer["usage"]
        chance = Chance(seed, exchange.question.body)
        headers = self._headers(exchange, chance, tokens)
        headers.append((b"openai-model", request.model.encode()))
        return exchange.whole(headers, msgspec.json.encode(answer), chance)

    def _models(self, exchange: Exchange, path: str) -> Script:
        if exchange.question.method != "GET":
            raise Refused(405, f"Not allowed to {exchange.question.method} on {path}.")
        wanted = path.removeprefix("/models").removeprefix("/")
        chance = Chance(self._world.settings.seed, path.encode())
        if wanted:
            if not self._world.is_known(wanted):
                raise errors.unknown_model(wanted)
            answer: Any = _model(wanted)
        else:
            answer = {"object": "list", "data": [_model(name) for name in self._world.models()]}
        body = msgspec.json.format(msgspec.json.encode(answer), indent=2)
        made = deliver_whole(body, 0, INSTANT, chance, None)
        return exchange.script(200, [*self._headers(exchange, chance, 0), JSON], made)

    def _headers(self, exchange: Exchange, chance: Chance, tokens: int) -> Headers:
        request_id = "req_" + chance.hexadecimal("request", 32)
        exchange.served.request_id = request_id
        if exchange.style not in (Style.OPENAI, ""):
            return [(b"x-request-id", request_id.encode())]
        left = max(0, _TOKENS_LIMIT - tokens)
        reset_ms = (_TOKENS_LIMIT - left) * 60_000 // _TOKENS_LIMIT
        return [
            (b"x-request-id", request_id.encode()),
            (b"openai-organization", b"org-simulated"),
            (b"openai-project", b"proj_simulated"),
            (b"openai-version", b"2020-10-01"),
            (b"openai-processing-ms", b"%d" % (200 + chance.digest[0])),
            (b"x-ratelimit-limit-requests", b"%d" % _REQUESTS_LIMIT),
            (b"x-ratelimit-limit-tokens", b"%d" % _TOKENS_LIMIT),
            (b"x-ratelimit-remaining-requests", b"%d" % (_REQUESTS_LIMIT - 1)),
            (b"x-ratelimit-remaining-tokens", b"%d" % left),
            (b"x-ratelimit-reset-requests", b"6ms"),
            (b"x-ratelimit-reset-tokens", b"%dms" % reset_ms),
        ]


def _shape(request: ChatRequest, usage: dict[str, Any] | None, style: Style) -> StreamShape:
    options = request.stream_options
    return StreamShape(
        usage=usage,
        includes_usage=bool(options and options.include_usage),
        is_obfuscated=style is Style.OPENAI
        and not (options and options.include_obfuscation is False),
    )


def _answer_id(chance: Chance, style: Style) -> str:
    match style:
        case Style.OPENROUTER:
            return "gen-1764000000-" + chance.name("answer", 20)
        case Style.DEEPSEEK | Style.XAI:
            digits = chance.hexadecimal("answer", 32)
            parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
            return "-".join(parts)
        case _:
            return "chatcmpl-" + chance.name("answer", 29)


def _is_error_event(fault: Fault | None) -> bool:
    return fault is not None and fault.kind is FaultKind.ERROR_EVENT


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _MODELS_CREATED, "owned_by": "system"}
