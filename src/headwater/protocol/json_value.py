"""What Python programs put into requests, as JSON's own values: accepted as what it is, or refused by its place.

Texts, numbers and truth values of numpy and of subclasses, members of enums, mappings, sets, arrays, dataclasses,
pydantic's models, Structs, paths, dates and UUIDs are what they say. Bytes, NaN, the infinities and decimal numbers
have no form in JSON that every server reads alike, and are refused rather than altered. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError

_SCALARS: Final = frozenset({bool, int, str, type(None)})
_encode: Final = msgspec.json.Encoder().encode
_UNREADABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


def encoded_plain(value: Any) -> bytes | None:
    """The value as JSON text, where it is of JSON's own types throughout, as nearly all are; None for any other."""
    try:
        return _encode(value) if is_plain(value) else None
    except _UNREADABLE:
        return None


def encoded(value: Any, what: str = "a parameter") -> bytes:
    """The value as JSON text. Raises `InvalidParameterError` for what JSON cannot say, with its place."""
    try:
        return _encode(value if is_plain(value) else json_value(value))
    except UnsayableError as error:
        place = "".join(reversed(error.steps)).removeprefix(".")
        raise InvalidParameterError(
            f"{what} cannot be sent as JSON: {f'{place}: ' if place else ''}{error.reason}"
        ) from None
    except _UNREADABLE as error:
        raise InvalidParameterError(f"{what} cannot be sent as JSON: {error}") from None


def once_read(value: Any) -> Any:
    """The items of an iterator, and of what is a list in JSON, as a list, any mapping as a dict; all else as it is."""
    if isinstance(value, str):
        return value.value if isinstance(value, Enum) else str.__str__(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):  # a result is a mapping as well, and is known by its type
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple) or hasattr(value, "read"):
        return value
    return list(value) if isinstance(value, Iterator) or is_array(value) else value


def is_array(value: Any) -> bool:
    """Whether the value is an array in JSON, as far as its class tells. An array of objects is, as which a column of a
    table comes; one of numbers may be an image."""
    if isinstance(value, Sequence | AbstractSet | ValuesView):
        return not isinstance(value, str | bytes | bytearray | memoryview)
    return getattr(getattr(value, "dtype", None), "kind", "") == "O" and hasattr(value, "tolist")


def is_object(value: Any) -> bool:
    """Whether the value is an object in JSON."""
    if type(value) is dict or isinstance(value, Mapping | msgspec.Struct):
        return True
    return not isinstance(value, type) and (dataclasses.is_dataclass(value) or hasattr(value, "model_dump"))


def is_plain(value: Any) -> bool:
    """Whether the value is of JSON's own types throughout, as nearly all are; copies nothing."""
    kind = type(value)
    if kind is dict:
        for name, item in value.items():
            if type(name) is not str or (type(item) not in _SCALARS and not is_plain(item)):
                return False
        return True
    if kind is not list:
        return kind in _SCALARS or (kind is float and math.isfinite(value))
    for item in value:  # noqa: SIM110 - a generator would cost as much again
        if type(item) not in _SCALARS and not is_plain(item):
            return False
    return True


def json_value(value: Any) -> Any:
    """The value in JSON's own types: itself, where it is one of them with nothing else in it."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        if _SCALARS.issuperset(map(type, value.values())) and all(type(name) is str for name in value):
            return value
        return {_name(name): _member(item, f".{name}") for name, item in value.items()}
    if kind is list or kind is tuple:
        if _SCALARS.issuperset(map(type, value)):
            return value
        return [_member(item, f"[{n}]") for n, item in enumerate(value)]
    if kind is float:
        if math.isfinite(value):
            return value
        raise UnsayableError(f"JSON has no {value}")
    return json_value(_of_another_type(value))


class UnsayableError(Exception):
    """A value that JSON has no form for; `steps` lead to it, the last one first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []


def _member(value: Any, step: str) -> Any:
    if type(value) in _SCALARS:
        return value
    try:
        return json_value(value)
    except UnsayableError as error:
        error.steps.append(step)
        raise


def _name(name: Any) -> Any:
    """A member's name; msgspec writes whole numbers as texts."""
    if type(name) is str or type(name) is int:
        return name
    plain = _of_another_type(name) if name is not None and not isinstance(name, float | tuple) else name
    if type(plain) is str or type(plain) is int:
        return plain
    raise UnsayableError(f"a {type(name).__name__} is no name of a member")


def _of_another_type(value: Any) -> Any:
    """A value nearer to JSON's types."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)  # the text itself, whatever its class shows
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return value.tolist()  # numpy's scalars and arrays, and what is made like them
    if isinstance(value, msgspec.Struct):
        to_dict = getattr(value, "to_dict", None)
        return _of_struct(value) if to_dict is None else to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    if is_object(value):
        dumped = value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else _of_dataclass(value)
        return dict(dumped)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise UnsayableError(f"{type(value).__name__} is no text: decode it, or send base64 of it")
    if isinstance(value, Iterator):
        raise UnsayableError(f"a {type(value).__name__} can be read once only: give a list")
    if isinstance(value, Iterable) and not hasattr(value, "read"):
        return list(value)
    raise UnsayableError(f"a {type(value).__name__} has no form in JSON")


def _of_struct(value: msgspec.Struct) -> Any:
    skipped = value.__struct_config__.omit_defaults
    named = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    members = {name: getattr(value, field) for name, field in named}
    return {name: item for name, item in members.items() if item is not None} if skipped else members


def _of_dataclass(value: Any) -> dict[str, Any]:
    """The fields but those that are None, which some servers refuse as null."""
    members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: item for name, item in members.items() if item is not None}
