"""Answers served again: what was asked before, in the same words or in others."""

__all__: list[str] = []
