"""Bytes written after the providers' own types; each names where its shape comes from."""

from __future__ import annotations

# openai 3.54.0, types/chat/chat_completion.py (read 2026-11-24)
CHAT_ANSWER = b"""{
  "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
  "object": "chat.completion",
  "created": 1741569952,
  "model": "gpt-4.1-2025-04-14",
  "choices": [
    {
      "index": 0,
      "message": {"role": "assistant", "content": "Hello! How can I help?", "refusal": null,
                  "annotations": []},
      "logprobs": null,
      "finish_reason": "stop"
    }
  ],
  "usage": {
    "prompt_tokens": 1219,
    "completion_tokens": 110,
    "total_tokens": 1329,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0,
      "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
  },
  "service_tier": "default"
}
"""


def chunk(middle: str, tail: str = ',"usage":null,"obfuscation":"x9"') -> str:
    """One chat.completion.chunk with the given choices and closing members."""
    return (
        'data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk",'
        '"created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"flex",'
        f'"system_fingerprint":"fp_fc9f1d7035","choices":[{middle}]{tail}}}\n\n'
    )


_ROLE = '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}'
_TEXT = '{"index":0,"delta":{"content":"Gr\u00fc\u00df \\"usage\\":null {["},"finish_reason":null}'
_TOOL = (
    '{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function",'
    '"function":{"name":"weather","arguments":"{\\"usage\\":null}"}}]},"finish_reason":null}'
)
_STOP = '{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}'
_CHOICES = (_ROLE, _TEXT, _TOOL, _STOP)
CHAT_USAGE = (
    '{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,'
    '"prompt_tokens_details":{"cached_tokens":5,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0}}'
)

# openai 3.54.0, types/chat/chat_completion_chunk.py, with and without
# stream_options.include_usage (read 2026-11-24)
CHAT_STREAM_ASKED = (
    "".join(chunk(choice) for choice in _CHOICES)
    + chunk("", f',"usage":{CHAT_USAGE},"obfuscation":""')
    + "data: [DONE]\n\n"
).encode()
CHAT_STREAM_UNASKED = (
    "".join(chunk(choice, ',"obfuscation":"x9"') for choice in _CHOICES) + "data: [DONE]\n\n"
).encode()

# anthropic 2.12.0, types/message.py and usage.py (read 2026-11-24)
MESSAGE_ANSWER = b"""{"id":"msg_013Zva2CMHLNnjNjJJKqJ2EF","type":"message","role":"assistant",
"model":"claude-sonnet-5","content":[{"type":"thinking","thinking":"Hm.","signature":"EqQB"},
{"type":"text","text":"Hi!"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],
"stop_reason":"tool_use","stop_sequence":null,
"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":4000,
"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},
"output_tokens":90,"output_tokens_details":{"thinking_tokens":40},
"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0},
"service_tier":"priority","inference_geo":"us","speed":"fast"}}"""

# anthropic 2.12.0, types/raw_message_stream_event.py and what it names; thinking and tool use
# (read 2026-11-24)
MESSAGE_STREAM = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-5","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":10},"cache_read_input_tokens":7,"output_tokens":2,"service_tier":"standard","inference_geo":"global"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"I need the weather."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Okay, gr\xc3\xbc\xc3\x9f dich"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"location\\": \\"San"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

"""
