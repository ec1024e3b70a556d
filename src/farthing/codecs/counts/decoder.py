"""How the JSON of a usage object becomes counts."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import msgspec

__all__ = ["CountsDecoder"]

_Shape = TypeVar("_Shape")
_FLOAT_END = 2.0**53  # from here on a float may stand for another whole number than was written


class CountsDecoder(Generic[_Shape]):
    """Decodes into a shape of counts, which some providers write as floats: `10.0` is 10.

    Only a whole number is a count. Fractions, negatives and booleans are refused in each shape.
    """

    def __init__(self, shape: type[_Shape]) -> None:
        self._shape = shape
        self._decoder = msgspec.json.Decoder(shape)

    def decode(self, raw: bytes | msgspec.Raw) -> _Shape:
        """The counts.

        Raises:
            DecodeError: no JSON, or a member that is no count.
        """
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            try:
                return msgspec.convert(_whole(msgspec.json.decode(raw)), self._shape)
            except (ValueError, RecursionError):
                raise error from None  # it names the member as it was written


def _whole(value: Any) -> Any:
    """A JSON value with its whole floats as integers."""
    if type(value) is float and value.is_integer() and 0 <= value < _FLOAT_END:
        return int(value)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _whole(member) for name, member in members.items()}
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    return value
