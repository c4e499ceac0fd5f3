"""What `--schema` and `--types` name: a file with a JSON schema, a type of a module, and all types of one.

A module is imported because the command line says so; the folder in which the command runs is on its path, as it is for
`python -m`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import InputError, InvalidParameterError
from ..schema.codec import codec_of, is_type

SCHEMA_HELP: Final = (
    "What the answer is to be: a file with a JSON schema, or a type of a module, such as shop:Invoice. It is validated,"
    " and its value is JSON."
)


def answer_type(given: str) -> Any:
    """A type, or a schema in its place. Raises `CallError`s."""
    if ":" in given and not given.endswith(".json"):
        module, _, name = given.partition(":")
        return _named(_module(module, "--schema"), name, "--schema")
    if not given.endswith(".json"):
        raise InvalidParameterError(
            f"--schema takes a file, schema.json, or a type of a module, shop:Invoice, not {given[:100]!r}"
        )
    from ..schema.given_schema import GivenSchema

    try:
        text = Path(given).read_bytes()
    except OSError as error:
        raise InputError(f"{given}: {error.strerror or error}") from None
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{given} is no JSON: {error}") from None
    return GivenSchema(schema, Path(given).stem)


def answer_types(given: Iterable[str]) -> dict[str, Any]:
    """Types by the names that lines have for them: of `shop` all that are its own, `shop:Invoice` and so on; of
    `shop:Invoice` that one."""
    found: dict[str, Any] = {}
    for each in given:
        place, _, name = each.partition(":")
        module = _module(place, "--types")
        if name:
            found[each] = _named(module, name, "--types")
        else:
            found |= {f"{place}:{own}": kind for own, kind in vars(module).items() if _is_its_own(own, kind, module)}
    return found


def _module(name: str, option: str) -> Any:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidParameterError(f"{option}: {name[:100]!r} is no module")
    here = os.getcwd()  # noqa: PTH109 - a text, as sys.path has them
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever its own code raises
        raise InvalidParameterError(f"{option}: {name} cannot be imported: {type(error).__name__}: {error}") from error


def _named(module: Any, name: str, option: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None or not is_type(found):
        raise InvalidParameterError(f"{option}: {module.__name__} has no type {name[:100]!r}")
    codec_of(found)
    return found


def _is_its_own(name: str, kind: Any, module: Any) -> bool:
    """Whether a module's member is a type that it, or a module below it, has made."""
    if name.startswith("_") or not is_type(kind) or kind is Any:
        return False
    home = getattr(kind, "__module__", "")
    is_listed = name in getattr(module, "__all__", ())
    return is_listed or not isinstance(kind, type) or home == module.__name__ or home.startswith(f"{module.__name__}.")
