"""JSON's values as values of a type, strictly: what is not as the type says is an error with its place.

msgspec reads what it knows, in one go and in C. What it does not know is put together here, member by member: objects
for NamedTuples, unions of several classes without a tag, pydantic's dataclasses and the like.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from .type_tree import Anything, ArrayOf, Foreign, Leaf, MapOf, Node, ObjectOf, OneOf, TupleOf

ROOT: Final = "$"
_WRONG: Final = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What a class that is made of wrong values raises; msgspec's errors are ValueErrors."""
_WHERE: Final = " - at `"


class Mismatch(Exception):  # noqa: N818 - it is made an error of the library's by whoever knows the whole text
    """A value that is not as its type says: `reason`, and `steps` that lead to it, the last one first."""

    def __init__(self, reason: str, *steps: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps = list(steps)

    @property
    def path(self) -> str:
        """The way to it from the root, as `$.lines[0].amount`."""
        return ROOT + "".join(reversed(self.steps))


def is_native(kind: Any, tree: Node) -> bool:
    """Whether msgspec reads this type as the tree means it."""
    if not all(_is_as_msgspec_has_it(node) for node in _nodes(tree)):
        return False
    try:
        msgspec.json.Decoder(kind, dec_hook=foreign_value)
    except TypeError:
        return False
    return True


def _is_as_msgspec_has_it(node: Node) -> bool:
    if isinstance(node, ObjectOf):
        return not node.positional and not hasattr(node.kind, "__pydantic_validator__") and not _is_odd_dataclass(node)
    if isinstance(node, Leaf | ArrayOf | TupleOf | MapOf | OneOf) and node.translated:
        return False
    if isinstance(node, OneOf) and node.name is not None:
        return False
    return not isinstance(node, TupleOf) or not node.metas


def _is_odd_dataclass(node: ObjectOf) -> bool:
    """Whether it is a dataclass whose fields are not what it takes: msgspec sets those, and calls nothing."""
    kind: Any = node.make
    return dataclasses.is_dataclass(kind) and [each.name for each in dataclasses.fields(kind)] != [
        each.name for each in node.members
    ]


def _nodes(tree: Node) -> list[Node]:
    found: list[Node] = [tree]
    seen = {id(tree)}
    for node in found:
        for inner in children(node):
            if id(inner) not in seen:
                seen.add(id(inner))
                found.append(inner)
    return found


def children(node: Node) -> list[Node]:
    """The nodes below this one."""
    match node:
        case ArrayOf():
            return [node.item]
        case TupleOf():
            return node.places
        case MapOf():
            return [node.value]
        case OneOf():
            return node.options
        case ObjectOf():
            return [each.node for each in node.members]
        case _:
            return []


def foreign_value(kind: Any, value: Any) -> Any:
    """A value of a class that reads JSON by itself. Raises `ValueError`."""
    return kind.model_validate_json(msgspec.json.encode(value))


def converted(node: Node, value: Any) -> Any:
    """The value as the node's type has it. Raises `Mismatch`."""
    match node:
        case Leaf():
            return _native(value, node.kind)
        case Anything():
            return value
        case ArrayOf():
            return _items(node, value)
        case TupleOf():
            return _places(node, value)
        case MapOf():
            return _table(node, value)
        case OneOf():
            return _option(node, value)
        case ObjectOf():
            return _object(node, value)
        case Foreign():
            return _foreign(node, value)


def _native(value: Any, kind: Any, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict, str_keys=True)
    except msgspec.ValidationError as error:
        if isinstance(value, float) and value.is_integer():  # which is an integer to JSON Schema, and to models
            with suppress(msgspec.ValidationError):
                return msgspec.convert(int(value), kind)
        reason, _, path = str(error).partition(_WHERE)
        raise Mismatch(reason, path.rstrip("`").removeprefix(ROOT)) from None
    except _WRONG as error:
        raise Mismatch(str(error)) from None


def _below(node: Node, value: Any, step: str) -> Any:
    try:
        return converted(node, value)
    except Mismatch as error:
        error.steps.append(step)
        raise


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Mismatch(f"Expected `array`, got `{json_kind(value)}`")
    return value


def _items(node: ArrayOf, value: Any) -> Any:
    made = [_below(node.item, each, f"[{n}]") for n, each in enumerate(_list(value))]
    _check_length(node, len(made), "array")
    return _made(node.make, made)


def _check_length(node: ArrayOf | MapOf, length: int, kind: str) -> None:
    for meta in node.metas:
        if meta.min_length is not None and length < meta.min_length:
            raise Mismatch(f"Expected `{kind}` of length >= {meta.min_length}")
        if meta.max_length is not None and length > meta.max_length:
            raise Mismatch(f"Expected `{kind}` of length <= {meta.max_length}")


def _places(node: TupleOf, value: Any) -> Any:
    if isinstance(value, dict) and list(value) == [str(place) for place in range(len(node.places))]:
        value = list(value.values())  # as servers that know no tuples were asked for it
    if len(_list(value)) != len(node.places):
        raise Mismatch(f"Expected `array` of length {len(node.places)}, got {len(value)}")
    return tuple(_below(each, value[n], f"[{n}]") for n, each in enumerate(node.places))


def _object_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mismatch(f"Expected `object`, got `{json_kind(value)}`")
    return value


def _table(node: MapOf, value: Any) -> dict[Any, Any]:
    found = {}
    for name, each in _object_of(value).items():
        key = name if node.key is str else _native(name, node.key, strict=False)
        found[key] = _below(node.value, each, f"[{name!r}]")
    _check_length(node, len(found), "object")
    return found


def _option(node: OneOf, value: Any) -> Any:
    """The first option that the value is, those whose members it has being asked first."""
    failures: list[Mismatch] = []
    for option in sorted(node.options, key=lambda each: distance(each, value)):
        tag = option.tag if isinstance(option, ObjectOf) and isinstance(value, dict) else None
        if tag is not None and tag[0] not in value:  # by which it would be told from the others
            failures.append(Mismatch(f"Object missing required field `{tag[0]}`"))
            continue
        try:
            return converted(option, value)
        except Mismatch as error:
            failures.append(error)
    raise failures[0]  # of the option that is nearest


def distance(node: Node, value: Any) -> int:
    """How far the value is from an option: members that it lacks and has too many; for another kind of JSON, more."""
    far = 1000
    if isinstance(node, ObjectOf | MapOf):
        if not isinstance(value, dict):
            return far
        if isinstance(node, MapOf):
            return 1
        if node.tag is not None and value.get(node.tag[0]) != node.tag[1]:
            return far - 1
        named = {each.key for each in node.members} | ({node.tag[0]} if node.tag else set())
        lacking = sum(1 for each in node.members if each.required and each.key not in value)
        return 2 * lacking + len(value.keys() - named)
    if isinstance(node, Foreign):
        return 1 if isinstance(value, dict) else far
    if isinstance(node, ArrayOf | TupleOf):
        return 0 if isinstance(value, list) else far - 1
    return 0 if not isinstance(value, dict | list) else far


def _object(node: ObjectOf, value: Any) -> Any:
    if node.positional and isinstance(value, list):
        if len(value) > len(node.members) and hasattr(node.make, "_fields"):  # of a NamedTuple
            raise Mismatch(f"Expected `array` of at most length {len(node.members)}, got {len(value)}")
        value = {each.key: item for each, item in zip(node.members, value, strict=False)}
    given = _object_of(value)
    if node.tag is not None and given.get(node.tag[0], node.tag[1]) != node.tag[1]:
        raise Mismatch(f"Invalid value {given[node.tag[0]]!r}", f".{node.tag[0]}")
    found = {}
    for member in node.members:
        if member.key in given:
            found[member.name] = _below(member.node, given[member.key], f".{member.key}")
        elif member.required:
            raise Mismatch(f"Object missing required field `{member.key}`")
    if node.closed:
        known = {each.key for each in node.members} | ({node.tag[0]} if node.tag else set())
        for name in given:
            if name not in known:
                raise Mismatch(f"Object contains unknown field `{name}`")
    return _made(lambda members: node.make(**members), found)


def _made(make: Callable[[Any], Any], of: Any) -> Any:
    try:
        return make(of)
    except _WRONG as error:
        raise Mismatch(str(error)) from None


def _foreign(node: Foreign, value: Any) -> Any:
    try:
        return foreign_value(node.kind, value)
    except _WRONG as error:
        raise foreign_mismatch(error) from None


def foreign_mismatch(error: Exception) -> Mismatch:
    """What pydantic says of a value, with the place of the first that is wrong.

    https://docs.pydantic.dev/latest/errors/errors/
    """
    try:
        found: list[Any] = error.errors(include_url=False, include_input=False)  # type: ignore[attr-defined]
        first = found[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Mismatch(f"{first['msg']}{more}", place)
    except (AttributeError, LookupError, TypeError):
        return Mismatch(str(error))


def check_finite(value: Any) -> None:
    """Raise `Mismatch` for a number that JSON does not have, with its place."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Mismatch(f"{value} is no number that JSON has")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        try:
            check_finite(each)
        except Mismatch as error:
            error.steps.append(f".{name}" if isinstance(name, str) else f"[{name}]")
            raise


def json_kind(value: Any) -> str:
    """The kind of a JSON value, in msgspec's words."""
    named = {dict: "object", list: "array", str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}
    return named.get(type(value), type(value).__name__)
