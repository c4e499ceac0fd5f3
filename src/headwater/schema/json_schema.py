"""The JSON schema of a type's tree, as plain as it can be: every class once in `$defs`, and no provider's rules.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import datetime
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from .type_tree import (
    Anything,
    ArrayOf,
    Foreign,
    Leaf,
    MapOf,
    Member,
    Node,
    ObjectOf,
    OneOf,
    TupleOf,
    describing,
    documentation,
    is_unset,
    type_name,
)

_PREFIX: Final = "#/$defs/"
_OLD_PREFIX: Final = "#/definitions/"
_DEFINING: Final = ("definitions", "$defs")
_JSON_TYPES: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TIMES: Final[Mapping[Any, str]] = {
    datetime.datetime: "A date and a time as in ISO 8601, without a time zone.",
    datetime.time: "A time as in ISO 8601, without a time zone.",
}
_BOUNDS_OF_ARRAYS: Final = (("min_length", "minItems"), ("max_length", "maxItems"))
_BOUNDS_OF_OBJECTS: Final = (("min_length", "minProperties"), ("max_length", "maxProperties"))


def schema_of(tree: Node) -> dict[str, Any]:
    """The schema of a tree; its classes are in `$defs`, if there are any."""
    writer = _Writer()
    schema = writer.schema(tree)
    return {**schema, "$defs": writer.defs} if writer.defs else schema


class _Writer:
    def __init__(self) -> None:
        self.defs: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def schema(self, node: Node) -> dict[str, Any]:
        match node:
            case Leaf():
                return _leaf(node)
            case ArrayOf():
                schema: dict[str, Any] = {"type": "array", "items": self.schema(node.item)}
                if node.make in (set, frozenset):
                    schema["uniqueItems"] = True
                return schema | _bounds(node.metas, _BOUNDS_OF_ARRAYS)
            case TupleOf():
                places, count = [self.schema(each) for each in node.places], len(node.places)
                bounds = {"minItems": count, "maxItems": count}
                return {"type": "array", "prefixItems": places, "items": False, **bounds, **_bounds(node.metas, ())}
            case MapOf():
                value = self.schema(node.value)
                return {"type": "object", "additionalProperties": value, **_bounds(node.metas, _BOUNDS_OF_OBJECTS)}
            case OneOf(name=str()):
                return {"$ref": self._alias(node)}
            case OneOf():
                return {"anyOf": [self.schema(each) for each in node.options], **_bounds(node.metas, ())}
            case ObjectOf():
                return {"$ref": self._class(node)}
            case Foreign():
                return self._foreign(node)
            case Anything():
                return {}

    def _alias(self, node: OneOf) -> str:
        """The reference to an alias that contains itself."""
        name = self._names.get(id(node))
        if name is None:
            name = self._names[id(node)] = self._free(node.name or "")
            self.defs[name] = {}
            self.defs[name] = self.schema(node.options[0])
        return _PREFIX + name

    def _class(self, node: ObjectOf) -> str:
        """The reference to a class, which is written down when it is first met."""
        name = self._names.get(id(node))
        if name is None:
            name = self._names[id(node)] = self._free(type_name(node.kind))
            self.defs[name] = {}  # its place, before those that it has
            self.defs[name] = self._object(node)
        return _PREFIX + name

    def _object(self, node: ObjectOf) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object"}
        if (doc := documentation(node.kind)) is not None:
            schema["description"] = doc
        tag = {} if node.tag is None else {node.tag[0]: {"enum": [node.tag[1]], "type": _type_of([node.tag[1]])}}
        schema["properties"] = tag | {each.key: self._member(each) for each in node.members}
        required = [*tag, *(each.key for each in node.members if each.required)]
        return schema | {"required": required, "additionalProperties": False}

    def _member(self, member: Member) -> dict[str, Any]:
        schema = self.schema(member.node)
        if member.description is not None:
            schema = {**schema, "description": member.description}
        if member.default is None:
            return schema
        try:
            default = msgspec.to_builtins(member.default(), str_keys=True)
        except Exception:  # noqa: BLE001 - a default of any kind, made by anybody's code: it is only told where it can be
            return schema
        is_said = default is not None and not is_unset(default) and _is_json(default)
        return {**schema, "default": default} if is_said else schema

    def _foreign(self, node: Foreign) -> dict[str, Any]:
        """The schema that a class has of its own, its definitions among ours."""
        known = self._names.get(id(node.kind))
        if known is not None:
            return {"$ref": _PREFIX + known}
        schema = dict(node.kind.model_json_schema())
        defs = schema.pop("$defs", {})
        renamed = {name: self._free(name) for name in defs}
        for name, each in defs.items():
            self.defs[renamed[name]] = _repointed(each, renamed)
        if "$ref" in schema:  # it contains itself, and stands among its definitions
            name = renamed[schema["$ref"].removeprefix(_PREFIX)]
        else:
            name = self._free(type_name(node.kind))
            self.defs[name] = _repointed(schema, renamed)
        self._names[id(node.kind)] = name
        return {"$ref": _PREFIX + name}

    def _free(self, wanted: str) -> str:
        return _free(wanted, self.defs)


def hoisted(schema: Mapping[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The schema as a part of another one: what it defines is added to that one's `defs`, under names that are free."""
    own = {name: each for word in _DEFINING for name, each in (schema.get(word) or {}).items()}
    plain = {name: each for name, each in schema.items() if name not in _DEFINING and not name.startswith("$s")}
    renamed: dict[str, str] = {}
    for name in own:
        renamed[name] = _free(name, defs)
        defs[renamed[name]] = {}
    if _points_to_root(schema):  # which is a definition then
        root = _free("Root", defs)
        defs[root] = _repointed(plain, renamed, root)
        plain = {"$ref": "#"}
    else:
        root = ""
    for name, each in own.items():
        defs[renamed[name]] = _repointed(each, renamed, root)
    found: dict[str, Any] = _repointed(plain, renamed, root)
    return found


