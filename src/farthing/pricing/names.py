"""Which model a name means: exact ids, explicit aliases, and dated snapshots of a known id.

Nothing is matched by prefix or part: `gpt-5.4-mini` is never `gpt-5`.
"""

from __future__ import annotations

import re
from types import MappingProxyType

__all__ = ["canonical_provider", "maker_of", "spellings"]

_PROVIDERS = MappingProxyType(
    {
        "amazon-bedrock": "aws", "bedrock": "aws", "azure_openai": "azure", "azure-openai": "azure",
        "gemini": "google", "vertex": "google", "vertex_ai": "google", "vertexai": "google",
        "google-vertex": "google", "xai": "x-ai", "grok": "x-ai", "together_ai": "together",
        "togetherai": "together", "fireworks_ai": "fireworks", "moonshot": "moonshotai",
        "zhipu": "zai", "claude": "anthropic", "mistralai": "mistral",
    }
)  # fmt: skip
_MAKERS = (
    ("openai", re.compile(r"(gpt-|chatgpt-|o[134](-|$)|text-embedding-|davinci|babbage|ft:gpt-)")),
    ("anthropic", re.compile(r"claude")),
    ("google", re.compile(r"(gemini|gemma)")),
    ("deepseek", re.compile(r"deepseek")),
    ("mistral", re.compile(r"(mistral|codestral|ministral|pixtral|magistral|devstral)")),
    ("x-ai", re.compile(r"grok")),
    ("cohere", re.compile(r"(command|embed-|rerank)")),
    ("perplexity", re.compile(r"sonar")),
    ("moonshotai", re.compile(r"kimi")),
    ("zai", re.compile(r"glm-")),
)
_DATED = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
_BEDROCK = re.compile(r"^(?:(?:us|eu|apac|global)\.)?([a-z0-9]+)\.(.+?)(?:-v\d+(?::\d+)?)?$")


def canonical_provider(name: str) -> str:
    """The book's name for a provider."""
    low = name.lower()
    return _PROVIDERS.get(low, low)


def maker_of(model: str) -> str:
    """Who makes a model, by its name; empty where that can't be told."""
    return next((maker for maker, known in _MAKERS if known.match(model)), "")


def spellings(provider: str, model: str) -> list[str]:
    """The ids to look for, in order: as written, without a bedrock frame, without its date."""
    low = model.lower()
    found = [low]
    framed = _BEDROCK.match(low) if provider == "aws" else None
    if framed:
        found += [framed[2], f"{framed[1]}.{framed[2]}"]
    return found + [_DATED.sub("", name) for name in found if _DATED.search(name)]
