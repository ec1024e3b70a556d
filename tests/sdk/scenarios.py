"""What the official Python SDKs do against a base URL, as plain results that can be compared.

Each scenario takes a `Target` and returns JSON-able data: raw bodies, parsed fields, error types.
The same scenario against a provider and against a gateway in front of it must give equal results.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import MappingProxyType

import anthropic
import openai
from pydantic import BaseModel

CHAT_MODEL = "gpt-4o-mini"
REASONING_MODEL = "o4-mini"
MESSAGES_MODEL = "claude-sonnet-5-5"
USER = [{"role": "user", "content": "How do I return an order?"}]
LONG = "Our terms say that each order can be returned within thirty days. " * 120
COMPARED_HEADERS = (
    "content-type",
    "x-request-id",
    "request-id",
    "openai-processing-ms",
    "openai-version",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-input-tokens-remaining",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-sim-score",
)
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
OPENAI_TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_forecast", "parameters": WEATHER}},
]
ANTHROPIC_TOOLS = [
    {"name": "get_weather", "description": "Weather now", "input_schema": WEATHER},
    {"name": "get_forecast", "description": "Weather to come", "input_schema": WEATHER},
]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Refund(BaseModel):
    order: str
    amount: int
    reasons: list[str]


@dataclass(frozen=True)
class Target:
    """Where to call, and with which keys and extra headers."""

    base_url: str
    openai_key: str = "sk-test-openai"
    anthropic_key: str = "sk-test-anthropic"
    headers: dict[str, str] = field(default_factory=dict)

    def openai(self, **options):
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.openai_key)
        base_url = self.base_url + "/v1"
        return openai.OpenAI(base_url=base_url, default_headers=self.headers, **options)

    def openai_async(self):
        return openai.AsyncOpenAI(
            base_url=self.base_url + "/v1",
            api_key=self.openai_key,
            max_retries=0,
            default_headers=self.headers,
        )

    def anthropic(self, **options):
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.anthropic_key)
        return anthropic.Anthropic(base_url=self.base_url, default_headers=self.headers, **options)

    def anthropic_async(self):
        return anthropic.AsyncAnthropic(
            base_url=self.base_url,
            api_key=self.anthropic_key,
            max_retries=0,
            default_headers=self.headers,
        )


def _headers(response):
    return {name: response.headers[name] for name in COMPARED_HEADERS if name in response.headers}


def _body(raw):
    """The body as it came; the SDKs differ in whether `text` is called."""
    return raw.text() if callable(raw.text) else raw.text


def _dump(model):
    return json.loads(model.model_dump_json(warnings=False))


def _failure(call):
    """How `call` fails: the SDK's error type, and every field a program may look at."""
    try:
        call()
    except (openai.APIError, anthropic.APIError) as error:
        found = {"type": type(error).__name__, "message": str(error), "body": error.body}
        for name in ("status_code", "code", "param", "request_id"):
            found[name] = getattr(error, name, None)
        response = getattr(error, "response", None)
        if response is not None and found["type"] != "APIError":
            found["headers"] = _headers(response)
        return found
    return {"type": "none"}


def openai_chat(target):
    with target.openai() as client:
        raw = client.chat.completions.with_raw_response.create(model=CHAT_MODEL, messages=USER)
        return {"raw": _body(raw), "headers": _headers(raw), "parsed": _dump(raw.parse())}


def openai_chat_async(target):
    async def run():
        async with target.openai_async() as client:
            answer = await client.chat.completions.create(model=CHAT_MODEL, messages=USER, n=2)
            stream = await client.chat.completions.create(
                model=CHAT_MODEL, messages=USER, n=2, stream=True
            )
            return {"answer": _dump(answer), "chunks": [_dump(chunk) async for chunk in stream]}

    return asyncio.run(run())


def openai_chat_parameters(target):
    with target.openai() as client:
        answer = client.chat.completions.create(
            model=CHAT_MODEL,
            messages=[{"role": "developer", "content": "Be brief."}, *USER],
            max_completion_tokens=7,
            temperature=0.3,
            logprobs=True,
            top_logprobs=2,
            seed=7,
            service_tier="flex",
            user="user-1",
            metadata={"feature": "returns"},
            extra_body={"unknown_field": {"kept": [1, 2.5, None]}},
        )
        return _dump(answer)


def openai_image(target):
    with target.openai() as client:
        url = {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
        messages = [{"role": "user", "content": content}]
        return _dump(client.chat.completions.create(model=CHAT_MODEL, messages=messages))


def _raw_chat_stream(target, **options):
    with (
        target.openai() as client,
        client.chat.completions.with_streaming_response.create(
            model=CHAT_MODEL, messages=USER, stream=True, **options
        ) as response,
    ):
        return {"raw": b"".join(response.iter_bytes()).decode(), "headers": _headers(response)}


def openai_stream_without_usage(target):
    return _raw_chat_stream(target)


def openai_stream_with_usage(target):
    return _raw_chat_stream(target, stream_options={"include_usage": True})


def openai_stream_helper(target):
    with (
        target.openai() as client,
        client.chat.completions.stream(model=CHAT_MODEL, messages=USER) as stream,
    ):
        kinds = [event.type for event in stream]
        return {"kinds": kinds, "final": _dump(stream.get_final_completion())}


def openai_tools(target):
    with target.openai() as client:
        first = client.chat.completions.create(
            model=CHAT_MODEL,
            messages=USER,
            tools=OPENAI_TOOLS,
            tool_choice="required",
            extra_headers={"x-sim-tool-calls": "2"},
        )
        asked = first.choices[0].message
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
            for call in asked.tool_calls
        ]
        turn = asked.model_dump(exclude_none=True)
        second = client.chat.completions.create(
            model=CHAT_MODEL, messages=[*USER, turn, *results], tools=OPENAI_TOOLS
        )
        return {"first": _dump(first), "second": _dump(second)}


