"""A JSON value that a JSON schema accepts, the same one every time: for structured answers and tool calls.

Knows const, enum, types, objects, arrays, strings, numbers, anyOf/oneOf/allOf and local references. It does
not know ``pattern`` and ``format``: a schema that needs them gets a value that may not satisfy it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DEPTH = 6
"""Below this depth optional properties are left out, so a schema that refers to itself comes to an end."""

MAX_DEPTH = 64


def example(schema: object, text: str) -> Any:
    """A value for ``schema``; strings are filled with ``text``. Refuses a schema without end (ValueError)."""
    root = schema if isinstance(schema, Mapping) else {}
    return _value(root, root, text, 0)


def _value(schema: object, root: Mapping[str, Any], text: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("the schema requires a value that never ends")
    rule = _resolved(schema, root)
    if "const" in rule:
        return rule["const"]
    if rule.get("enum"):
        return rule["enum"][0]
    match _kind(rule):
        case "object":
            return _object(rule, root, text, depth)
        case "array":
            count = max(1, rule.get("minItems", 1)) if depth < DEPTH else rule.get("minItems", 0)
            return [_value(rule.get("items", {}), root, text, depth + 1) for _ in range(count)]
        case "integer" | "number" as kind:
            return _number(rule, kind)
        case "boolean":
            return True
        case "null":
            return None
    return _string(rule, text)


def _resolved(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rule with its references and combinations put in place: the first alternative, all of allOf."""
    rule: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    for _ in range(MAX_DEPTH):
        if "$ref" in rule:
            rule = _target(root, str(rule["$ref"]))
        elif alternatives := rule.get("anyOf") or rule.get("oneOf"):
            rule = alternatives[0]
        elif parts := rule.get("allOf"):
            rule = _merged([{k: v for k, v in rule.items() if k != "allOf"}, *parts], root)
        else:
            return rule
    raise ValueError("the schema refers to itself and nothing else")


def _target(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _merged(parts: list[Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        rule = _resolved(part, root)
        properties = {**merged.get("properties", {}), **rule.get("properties", {})}
        required = [*merged.get("required", ()), *rule.get("required", ())]
        merged |= {**rule, "properties": properties, "required": required}
    return merged


def _kind(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type")
    if isinstance(kind, list):
        return str(kind[0])
    if kind is None:
        return "object" if "properties" in rule else "array" if "items" in rule else "string"
    return str(kind)


def _object(rule: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> dict[str, Any]:
    properties = rule.get("properties", {})
    required = rule.get("required", [])
    names = list(properties) if depth < DEPTH else [name for name in properties if name in required]
    names += [name for name in required if name not in names]
    return {name: _value(properties.get(name, {}), root, text, depth + 1) for name in names}


def _string(rule: Mapping[str, Any], text: str) -> str:
    least = rule.get("minLength", 0)
    return text.ljust(least, ".")[: rule.get("maxLength", max(least, len(text)))]


def _number(rule: Mapping[str, Any], kind: str) -> int | float:
    """The first of some likely numbers that the rule allows."""
    step = rule.get("multipleOf", 1)
    low = rule.get("minimum", rule.get("exclusiveMinimum", step))
    high = rule.get("maximum", rule.get("exclusiveMaximum", low + step))
    bottom, top = math.ceil(low / step) * step, math.floor(high / step) * step
    for number in (step, bottom, bottom + step, top, top - step, (low + high) / 2):
        if _allowed(number, rule):
            return int(number) if kind == "integer" else number
    raise ValueError("the schema allows no number that the emulator would think of")


def _allowed(number: float, rule: Mapping[str, Any]) -> bool:
    return (
        rule.get("minimum", number) <= number <= rule.get("maximum", number)
        and ("exclusiveMinimum" not in rule or number > rule["exclusiveMinimum"])
        and ("exclusiveMaximum" not in rule or number < rule["exclusiveMaximum"])
    )
