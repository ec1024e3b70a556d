"""Values that fit a schema."""

from __future__ import annotations

import pytest

from farthing.sim.chance import Chance
from farthing.sim.schema import example


def value(schema, seed=0):
    return example(schema, Chance(seed))


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 3}, lambda v: v == 3),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3}, lambda v: v == 2),
        ({"type": "string", "minLength": 30}, lambda v: len(v) >= 30),
        ({"type": "string", "maxLength": 2}, lambda v: len(v) <= 2),
        ({"type": "string", "format": "date"}, lambda v: v.count("-") == 2),
        ({"type": ["null", "boolean"]}, lambda v: isinstance(v, bool)),
        ({"type": "null"}, lambda v: v is None),
        ({"const": "x"}, lambda v: v == "x"),
        ({"enum": ["a", "b"]}, lambda v: v in {"a", "b"}),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, lambda v: len(v) == 3),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, lambda v: isinstance(v, int)),
        (
            {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "string"}}}]},
            lambda v: list(v) == ["a"],
        ),
        (
            {"$ref": "#/$defs/point", "$defs": {"point": {"properties": {"x": {"const": 1}}}}},
            lambda v: v == {"x": 1},
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_value_fits_its_schema(schema, fits):
    assert fits(value(schema))
    assert value(schema) == value(schema)


def test_a_schema_that_contains_itself_comes_to_an_end():
    node = {"properties": {"name": {"type": "string"}, "next": {"$ref": "#"}}, "required": ["name"]}
    assert value(node)["next"]["next"]["name"]
