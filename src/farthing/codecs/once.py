"""Members of a request that must not occur twice.

JSON parsers disagree on which of two equal keys counts: what we price and what a provider runs
could differ. Looking for duplicates costs more than the decode itself, so the decoder's hook
counts: it is called once per occurrence, while the decoded value keeps only the last. Where the
two numbers differ, the exact scanner decides.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec

from farthing.codecs import json_edit
from farthing.codecs.codec import AmbiguousRequest, BadRequest

__all__ = ["Flag", "OnceDecoder", "Text", "Whole"]

Shape = TypeVar("Shape", bound=msgspec.Struct)

TOKENS_MAX: Final = 2**53

_WORDS: Final[dict[type, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


class Text:
    """A string that must stand once."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        if type(value) is not str:
            raise ValueError(f"Expected a string, got {_WORDS[type(value)]}")
        self.value: str = value


class Whole:
    """A whole number that must stand once."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        if type(value) is not int:
            raise ValueError(f"Expected a whole number, got {_WORDS[type(value)]}")
        if not -TOKENS_MAX <= value <= TOKENS_MAX:
            raise ValueError("Expected a whole number, got one out of range")
        self.value: int = value


class Flag:
    """A boolean that must stand once."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        if type(value) is not bool:
            raise ValueError(f"Expected a boolean, got {_WORDS[type(value)]}")
        self.value: bool = value


_ONCE: Final = frozenset({Text, Whole, Flag})


class OnceDecoder(Generic[Shape]):
    """Decodes a request body into `Shape`, whose `Text`, `Whole` and `Flag` members stand once."""

    def __init__(self, shape: type[Shape]) -> None:
        self._calls = itertools.count()
        self._decoder = msgspec.json.Decoder(shape, dec_hook=self._hook)
        self._names = tuple(
            field.encode_name
            for field in msgspec.structs.fields(shape)
            if _ONCE & {field.type, *get_args(field.type)}
        )
        # attrgetter gives a bare value for one name, so a name is always asked for twice.
        self._values = operator.attrgetter(*self._names, self._names[0])

    def _hook(self, kind: type, value: Any) -> Any:
        next(self._calls)
        return kind(value)

    def decode(self, body: bytes) -> Shape:
        """The request.

        Raises:
            BadRequest: no JSON, a wrong type, a member missing, or one that stands twice.
        """
        before = next(self._calls)
        try:
            shape = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _wrong_type(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(
                f"The request body is not valid JSON ({error}). Nothing was sent. Send one JSON"
                " object in UTF-8, without a byte order mark."
            ) from error
        occurred = next(self._calls) - before - 1
        kept = self._values(shape)
        if occurred != len(kept) - 1 - kept.count(None):  # or another thread decoded meanwhile
            self._refuse_duplicates(body)
        return shape

    def _refuse_duplicates(self, body: bytes) -> None:
        for name in json_edit.duplicates(body):
            if name in self._names:
                raise AmbiguousRequest(
                    f'The member "{name}" stands more than once in the request body. Nothing was'
                    " sent. Send it once.",
                    param=name,
                )


def _wrong_type(error: msgspec.ValidationError) -> BadRequest:
    """Msgspec's message ends with ` - at `$.path``; OpenAI's `param` is that path."""
    message, _, path = str(error).partition(" - at `$")
    param = path.strip("`").lstrip(".") or None
    where = f' at "{param}"' if param else ""
    return BadRequest(
        f"The request body has a wrong value{where}: {message}. Nothing was sent. Correct it and"
        " send it again.",
        param=param,
    )
