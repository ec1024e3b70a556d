"""The Anthropic protocol."""

from farthing.sim.anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]
