"""A text that must never be shown: an API key, a password, an address that is a credential."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """A text that never shows: its repr is `Secret(***)`; `reveal()` is the one way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the one line that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"
