"""Levers: one place per way to spend better."""

__all__: list[str] = []
