"""The emulator's example values: each satisfies the schema that it was made for."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.emulator.dialects.schemas import example

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "t"),
        ({"type": "string", "minLength": 3}, "t.."),
        ({"type": "string", "maxLength": 0}, ""),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": -2}, -3),
        ({"type": "number", "minimum": 0.1, "maximum": 0.3}, 0.2),
        ({"type": "integer", "multipleOf": 5, "minimum": 7}, 10),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": None}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"properties": {"a": {"type": "boolean"}}, "required": ["b"]}, {"a": True, "b": "t"}),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
    ],
)
def test_values(schema: Any, value: Any) -> None:
    found = example(schema, "t")
    assert found == value and type(found) is type(value)


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    value = example(TREE, "t")
    depth = 0
    while "next" in value:
        value, depth = value["next"], depth + 1
    assert value == {"name": "t"} and depth > 1


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    ],
)
def test_a_schema_that_nothing_satisfies(schema: Any) -> None:
    with pytest.raises(ValueError, match="schema"):
        example(schema, "t")
