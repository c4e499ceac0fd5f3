"""A function's signature as what a call of it is to be: the schema of its arguments, and what reads them."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from ..errors import InvalidParameterError
from ..protocol.json_text import UNREADABLE, loads
from .codec import SHOWN_BYTES, decode_error, identifier
from .conversion import Mismatch, converted
from .json_schema import schema_of
from .rules import FittedSchema, NamedSchema, SchemaRules, fitted
from .type_tree import Member, ObjectOf, describing, hints_of, tree_of

_TITLE: Final = "Args|Arguments|Parameters|Other Parameters|Returns|Raises|Yields|Examples?|Notes?|See Also|References"
_SECTION: Final = re.compile(rf"^(?:({_TITLE}):\s*|({_TITLE})\n-{{3,}}\s*)$", re.MULTILINE)
"""Google's sections and NumPy's."""
_OF_ARGUMENTS: Final = frozenset({"Args", "Arguments", "Parameters", "Other Parameters"})
_FIELDS: Final = re.compile(r"^:(?:arg|key|param|raise|return|rtype|type|yield)[^:\n]*:", re.MULTILINE)
"""Where Sphinx's fields begin."""
_ARGUMENT: Final = (
    re.compile(r"^ {1,8}\*{0,2}(\w+)(?: \([^)]*\))?: (.*(?:\n {5,}.*)*)", re.MULTILINE),
    re.compile(r"^(\w+)(?: *:.*)?\n((?: +\S.*\n?)+)", re.MULTILINE),
)
_ARGUMENT_OF_SPHINX: Final = re.compile(r"^:param (?:[^:\n]* )?(\w+): *(.*(?:\n[ \t]+.*)*)", re.MULTILINE)


class Arguments(NamedSchema):
    """The arguments of a function: `name` and `description` are the function's, `schema` the JSON schema of an object.

    The schema is shared by all who ask for it, and nobody's to change.
    """

    def __init__(self, function: Callable[..., Any], without: frozenset[str] = frozenset()) -> None:
        self.name = identifier(function_name(function))
        self.description, said = _documented(function)
        self.tree = _members(function, self.name, without, said)
        self._fitted: dict[SchemaRules, FittedSchema] = {}

    def __repr__(self) -> str:
        return f"<arguments of {self.name}>"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The arguments' JSON schema, by no provider's rules: an object with a property for each."""
        whole = schema_of(self.tree)
        defs = dict(whole["$defs"])
        root = defs.pop(whole["$ref"].rpartition("/")[2])
        return {**root, "$defs": defs} if defs else root

    def fitted(self, rules: SchemaRules) -> FittedSchema:
        """The schema as a provider wants it, made once. Raises `InvalidParameterError` for one that it cannot have."""
        found = self._fitted.get(rules)
        if found is None:
            found = self._fitted[rules] = fitted(self.schema, rules, self.name)
        return found

    def decode(self, text: str | bytes) -> dict[str, Any]:
        """The arguments that the text of a call has, by name; those that it leaves out have their defaults.

        Raises `DecodeError`, whose `path` leads to the argument that is wrong.
        """
        data = text.encode(errors="replace") if isinstance(text, str) else text
        if not data.strip():
            data = b"{}"  # as servers write a call without arguments
        try:
            value = loads(data, commas=False)
        except UNREADABLE as error:
            raise decode_error(Mismatch(f"no JSON: {error}"), data, self._what) from None
        return self._converted(value, data)

    def convert(self, value: Any) -> dict[str, Any]:
        """Read the arguments of a call that came as an object. Raises `DecodeError` as well."""
        return self._converted(value, repr(value)[:SHOWN_BYTES].encode(errors="replace"))

    def _converted(self, value: Any, data: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = converted(self.tree, value)
        except Mismatch as mismatch:
            raise decode_error(mismatch, data, self._what) from None
        return found

    @property
    def _what(self) -> str:
        return f"call of {self.name}"


def function_name(function: Callable[..., Any]) -> str:
    """The function's own name: of a partial that of its function, of an object that of its class."""
    named: Any = getattr(function, "func", function)
    return str(getattr(named, "__name__", type(named).__name__))


def arguments_of(function: Callable[..., Any], without: frozenset[str] = frozenset()) -> Arguments:
    """The arguments of a function; `without`: parameters that are not the caller's to give.

    Raises `InvalidParameterError` for a parameter that has no schema, with its name.
    """
    return Arguments(function, without)


def _members(function: Callable[..., Any], name: str, without: frozenset[str], said: dict[str, str]) -> ObjectOf:
    """The parameters as the members of an object."""
    try:
        signature = inspect.signature(function)
        hints = hints_of(_annotated(function))
    except Exception as error:  # noqa: BLE001 - whatever an annotation that is evaluated raises
        raise InvalidParameterError(f"{name}: its annotations cannot be read: {error}") from None
    found = ObjectOf(_Named(name), dict, closed=True)
    for each in signature.parameters.values():
        if each.name in without:
            continue
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
            raise InvalidParameterError(f"{name}.{each.name}: a tool is called with arguments by name alone")
        if each.name not in hints:
            raise InvalidParameterError(f"{name}.{each.name}: it has no annotation")
        hint = hints[each.name]
        metas = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
        needed = each.default is each.empty
        found.members.append(
            Member(
                name=each.name,
                key=each.name,
                node=tree_of(hint, f"{name}.{each.name}"),
                required=needed,
                default=None if needed else _giving(each.default),
                description=describing(metas) or said.get(each.name),
            )
        )
    return found


def _annotated(function: Callable[..., Any]) -> Any:
    """What has the annotations: the function, or the `__call__` of an object."""
    unwrapped = inspect.unwrap(getattr(function, "func", function))
    is_function = inspect.isroutine(unwrapped) or inspect.isclass(unwrapped)
    return unwrapped if is_function else type(unwrapped).__call__


class _Named:
    """What the arguments' schema is called where it is told apart from others."""

    def __init__(self, name: str) -> None:
        self.__name__ = name


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


def _documented(function: Callable[..., Any]) -> tuple[str | None, dict[str, str]]:
    """What a docstring says of the function, and of each argument.

    https://google.github.io/styleguide/pyguide.html#383-functions-and-methods,
    https://numpydoc.readthedocs.io/en/latest/format.html#sections,
    https://www.sphinx-doc.org/en/master/usage/domains/python.html#info-field-lists
    """
    doc = inspect.getdoc(getattr(function, "func", function))
    if not doc:
        return None, {}
    before = _FIELDS.split(doc, maxsplit=1)[0]
    pieces = _SECTION.split(before)
    of_arguments = "\n".join(
        body
        for one, other, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
        if (one or other) in _OF_ARGUMENTS
    )
    found = [match for style in _ARGUMENT for match in style.finditer(of_arguments)]
    found += _ARGUMENT_OF_SPHINX.finditer(doc)
    return pieces[0].strip() or None, {match[1]: " ".join(match[2].split()) for match in found}
