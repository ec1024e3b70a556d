"""Templates: prompts with typed variables. Typed ones must be equal; only free text is fuzzy.

A template is written as the prompt with its variables in braces: `Summarise order {order:id} for
{reader:free_text}.` What is not free text belongs to the fingerprint, so that two prompts with
other values are never even compared; what is free text is the slot that similarity looks at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from farthing.errors import ConfigError
from farthing.levers.cache.semantic.signature import BETWEEN_VARIABLES, PARTING, sign

__all__ = ["Filled", "Template", "VariableType"]

VariableType = Literal["id", "number", "date", "enum", "email", "code", "free_text"]
_TYPES = ("id", "number", "date", "enum", "email", "code", "free_text")
_VARIABLE = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([a-z_]+))?\}")
# An amount by itself; what else is written with it is no grouping, and counts.
_NUMBER = re.compile(r"-?[^\w\s-]?\s?\d[\d.,]*\s?(?:%|[^\W\d_]+)?")


@dataclass(frozen=True, slots=True)
class Filled:
    """A prompt read by its template. `exact` goes into the fingerprint, `slot` is compared.

    Several free texts in a slot are parted, so that each is compared with its own counterpart.
    """

    template: str
    exact: Mapping[str, str]
    slot: str


@dataclass(frozen=True, slots=True)
class Template:
    """A registered template. `name` is in the fingerprint of every prompt that it reads."""

    name: str
    types: Mapping[str, str]
    _pattern: re.Pattern[str]

    @classmethod
    def of(cls, name: str, text: str) -> Template:
        """Read a template's text.

        Raises:
            ConfigError: a variable's type is unknown or its name is used twice, or two variables
                stand side by side, so that nobody could tell where one ends.
        """
        types: dict[str, str] = {}
        pattern, at = "", 0
        for match in _VARIABLE.finditer(text):
            variable, kind = match.group(1), match.group(2) or "free_text"
            if kind not in _TYPES:
                known = ", ".join(_TYPES)
                raise ConfigError(f"Template {name!r}: {kind!r} is no type. Known are: {known}.")
            if variable in types:
                raise ConfigError(f"Template {name!r} has two variables {variable!r}. Rename one.")
            if types and match.start() == at:
                raise ConfigError(
                    f"Template {name!r}: put text between {variable!r} and the one before."
                )
            types[variable] = kind
            pattern += re.escape(text[at : match.start()]) + f"(?P<{variable}>.+?)"
            at = match.end()
        return cls(
            name, MappingProxyType(types), re.compile(pattern + re.escape(text[at:]), re.DOTALL)
        )

    def read(self, prompt: str) -> Filled | None:
        """The prompt's variables; None where it was not made from this template.

        Nor is one that holds what parts the variables in the slot.
        """
        match = None if PARTING in prompt else self._pattern.fullmatch(prompt)
        if match is None:
            return None
        values = match.groupdict()
        exact = {
            variable: _exact(values[variable], kind)
            for variable, kind in self.types.items()
            if kind != "free_text"
        }
        free = [values[name] for name, kind in self.types.items() if kind == "free_text"]
        return Filled(self.name, MappingProxyType(exact), BETWEEN_VARIABLES.join(free))


def _exact(value: str, kind: str) -> str:
    """The form in which a typed value is compared: as it is, but for case and number grouping."""
    stripped = value.strip()
    if kind in {"email", "enum"}:
        return stripped.casefold()
    if kind == "number":
        signed = sign(stripped) if _NUMBER.fullmatch(stripped) else None
        is_one = signed is not None and len(signed.row) == 1 == len(signed.quantities)
        return signed.quantities[0] if signed is not None and is_one else stripped
    return stripped
