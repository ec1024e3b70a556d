"""Farthing keeps an LLM bill honest: one exact ledger under a gateway, a library and analyses."""

__all__ = ["__version__"]

__version__ = "0.1.0"
