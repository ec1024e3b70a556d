"""Wire formats: bytes of a provider's protocol in, values out; and the other way round.

Sans-IO: no socket, clock, log or configuration. docs/protocols.md says which rule of which
provider each codec relies on, what stays byte-exact, and what is added and hidden.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from farthing.call import Endpoint
from farthing.codecs.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from farthing.codecs.canonical import SAMPLED, Canonical, NotCanonical, canonical_request
from farthing.codecs.codec import (
    Answer,
    BadRequest,
    BilledPart,
    Codec,
    Problem,
    RequestView,
    StreamReader,
)
from farthing.codecs.counts import UsageError
from farthing.codecs.models import add_models, keep_models, write_models
from farthing.codecs.openai_chat import OpenAIChat
from farthing.codecs.openai_embeddings import OpenAIEmbeddings
from farthing.codecs.replay import REPLAYABLE, Content, Cut, NotReplayable, inspect, replayed
from farthing.codecs.said import (
    Demands,
    Said,
    demands_of,
    head_of,
    said_in,
    with_effort,
)
from farthing.codecs.visible import (
    Shown,
    asked_text,
    question_body,
    shown,
    unstreamed,
    with_tier,
)

__all__ = [
    "REPLAYABLE",
    "SAMPLED",
    "Answer",
    "BadRequest",
    "BilledPart",
    "Canonical",
    "Codec",
    "Content",
    "Cut",
    "Demands",
    "NotCanonical",
    "NotReplayable",
    "Problem",
    "RequestView",
    "Said",
    "Shown",
    "StreamReader",
    "UsageError",
    "add_models",
    "asked_text",
    "canonical_request",
    "codec_for",
    "demands_of",
    "head_of",
    "inspect",
    "keep_models",
    "question_body",
    "replayed",
    "said_in",
    "shown",
    "unstreamed",
    "with_effort",
    "with_tier",
    "write_models",
]

_CODECS: Final[MappingProxyType[Endpoint, Codec]] = MappingProxyType(
    {
        Endpoint.OPENAI_CHAT: OpenAIChat(),
        Endpoint.OPENAI_EMBEDDINGS: OpenAIEmbeddings(),
        Endpoint.ANTHROPIC_MESSAGES: AnthropicMessages(),
        Endpoint.ANTHROPIC_COUNT_TOKENS: AnthropicCountTokens(),
    }
)


def codec_for(endpoint: Endpoint) -> Codec:
    """The codec of an endpoint.

    Raises:
        KeyError: the endpoint has no wire format (`Endpoint.RECORDED`).
    """
    return _CODECS[endpoint]
