"""A declaration's parameters as options of a command, and a command's values as a task's arguments.

Everything is read from the declaration: names and defaults from its signature, types from its JSON schema, words from
the "Args:" of its docstring. What is no simple type is given as JSON. Bounds are not looked at: the declaration does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from cyclopts import Parameter

from ..errors import InvalidParameterError
from ..tasks.declaration import Declaration

AnyDeclaration: TypeAlias = Declaration[Any, Any, Any]
OptionKind: TypeAlias = Literal["flag", "whole", "number", "text", "texts", "file", "files", "json", "json or text"]

MODEL_HELP: Final = "Whom to ask: a model's id on the Hub, a name that the server knows, or a server's URL."

_TYPES: Final[dict[str, tuple[Any, str | None]]] = {
    "flag": (bool, None),
    "whole": (int, None),
    "number": (float, None),
    "text": (str, "TEXT"),
    "texts": (list[str], "TEXT"),
    "file": (str, "FILE|URL"),
    "files": (list[str], "FILE|URL"),
    "json": (str, "JSON"),
    "json or text": (str, "JSON|TEXT"),
}
_SIMPLE: Final[dict[frozenset[str], OptionKind]] = {
    frozenset({"boolean"}): "flag",
    frozenset({"integer"}): "whole",
    frozenset({"number"}): "number",
    frozenset({"integer", "number"}): "number",
    frozenset({"string"}): "text",
    frozenset({"strings"}): "texts",
    frozenset({"string", "strings"}): "texts",
    frozenset({"file"}): "file",
    frozenset({"file", "string"}): "file",
    frozenset({"files"}): "files",
    frozenset({"file", "files"}): "files",
}
_ARGUMENT: Final = re.compile(r"    (\w+): (.*)")


def option(
    name: str,
    kind: Any,
    description: str,
    *,
    flags: str | Iterable[str] | None = None,
    negative: str | None = "",
    metavar: str | None = None,
    group: str | None = None,
) -> inspect.Parameter:
    """An option that need not be given."""
    said: dict[str, Any] = {"name": flags, "negative": negative, "metavar": metavar, "group": group}
    if kind is int:
        said["converter"] = _whole
    shown = Parameter(
        help=description,
        json_list=False,  # "[a]" is a text like any other
        json_dict=False,
        **{name: value for name, value in said.items() if value is not None},  # to the parser None is a value
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, shown]
    )


def _whole(kind: Any, tokens: Sequence[Any]) -> int:
    """A whole number, of which no part is cut off: to the parser 1.5 is 1."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"takes a whole number, not {tokens[0].value[:60]!r}") from None


class TaskOptions:
    """The options of one declaration; `leave_out` names the parameters that its command has its own way for."""

    def __init__(self, declaration: AnyDeclaration, leave_out: frozenset[str] = frozenset()) -> None:
        schema = declaration.json_schema
        self._definitions: dict[str, Any] = schema.get("$defs", {})
        properties = self._resolve(schema)["properties"]
        self._words = descriptions(declaration.doc)
        self.names = tuple(name for name in properties if name not in leave_out)
        self._schemas: dict[str, Any] = {name: properties[name] for name in self.names}
        self.kinds: dict[str, OptionKind] = {name: self._kind(self._schemas[name]) for name in self.names}

    def parameter(self, name: str) -> inspect.Parameter:
        """The parameter as a command's; whether it is required is the declaration's to say."""
        kind, metavar = _TYPES[self.kinds[name]]
        choices = self._choices(self._schemas[name])
        if choices:
            kind, metavar = Literal[choices], None
        words = MODEL_HELP if name == "model" else self._words.get(name, "")
        negative = None if kind is bool else ""
        return option(name, kind, words, metavar=metavar, negative=negative)

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The task's arguments from what the command was given; raises `InvalidParameterError` for what is no JSON."""
        return {name: self._value(name, given[name]) for name in self.names if given.get(name) is not None}

    def _value(self, name: str, value: Any) -> Any:
        kind = self.kinds[name]
        if kind not in ("json", "json or text"):
            return value
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            if kind == "json or text":
                return value
            flag = "--" + name.replace("_", "-")
            raise InvalidParameterError(f"{flag} takes JSON, and this is none: {error}") from None

    # -- reading the schema

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        reference = schema.get("$ref")
        return self._definitions[reference.rpartition("/")[2]] if reference else schema

    def _kind(self, schema: dict[str, Any]) -> OptionKind:
        shapes = self._shapes(schema) - {"null"}
        simple = _SIMPLE.get(frozenset(shapes))
        if simple is not None:
            return simple
        return "json or text" if shapes & {"string", "any"} else "json"

    def _shapes(self, schema: dict[str, Any]) -> set[str]:
        """JSON's types, where "file", "files" and "strings" are told from others, and "any" is no type at all."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            return set[str]().union(*map(self._shapes, schema["anyOf"]))
        if "enum" in schema:
            return {"string"}
        declared = schema.get("type", "any")
        if isinstance(declared, list):
            return set(declared)
        if declared == "string":
            return {"file"} if schema.get("format") == "binary" else {"string"}
        return {self._list(schema)} if declared == "array" else {declared}

    def _list(self, schema: dict[str, Any]) -> str:
        items = self._shapes(schema.get("items", {}))
        if items == {"file"}:
            return "files"
        return "strings" if items <= {"string", "any"} else "array"

    def _choices(self, schema: dict[str, Any]) -> tuple[str, ...]:
        """The words that a parameter takes, where it takes no others."""
        schemas = [self._resolve(one) for one in schema.get("anyOf", [schema])]
        told = [one for one in schemas if one.get("type") != "null"]
        words = [word for one in told for word in one.get("enum", ())]
        is_closed = all("enum" in one for one in told) and all(isinstance(word, str) for word in words)
        return tuple(words) if is_closed else ()


def summary(doc: str) -> str:
    """A docstring's first paragraph."""
    return " ".join(doc.partition("\n\n")[0].split())


def descriptions(doc: str) -> dict[str, str]:
    """What the "Args:" of a docstring say, by name."""
    _, _, rest = doc.partition("\nArgs:\n")
    found: dict[str, list[str]] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        if match := _ARGUMENT.fullmatch(line):
            name = match[1]
            found[name] = [match[2]]
        elif name:
            found[name].append(line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in found.items()}
