"""Values of types as JSON's own values, as the types' schemas have them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from .type_tree import is_unset

_SCALARS = frozenset({bool, float, int, str, type(None)})


def plain_value(value: Any) -> Any:
    """The value in dicts, lists, texts, numbers, truth values and None; what reads JSON as its type reads them as well.

    What has no such form is its `str`.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, enum.Enum):
        return plain_value(value.value)
    if isinstance(value, msgspec.Struct):
        return _of_struct(value)
    if isinstance(value, Mapping):
        return {str(plain_value(name)): plain_value(each) for name, each in value.items()}
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)) is not None:
        return {name: plain_value(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(each) for each in value]
    if callable(dump := getattr(value, "model_dump", None)):  # pydantic's
        return dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(value):
        return {each.name: plain_value(getattr(value, each.name)) for each in dataclasses.fields(value) if each.init}
    if hasattr(value, "__attrs_attrs__"):
        return {each.name: plain_value(getattr(value, each.name)) for each in value.__attrs_attrs__ if each.init}
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return str(value)


def _of_struct(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    found = {} if config.tag is None else {config.tag_field or "type": config.tag}
    for key, name in zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True):
        if not is_unset(each := getattr(value, name)):
            found[key] = plain_value(each)
    return found
