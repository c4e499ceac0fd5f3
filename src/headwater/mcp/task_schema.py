"""A task's declaration as an MCP tool is described and called: its schema, and its arguments from JSON. Pure."""

from __future__ import annotations

import binascii
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from ..client.bound_task import Task
from ..client.task_table import Tasks
from ..errors import InvalidParameterError
from ..tasks.declaration import Declaration

_HIDDEN: Final = frozenset({"stream"})
"""What a caller is not asked: an MCP result comes whole."""
_FILE: Final = "A file: an http(s) URL, a data URL, or base64."


@cache
def declarations() -> dict[str, Declaration[Any, Any, Any]]:
    """All tasks, by the name of their method."""
    rows = inspect.getmembers_static(Tasks)
    return {row.declaration.method: row.declaration for _, row in rows if isinstance(row, Task)}


def allowed_tasks(allow: Sequence[str] | None) -> dict[str, Declaration[Any, Any, Any]]:
    """The tasks that are allowed, by their method's name or the Hub's; all where nothing is said.

    Raises `InvalidParameterError` for a name that no task has.
    """
    if allow is None:
        return declarations()
    found: dict[str, Declaration[Any, Any, Any]] = {}
    for name in allow:
        method = name.replace("-", "_")
        fitting = [task for task in declarations().values() if method == task.method or name == task.name]
        if not fitting:
            raise InvalidParameterError(f"allow: no task is called {name!r}")
        found |= {task.method: task for task in fitting}
    return found


def input_schema(task: Declaration[Any, Any, Any]) -> dict[str, Any]:
    """The parameters as a JSON schema whose root is an object."""
    whole = task.json_schema
    parts = dict(whole.get("$defs", {}))
    root = parts.pop(f"{task.method}_parameters")
    said = _descriptions(task)
    properties = {
        name: _described(_without_null(schema), said.get(name, ""))
        for name, schema in root["properties"].items()
        if name not in _HIDDEN
    }
    schema = {"type": "object", "properties": properties, "required": root.get("required", [])}
    return {**schema, "additionalProperties": False, **({"$defs": parts} if parts else {})}


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out need not be null as well."""
    rest = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    options = [option for option in rest.pop("anyOf", []) if option != {"type": "null"}]
    if not options:
        return rest
    return {**options[0], **rest} if len(options) == 1 else {**rest, "anyOf": options}


def _described(schema: dict[str, Any], words: str) -> dict[str, Any]:
    said = _FILE if _is_file(schema) else words
    return {**schema, "description": said} if said else schema


def _descriptions(task: Declaration[Any, Any, Any]) -> dict[str, str]:
    """What the docstring's `Args:` says of each parameter."""
    section = (task.doc or "").partition("Args:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}


def _is_file(schema: Any) -> bool:
    """Whether the value is a file, or a list of files; one that may be a text as well is a text."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "array":
        return _is_file(schema.get("items"))
    options = schema.get("anyOf")
    if options:
        texts = [option for option in options if option.get("type") == "string"]
        return any(map(_is_file, options)) and all(map(_is_file, texts))
    return schema.get("format") == "binary"


def arguments_of_call(task: Declaration[Any, Any, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call from JSON: files as URLs or bytes.

    Raises `InvalidParameterError` for a parameter that there is not, and for a file that is neither.
    """
    properties = input_schema(task)["properties"]
    for name in given:
        if name not in properties:
            raise InvalidParameterError(f"{task.method}: no parameter {name[:60]!r}")
    return {name: _file(name, value) if _is_file(properties[name]) else value for name, value in given.items()}


def _file(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_file(name, each) for each in value]
    if not isinstance(value, str) or value[:8].lower().startswith(("http://", "https://", "data:")):
        return value
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        raise InvalidParameterError(f"{name} is neither an http(s) URL, a data URL nor base64") from None
