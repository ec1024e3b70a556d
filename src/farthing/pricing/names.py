"""Which model a name means: exact ids, explicit aliases, and snapshots of a known id.

Nothing is matched by prefix or part: `gpt-5.4-mini` is never `gpt-5`. What may be taken off a
name are frames with a fixed form: the path and version of a cloud platform, a fine-tune's owner,
a snapshot's date.
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
_MAKERS = (  # the form of a platform's ids first: they hold the makers' names
    ("aws", re.compile(r"(arn:aws[a-z-]*:bedrock:|([a-z]+(-gov)?\.)?"
                       r"(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|moonshot|openai|qwen|"
                       r"stability|twelvelabs|writer|zai)\.[a-z])")),
    ("google", re.compile(r"(models/(gemini|gemma)|(projects/.*)?publishers/[^/]+/models/)")),
    ("fireworks", re.compile(r"accounts/fireworks/")),
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
    ("minimax", re.compile(r"minimax")),
    ("alibaba", re.compile(r"(qwen-|qwen\d|qwq|qvq)")),
)  # fmt: skip
_DATED = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
_FINE_TUNE = re.compile(r"^(ft:[^:]+):.*$")
_FINE_TUNED_35 = re.compile(r"^(ft:gpt-3\.5-turbo-)\d{4}$")  # listed once for all of its snapshots
# arn:aws:bedrock:REGION:ACCOUNT:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0
# Source: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_BEDROCK_VERSION = re.compile(r"(-v\d+)?(:\d+)?(:\d+k)?$")
_BEDROCK_GEO = re.compile(r"^(global|us-gov|us|eu|apac|au|ca|in|jp|sa|regional)\.(?=[a-z0-9-]+\.)")
# projects/P/locations/L/publishers/anthropic/models/claude-sonnet-4-5@20250929; a Gemini version
# is three digits. Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/models
_VERTEX_VERSION = re.compile(r"(-\d{3}|@default|@latest)$")


def canonical_provider(name: str) -> str:
    """The book's name for a provider."""
    low = name.lower()
    return _PROVIDERS.get(low, low)


def maker_of(model: str) -> str:
    """Who makes a model, by its name; empty where that can't be told."""
    return next((maker for maker, known in _MAKERS if known.match(model)), "")


def spellings(provider: str, model: str) -> list[str]:
    """The ids to look for, in order: as written, out of its frame, then without its date."""
    low = model.lower()
    if provider == "aws":
        found = _bedrock(low)
    elif provider == "google":
        tail = low.rsplit("/", 1)[-1]
        found = [low, tail, _VERTEX_VERSION.sub("", tail)]
    else:
        tuned = _FINE_TUNE.sub(r"\1", low)
        found = [low, tuned, _FINE_TUNED_35.sub(r"\1", tuned)]
    found += [_DATED.sub("", name) for name in found if _DATED.search(name)]
    return list(dict.fromkeys(found))


def _bedrock(model: str) -> list[str]:
    """The ids a Bedrock id may stand under: `regional.` covers all of its regions but `global.`."""
    tail = model.rsplit("/", 1)[-1]
    bare = _BEDROCK_VERSION.sub("", tail)
    geo = _BEDROCK_GEO.match(tail)
    names = [tail, bare]
    if geo is None:
        return [model, *names, *(f"regional.{name}" for name in names)]
    inner = [name[geo.end() :] for name in names]
    if geo[1] == "global":  # its own, lower price: never that of a region
        return [model, *names]
    return [model, *names, *(f"regional.{name}" for name in inner), *inner]
