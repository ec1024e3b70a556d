"""Which calls a budget counts, and which of its accounts a call belongs to.

A scope is written as conditions on a call's attribution, all of which must hold:
`feature=support tenant=* model=gpt-*`, or `all`. A value may be a shell pattern; it matches and
does not split. A lone `*` matches everything and splits: each value has an account of its own.
What nobody said counts as `unattributed`, so that no call escapes for want of a name.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Final

import msgspec

from farthing.call import UNATTRIBUTED, Attribution
from farthing.errors import ConfigError

__all__ = ["ALL", "Condition", "Scope", "reader"]

ALL: Final = "all"
_EACH: Final = "*"
_TAG: Final = "tag:"
_MODEL: Final = "model"
_FIELDS: Final = ("feature", "user", "tenant", "session", "trace", "step", "environment")
_QUOTED: Final = re.compile(r"""[\s'"\\]""")


class Condition(msgspec.Struct, frozen=True):
    """One condition: a dimension (`feature`, `model`, `tag:team`, ...) and what it must be."""

    dimension: str
    pattern: str

    @property
    def is_split(self) -> bool:
        """Whether each value has an account of its own."""
        return self.pattern == _EACH

    def matches(self, value: str) -> bool:
        """Whether a value, `unattributed` for none, fulfils the condition."""
        return self.is_split or value == self.pattern or fnmatchcase(value, self.pattern)

    def value(self, attribution: Attribution, model: str) -> str:
        """What a call says of the dimension; `unattributed` where it says nothing."""
        if self.dimension == _MODEL:
            found = model
        elif self.dimension.startswith(_TAG):
            found = attribution.tags.get(self.dimension[len(_TAG) :], "")
        else:
            found = str(getattr(attribution, self.dimension))
        return found or UNATTRIBUTED


class Scope(msgspec.Struct, frozen=True):
    """The conditions of one budget; none: every call."""

    conditions: tuple[Condition, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Scope:
        """The scope that a text says; values with spaces are put in quotes.

        Raises:
            ConfigError: it is empty, or a condition is malformed, unknown or given twice.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ConfigError(f"the scope {text!r} has an open quote") from error
        if words == [ALL]:
            return cls()
        if not words:
            raise ConfigError("a scope must not be empty; write `all` for every call")
        conditions = tuple(_condition(word, text) for word in words)
        named = [condition.dimension for condition in conditions]
        if len(set(named)) < len(named):
            raise ConfigError(f"the scope {text!r} names a dimension twice")
        return cls(conditions)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What the scope looks at, in its order."""
        return tuple(condition.dimension for condition in self.conditions)

    def key(self, attribution: Attribution, model: str) -> str | None:
        """The account's key, each `*` filled in; None: the scope does not match the call."""
        words: list[str] = []
        for condition in self.conditions:
            value = condition.value(attribution, model)
            if not condition.matches(value):
                return None
            said = value if condition.is_split else condition.pattern
            words.append(_written(condition.dimension, said))
        return " ".join(words) or ALL

    def __str__(self) -> str:
        """The scope as it is written."""
        return " ".join(_written(c.dimension, c.pattern) for c in self.conditions) or ALL


def reader(dimensions: frozenset[str]) -> Callable[[Attribution, str], object]:
    """A quick function of a call: calls for which it gives the same are the same to the scopes."""
    fields = [name for name in _FIELDS if name in dimensions]
    tags = sorted(name[len(_TAG) :] for name in dimensions if name.startswith(_TAG))
    said: Callable[[Attribution], object] = attrgetter(*fields) if fields else _nothing
    if tags:
        return lambda whom, model: (said(whom), model, tuple(map(whom.tags.get, tags)))
    if _MODEL in dimensions:
        return lambda whom, model: (said(whom), model)
    return lambda whom, _: said(whom)


def _nothing(attribution: Attribution) -> None:
    del attribution


def _written(dimension: str, pattern: str) -> str:
    word = f"{dimension}={pattern}"
    return shlex.quote(word) if _QUOTED.search(word) else word


def _condition(word: str, text: str) -> Condition:
    dimension, equals, pattern = word.partition("=")
    dimension = "environment" if dimension == "env" else dimension
    if not equals or not pattern:
        raise ConfigError(f"{word!r} in the scope {text!r} is no condition; write name=value")
    is_tag = dimension.startswith(_TAG) and len(dimension) > len(_TAG)
    if not is_tag and dimension not in (*_FIELDS, _MODEL):
        known = (*_FIELDS, _MODEL, "tag:NAME")
        near = difflib.get_close_matches(dimension, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"{dimension!r} in the scope {text!r} is unknown ({hint})")
    return Condition(dimension, pattern)
