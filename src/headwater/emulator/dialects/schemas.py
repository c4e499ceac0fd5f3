"""A JSON value that a JSON schema accepts, the same one every time: for structured answers and tool calls.

Knows const, enum, types, objects, arrays, strings, numbers, the usual formats, anyOf/oneOf/allOf and local references.
It does not know ``pattern``: a schema that needs it gets a value that may not satisfy it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NOT_PERMITTED = frozenset(
    {"allOf", "contains", "default", "dependentRequired", "else", "if", "maxLength", "maxProperties", "minLength"}
    | {"minProperties", "not", "oneOf", "patternProperties", "prefixItems", "propertyNames", "then", "uniqueItems"}
)
"""https://platform.openai.com/docs/guides/structured-outputs#supported-schemas"""
DEPTH = 6
"""Below this depth optional properties are left out, so a schema that refers to itself comes to an end."""

MAX_DEPTH = 64

FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: object, text: str) -> Any:
    """A value for ``schema``; strings are filled with ``text``. Refuses a schema without end (ValueError)."""
    root = schema if isinstance(schema, Mapping) else {}
    return _value(root, root, text, 0)


def not_strict(schema: object) -> str | None:
    """Why a schema is none that OpenAI promises to follow; None where it is.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."
    return _not_strict(schema, schema, ())


def _first_member(schema: object, root: Mapping[str, Any]) -> tuple[str, str] | None:
    """The name of an object's first member, and the values that it names."""
    rule = _resolved(schema, root) if isinstance(schema, Mapping) and "$ref" in schema else schema
    members = rule.get("properties") if isinstance(rule, Mapping) else None
    if not members:
        return None
    name, first = next(iter(members.items()))
    return name, repr(first.get("enum") or first.get("const")) if isinstance(first, Mapping) else ""


def _not_strict(schema: object, root: Mapping[str, Any], context: tuple[str, ...]) -> str | None:
    if not isinstance(schema, Mapping):
        return None
    where = f"In context={context}, "
    for name in schema:
        if name in _NOT_PERMITTED:
            return f"{where}'{name}' is not permitted."
    firsts = [_first_member(each, root) for each in schema.get("anyOf", ())]
    if any(first is not None and first in firsts[:n] for n, first in enumerate(firsts)):
        return "Objects provided via 'anyOf' must not share identical first keys."
    if "$ref" in schema and len(schema) > 1:
        return f"{where}$ref cannot have keywords {set(schema) - {'$ref'}}."
    if not schema.keys() & {"$ref", "anyOf", "const", "enum", "type"}:
        return f"{where}schema must have a 'type' key."
    members = schema.get("properties", {})
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"{where}'additionalProperties' is required to be supplied and to be false."
        if any(name not in schema.get("required", ()) for name in members):
            return f"{where}'required' is required to be supplied and to be an array including every key in properties."
    inner: list[tuple[tuple[str, ...], Any]] = [(("properties", name), each) for name, each in members.items()]
    inner += [(("$defs", name), each) for name, each in schema.get("$defs", {}).items()]
    inner += [(("anyOf", str(n)), each) for n, each in enumerate(schema.get("anyOf", ()))]
    inner += [(("items",), schema["items"])] if "items" in schema else []
    return next(filter(None, (_not_strict(each, root, (*context, *step)) for step, each in inner)), None)


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
            places = [_value(each, root, text, depth + 1) for each in rule.get("prefixItems", ())]
            if places:
                return places
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
    if rule.get("format") in FORMATS:
        return FORMATS[rule["format"]]
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