def openai_tools_streamed(target):
    return _raw_chat_stream(
        target,
        tools=OPENAI_TOOLS,
        tool_choice="required",
        extra_headers={"x-sim-tool-calls": "2"},
    )


def openai_parse(target):
    with target.openai() as client:
        answer = client.chat.completions.parse(
            model=CHAT_MODEL, messages=USER, response_format=Refund
        )
        return {"answer": _dump(answer), "parsed": answer.choices[0].message.parsed.model_dump()}


def openai_json_object(target):
    with target.openai() as client:
        answer = client.chat.completions.create(
            model=CHAT_MODEL, messages=USER, response_format={"type": "json_object"}
        )
        return json.loads(answer.choices[0].message.content)


def openai_reasoning(target):
    with target.openai() as client:
        answer = client.chat.completions.create(
            model=REASONING_MODEL, messages=USER, reasoning_effort="low"
        )
        return _dump(answer)


def openai_prompt_caching(target):
    messages = [{"role": "system", "content": LONG}, *USER]
    with target.openai() as client:
        answers = [
            client.chat.completions.create(model=CHAT_MODEL, messages=messages) for _ in range(2)
        ]
        return [_dump(answer) for answer in answers]


def openai_embeddings(target):
    with target.openai() as client:
        many = client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], dimensions=8
        )
        plain = client.embeddings.create(
            model="text-embedding-3-small", input="a", dimensions=8, encoding_format="float"
        )
        raw = client.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=[[1, 2, 3]], dimensions=4
        )
        return {"many": _dump(many), "plain": _dump(plain), "raw": _body(raw)}


def openai_models(target):
    with target.openai() as client:
        listed = [model.id for model in client.models.list()]
        return {"listed": listed, "one": _dump(client.models.retrieve(CHAT_MODEL))}


def _chat_failure(target, fault="", body=None, **options):
    arguments = {"model": CHAT_MODEL, "messages": USER, **(body or {})}
    headers = {"x-sim-fault": fault} if fault else {}
    with target.openai(**options) as client:
        create = client.chat.completions.create
        return _failure(lambda: create(**arguments, extra_headers=headers))


def openai_errors(target):
    return {
        "unknown model": _chat_failure(target, body={"model": "no-such-model"}),
        "bad parameter": _chat_failure(target, body={"temperature": 9}),
        "bad type": _chat_failure(target, body={"messages": "text"}),
        "no messages": _chat_failure(target, body={"messages": []}),
        "rate limit": _chat_failure(target, "429; retry_after=2; retry_after_ms=1500"),
        "quota": _chat_failure(target, "insufficient_quota"),
        "server error": _chat_failure(target, "500"),
        "unavailable": _chat_failure(target, "503"),
    }


def openai_bad_key(target):
    return _chat_failure(target, api_key="sk-invalid-0123456789")


def openai_bad_json(target):
    with target.openai() as client:
        headers = {"content-type": "application/json"}
        return _failure(
            lambda: client.post(
                "/chat/completions",
                content=b'{"model": "gpt-4o-mini", "messages": [',
                cast_to=object,
                options={"headers": headers},
            )
        )


def openai_timeout(target):
    return _chat_failure(target, "slow_first_byte; seconds=30", timeout=0.3)


def _streamed_failure(target, fault):
    seen = []

    def run():
        with target.openai() as client:
            stream = client.chat.completions.create(
                model=CHAT_MODEL,
                messages=USER,
                stream=True,
                extra_headers={"x-sim-fault": fault},
            )
            for chunk in stream:
                seen.append(_dump(chunk))  # noqa: PERF401 - what came before a failure counts

    return {"failure": _failure(run), "seen": seen}


def openai_error_event(target):
    return _streamed_failure(target, "error_event; after=4")


def openai_ragged_stream(target):
    return _streamed_failure(target, "ragged")


def _message(**options):
    return {"model": MESSAGES_MODEL, "max_tokens": 400, "messages": USER, **options}


def anthropic_message(target):
    with target.anthropic() as client:
        raw = client.messages.with_raw_response.create(**_message(system="Be kind."))
        return {"raw": _body(raw), "headers": _headers(raw), "parsed": _dump(raw.parse())}


