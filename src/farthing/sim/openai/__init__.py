"""The OpenAI protocol, and the providers that speak it with fields of their own."""

from farthing.sim.openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]