def _points_to_root(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_points_to_root, schema))
    if not isinstance(schema, Mapping):
        return False
    return schema.get("$ref") == "#" or any(map(_points_to_root, schema.values()))


def _free(wanted: str, defs: Mapping[str, Any]) -> str:
    """A name for a definition that none has yet."""
    name = base = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_") or "Type"
    number = 1
    while name in defs:
        number += 1
        name = f"{base}_{number}"
    return name


def _leaf(node: Leaf) -> dict[str, Any]:
    (schema,), parts = msgspec.json.schema_components([_in_full(node.kind)], ref_template="{name}")
    found = _with_enums(schema, parts)
    return dict(found)


def _in_full(kind: Any) -> Any:
    """The type with what msgspec does not say of times: those that may have a zone are RFC 3339's, whose format has
    one; of those that must not have any it is told."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_in_full, arguments))]  # noqa: UP007 - of a tuple
    plain, *metas = arguments if origin is Annotated else (kind,)
    if plain not in _TIMES:
        return kind
    zones = [meta.tz for meta in metas if isinstance(meta, Meta) and meta.tz is not None]
    said = Meta(tz=True) if not zones else Meta(description=_TIMES[plain]) if zones[-1] is False else None
    return Annotated[(plain, *([said] if said else ()), *metas)]


def _with_enums(schema: Any, parts: Mapping[str, Any]) -> Any:
    """A leaf's schema with its enums in it, and with the type of their values."""
    if isinstance(schema, list):
        return [_with_enums(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        named = {name: value for name, value in parts[schema["$ref"]].items() if name != "title"}
        schema = named | {name: value for name, value in schema.items() if name != "$ref"}
    if isinstance(schema.get("enum"), list):
        kind = _type_of(schema["enum"])
        return {**({} if kind is None else {"type": kind}), **schema}
    return {name: _with_enums(value, parts) for name, value in schema.items()}


def _type_of(values: list[Any]) -> str | None:
    kinds = {type(value) for value in values}
    return _JSON_TYPES.get(kinds.pop()) if len(kinds) == 1 else None


def _bounds(metas: tuple[Meta, ...], named: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """What the annotations of a container say of it."""
    schema: dict[str, Any] = {}
    for meta in metas:
        for attribute, name in named:
            if (bound := getattr(meta, attribute)) is not None:
                schema[name] = bound
        schema |= meta.extra_json_schema or {}
    if (said := describing(metas)) is not None:
        schema["description"] = said
    return schema


def _repointed(schema: Any, renamed: Mapping[str, str], root: str = "") -> Any:
    """The schema with the definitions that it points to under other names; `root`: the root's."""
    if isinstance(schema, list):
        return [_repointed(each, renamed, root) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {name: _repointed(value, renamed, root) for name, value in schema.items()}
    reference = found.get("$ref")
    if isinstance(reference, str):
        prefix, _, name = reference.rpartition("/")
        if f"{prefix}/" in (_PREFIX, _OLD_PREFIX):
            found["$ref"] = _PREFIX + renamed.get(name, name)
        elif reference == "#" and root:
            found["$ref"] = _PREFIX + root
    return found


def _is_json(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return False
    return True