def anthropic_message_async(target):
    async def run():
        async with target.anthropic_async() as client:
            answer = await client.messages.create(**_message())
            stream = await client.messages.create(**_message(stream=True))
            return {"answer": _dump(answer), "events": [_dump(event) async for event in stream]}

    return asyncio.run(run())


def _raw_message_stream(target, **options):
    with (
        target.anthropic() as client,
        client.messages.with_streaming_response.create(
            **_message(stream=True, **options)
        ) as response,
    ):
        return {"raw": b"".join(response.iter_bytes()).decode(), "headers": _headers(response)}


def anthropic_stream(target):
    return _raw_message_stream(target)


def anthropic_stream_helper(target):
    with target.anthropic() as client, client.messages.stream(**_message()) as stream:
        text = "".join(stream.text_stream)
        return {"text": text, "final": _dump(stream.get_final_message())}


def anthropic_stop_sequence(target):
    with target.anthropic() as client:
        return _dump(client.messages.create(**_message(stop_sequences=["."])))


def anthropic_tools(target):
    with target.anthropic() as client:
        headers = {"x-sim-tool-calls": "2"}
        options = _message(tools=ANTHROPIC_TOOLS, tool_choice={"type": "any"})
        first = client.messages.create(**options, extra_headers=headers)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "18 degrees"}
            for block in first.content
        ]
        turns = [
            *USER,
            {
                "role": "assistant",
                "content": [b.model_dump(exclude_none=True) for b in first.content],
            },
            {"role": "user", "content": results},
        ]
        second = client.messages.create(**_message(messages=turns, tools=ANTHROPIC_TOOLS))
        return {"first": _dump(first), "second": _dump(second)}


def anthropic_tools_streamed(target):
    return _raw_message_stream(
        target,
        tools=ANTHROPIC_TOOLS,
        tool_choice={"type": "any"},
        extra_headers={"x-sim-tool-calls": "2"},
    )


def anthropic_parse(target):
    with target.anthropic() as client:
        answer = client.messages.parse(**_message(output_format=Refund))
        return {"answer": _dump(answer), "parsed": answer.parsed_output.model_dump()}


def anthropic_thinking(target):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options = {"thinking": thinking, "max_tokens": 4000}
    with target.anthropic() as client:
        whole = client.messages.create(**(_message() | options))
    with (
        target.anthropic() as client,
        client.messages.stream(**(_message() | options)) as stream,
    ):
        kinds = [event.type for event in stream]
        return {"whole": _dump(whole), "kinds": kinds, "final": _dump(stream.get_final_message())}


def anthropic_prompt_caching(target):
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": LONG, "cache_control": mark}]
    with target.anthropic() as client:
        answers = [client.messages.create(**_message(system=system)) for _ in range(2)]
        return [_dump(answer) for answer in answers]


def anthropic_image(target):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    with target.anthropic() as client:
        messages = [{"role": "user", "content": content}]
        return _dump(client.messages.create(**_message(messages=messages)))


def anthropic_count_tokens(target):
    with target.anthropic() as client:
        counted = client.messages.count_tokens(
            model=MESSAGES_MODEL, messages=USER, tools=ANTHROPIC_TOOLS, system="Be kind."
        )
        return _dump(counted)


def anthropic_models(target):
    with target.anthropic() as client:
        listed = [model.id for model in client.models.list()]
        return {"listed": listed, "one": _dump(client.models.retrieve(MESSAGES_MODEL))}


def _message_failure(target, fault="", body=None, **options):
    headers = {"x-sim-fault": fault} if fault else {}
    with target.anthropic(**options) as client:
        create = client.messages.create
        return _failure(lambda: create(**(_message() | (body or {})), extra_headers=headers))


def anthropic_errors(target):
    return {
        "unknown model": _message_failure(target, body={"model": "no-such-model"}),
        "bad parameter": _message_failure(target, body={"extra_body": {"temperature": 9}}),
        "no messages": _message_failure(target, body={"messages": []}),
        "rate limit": _message_failure(target, "429; retry_after=2"),
        "server error": _message_failure(target, "500"),
        "overloaded": _message_failure(target, "529"),
        "too large": _message_failure(target, "413"),
    }


def anthropic_bad_key(target):
    return _message_failure(target, api_key="sk-invalid-0123456789")


def anthropic_bad_json(target):
    with target.anthropic() as client:
        return _failure(lambda: client.post("/v1/messages", content=b'{"model": ', cast_to=object))


def anthropic_timeout(target):
    return _message_failure(target, "slow_first_byte; seconds=30", timeout=0.3)


def anthropic_error_event(target):
    seen = []

    def run():
        with target.anthropic() as client:
            headers = {"x-sim-fault": "error_event; after=5"}
            for event in client.messages.create(**_message(stream=True), extra_headers=headers):
                seen.append(_dump(event))  # noqa: PERF401 - what came before a failure counts

    return {"failure": _failure(run), "seen": seen}


SCENARIOS = MappingProxyType(
    {
        name: found
        for name, found in globals().items()
        if callable(found) and name.startswith(("openai_", "anthropic_"))
    }
)


def run_all(target):
    """Every scenario's result by name."""
    return {name: scenario(target) for name, scenario in SCENARIOS.items()}
