"""A value that fits a JSON schema, the same for the same chance.

Knows what tool parameters and structured outputs use: types, enum, const, properties, items,
anyOf/oneOf/allOf, local $ref, bounds and the usual string formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

from farthing.sim.chance import Chance

__all__ = ["example"]

_FORMATS: Final = MappingProxyType(
    {
        "date": "2026-03-14",
        "date-time": "2026-03-14T09:26:53Z",
        "time": "09:26:53",
        "email": "ada@example.com",
        "uri": "https://example.com/orders/1",
        "uuid": "3f2b8c1e-5d4a-4b6f-9a7c-0e1d2c3b4a59",
        "hostname": "example.com",
        "ipv4": "192.0.2.1",
        "ipv6": "2001:db8::1",
        "duration": "P1D",
    }
)
_WORDS: Final = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris")
_DEEPEST: Final = 8


def example(schema: Mapping[str, Any], chance: Chance) -> Any:
    """A JSON value that fits `schema`; an empty object for a schema that says nothing."""
    return _example(schema, schema, chance, 0)


def _example(schema: Any, root: Mapping[str, Any], chance: Chance, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {} if depth == 0 else None
    rules = _resolve(cast("Mapping[str, Any]", schema), root, chance)
    if "const" in rules:
        return rules["const"]
    if rules.get("enum"):
        return chance.random.choice(list(rules["enum"]))
    match _kind(rules):
        case "object":
            found: Any = _object(rules, root, chance, depth)
        case "array":
            count = max(int(rules.get("minItems", 1)), 1)
            items = rules.get("items", {})
            found = [_example(items, root, chance, depth + 1) for _ in range(count)]
        case "integer" | "number":
            found = _number(rules, chance)
        case "boolean":
            found = chance.random.random() < 0.5
        case "null":
            found = None
        case _:
            found = _text(rules, chance)
    return found


def _resolve(
    rules: Mapping[str, Any], root: Mapping[str, Any], chance: Chance
) -> Mapping[str, Any]:
    """The rules with $ref, allOf and a choice of anyOf/oneOf folded in."""
    for _ in range(_DEEPEST):
        if "$ref" in rules:
            rest = {key: value for key, value in rules.items() if key != "$ref"}
            rules = {**_pointed_at(str(rules["$ref"]), root), **rest}
        elif "allOf" in rules:
            folded: dict[str, Any] = {k: v for k, v in rules.items() if k != "allOf"}
            for part in cast("Sequence[Mapping[str, Any]]", rules["allOf"]):
                folded.update(part)
            rules = folded
        elif "anyOf" in rules or "oneOf" in rules:
            options = cast("Sequence[Mapping[str, Any]]", rules.get("anyOf") or rules["oneOf"])
            real = [option for option in options if option.get("type") != "null"] or list(options)
            rules = chance.random.choice(real)
        else:
            break
    return rules


def _pointed_at(pointer: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for step in pointer.removeprefix("#").strip("/").split("/"):
        found = cast("Mapping[str, Any]", found).get(step, {}) if step else found
    return cast("Mapping[str, Any]", found)


def _kind(rules: Mapping[str, Any]) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        named = [str(k) for k in cast("list[Any]", kind)]
        return next((k for k in named if k != "null"), "null")
    if kind is None:
        return "object" if "properties" in rules else "string"
    return str(kind)


def _object(
    rules: Mapping[str, Any], root: Mapping[str, Any], chance: Chance, depth: int
) -> dict[str, Any]:
    properties = cast("Mapping[str, Any]", rules.get("properties", {}))
    needed = set(cast("Sequence[str]", rules.get("required", ())))
    return {
        name: _example(part, root, chance, depth + 1)
        for name, part in properties.items()
        if depth < _DEEPEST - 2 or name in needed
    }


def _number(rules: Mapping[str, Any], chance: Chance) -> int:
    low = rules.get("minimum", rules.get("exclusiveMinimum", 0))
    high = rules.get("maximum", rules.get("exclusiveMaximum", low + 100))
    first = int(low) + (1 if "exclusiveMinimum" in rules or int(low) < low else 0)
    last = int(high) - (1 if "exclusiveMaximum" in rules and int(high) == high else 0)
    return chance.random.randint(first, max(first, last))


def _text(rules: Mapping[str, Any], chance: Chance) -> str:
    known = _FORMATS.get(str(rules.get("format", "")))
    if known is not None:
        return known
    text = " ".join(chance.random.sample(_WORDS, 2))
    while len(text) < int(rules.get("minLength", 0)):
        text += " " + chance.random.choice(_WORDS)
    return text[: int(rules["maxLength"])] if "maxLength" in rules else text
