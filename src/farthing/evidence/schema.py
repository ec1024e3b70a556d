"""A judge that holds answers to a JSON schema.

The keywords that structured output uses are checked; a schema with another one is refused, for
an unchecked keyword would be a promise that nobody keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from farthing.evidence.judges import Judge, Judged

__all__ = ["schema"]

_TYPES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "null": (type(None),),
    }
)
_NOTES: Final = frozenset({"title", "description", "$schema", "default", "examples", "format"})
_NESTED: Final = frozenset({"properties", "items", "anyOf"})


def schema(wanted: Mapping[str, Any]) -> Judge:
    """A judge: 1 where the candidate is JSON that satisfies the schema; no reference is needed.

    Raises:
        ValueError: the schema has a keyword that is not checked here.
    """
    _refuse_unknown(wanted)

    def judge(candidate: str, reference: str) -> Judged:
        del reference
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, RecursionError) as error:
            return Judged(0.0, f"no JSON: {error}")
        fault = next(_faults(value, wanted, "$"), None)
        return Judged(1.0, "satisfies the schema") if fault is None else Judged(0.0, fault)

    return judge


def _refuse_unknown(wanted: Mapping[str, Any]) -> None:
    unknown = set(wanted) - set(_CHECKS) - _NOTES - _NESTED
    if unknown:
        raise ValueError(f"the schema keyword {min(unknown)!r} is not checked here")
    for member in _mapping(wanted.get("properties")).values():
        _refuse_unknown(_mapping(member))
    if "items" in wanted:
        _refuse_unknown(_mapping(wanted["items"]))
    for choice in wanted.get("anyOf", []):
        _refuse_unknown(_mapping(choice))


def _faults(value: Any, wanted: Mapping[str, Any], at: str) -> Iterator[str]:
    for keyword, check in _CHECKS.items():
        if keyword in wanted and not check(value, wanted[keyword], wanted):
            yield f"{at}: fails {keyword} {wanted[keyword]!r}"
    choices = wanted.get("anyOf")
    if choices is not None and all(any(_faults(value, one, at)) for one in choices):
        yield f"{at}: fits none of anyOf"
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        for name, member in _mapping(wanted.get("properties")).items():
            if name in named:
                yield from _faults(named[name], member, f"{at}.{name}")
    if isinstance(value, list):
        for index, member in enumerate(cast("list[Any]", value)):
            yield from _faults(member, _mapping(wanted.get("items")), f"{at}[{index}]")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _has_type(value: Any, kinds: Any, whole: Mapping[str, Any]) -> bool:
    del whole
    names = cast("list[str]", kinds if isinstance(kinds, list) else [kinds])
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True
    return any(isinstance(value, _TYPES.get(name, ())) for name in names)


def _has_all(value: Any, names: Any, whole: Mapping[str, Any]) -> bool:
    del whole
    return not isinstance(value, dict) or all(name in value for name in names)


def _has_no_more(value: Any, allowed: Any, whole: Mapping[str, Any]) -> bool:
    if allowed is not False or not isinstance(value, dict):
        return True
    return set(cast("dict[str, Any]", value)) <= set(_mapping(whole.get("properties")))


def _number(test: Callable[[float, float], bool]) -> Callable[[Any, Any, Mapping[str, Any]], bool]:
    return lambda value, limit, _: (
        isinstance(value, bool) or not isinstance(value, int | float) or test(value, limit)
    )


def _length(test: Callable[[int, int], bool], kind: type) -> Callable[..., bool]:
    return lambda value, limit, _: not isinstance(value, kind) or test(len(value), limit)  # type: ignore[arg-type]


_CHECKS: Final[Mapping[str, Callable[[Any, Any, Mapping[str, Any]], bool]]] = MappingProxyType(
    {
        "type": _has_type,
        "enum": lambda value, allowed, _: value in allowed,
        "const": lambda value, wanted, _: value == wanted,
        "required": _has_all,
        "additionalProperties": _has_no_more,
        "minimum": _number(lambda value, limit: value >= limit),
        "maximum": _number(lambda value, limit: value <= limit),
        "minLength": _length(lambda length, limit: length >= limit, str),
        "maxLength": _length(lambda length, limit: length <= limit, str),
        "minItems": _length(lambda length, limit: length >= limit, list),
        "maxItems": _length(lambda length, limit: length <= limit, list),
        "pattern": lambda value, pattern, _: (
            not isinstance(value, str) or re.search(pattern, value) is not None
        ),
    }
)
