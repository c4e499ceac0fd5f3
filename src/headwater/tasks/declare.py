"""A task is declared once, as a typed function signature with a docstring; this reads everything else from it.

The signature becomes a msgspec Struct, which validates arguments in about a microsecond and yields the JSON schema.
Nothing here knows a provider, sends anything, or looks at a client.
"""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, get_args, get_origin, get_type_hints, overload

import msgspec

from ..errors import InvalidParameterError
from ..events import JobEvent

P = ParamSpec("P")
E = TypeVar("E")
R = TypeVar("R")

Check = Callable[[Mapping[str, Any]], str | None]


class Declaration(Generic[P, E, R]):
    """One task: its name on the Hub ("text-to-image"), its method's name, its parameters, its documentation."""

    def __init__(self, name: str, function: Callable[P, R], check: Check | None) -> None:
        self.name = name
        self.method = function.__name__
        self.doc = inspect.getdoc(function) or ""
        self._function = function
        self._check = check
        code = function.__code__
        self.positional: tuple[str, ...] = code.co_varnames[: code.co_argcount]

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature; a `**parameters: Unpack[...]` stands in it parameter by parameter."""
        declared = inspect.signature(self._function)
        named = [p for p in declared.parameters.values() if p.kind is not p.VAR_KEYWORD]
        given = {p.name for p in named}
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in self._hints.items()
            if name not in given
        ]
        return declared.replace(parameters=[*named, *more])

    @cached_property
    def _hints(self) -> dict[str, Any]:
        annotations = dict(self._function.__annotations__)
        annotations.pop("return", None)  # it may name a type of a package that is not to be imported for this
        bare = types.SimpleNamespace(__annotations__=annotations)
        hints: dict[str, Any] = {}
        for name, hint in get_type_hints(
            bare,
            globalns=self._function.__globals__,
            include_extras=True,
        ).items():
            if get_origin(hint) is Unpack:
                hints |= get_type_hints(get_args(hint)[0], include_extras=True)
            else:
                hints[name] = hint
        return hints

    @cached_property
    def parameters(self) -> type[msgspec.Struct]:
        """The parameters as a Struct type: one field each, in order, with types and bounds."""
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for p in self.signature.parameters.values():
            hint = self._hints[p.name]
            fields.append((p.name, hint) if p.default is p.empty else (p.name, hint, p.default))
        return msgspec.defstruct(
            f"{self.method}_parameters", fields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
        )

    @property
    def json_schema(self) -> dict[str, Any]:
        """The parameters as JSON Schema."""
        return msgspec.json.schema(self.parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that were given, by name and without Nones, validated.

        Raises `InvalidParameterError`, which names the parameter and says what it takes.
        """
        named = self._name(args, kwargs) if args else kwargs
        given = given_of(named)
        return self.checked(given)

    def checked(self, given: dict[str, Any]) -> dict[str, Any]:
        """The same for arguments by name, none of them None."""
        try:
            msgspec.convert(given, self.parameters)
        except (msgspec.ValidationError, TypeError, RecursionError, UnicodeError) as error:
            raise InvalidParameterError(f"{self.method}: {self._explain(error, given)}") from None
        wrong = self._check(given) if self._check else None
        if wrong:
            raise InvalidParameterError(f"{self.method}: {wrong}")
        return given

    def _name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.positional):
            raise InvalidParameterError(
                f"{self.method} takes {len(self.positional)} positional arguments"
                f" ({', '.join(self.positional)}), {len(args)} were given; name the others"
            )
        named = dict(zip(self.positional, args, strict=False))
        for name in named:
            if name in kwargs:
                raise InvalidParameterError(f"{self.method}: {name} was given twice")
        return {**named, **kwargs}

    def _explain(self, error: Exception, given: Mapping[str, Any]) -> str:
        known = self.parameters.__struct_fields__
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else "; pass it in extra_body={...}"
                return f"no parameter {name!r}{hint}"
        for name in self.parameters.__struct_fields__:
            required = self.signature.parameters[name].default is inspect.Parameter.empty
            if required and name not in given:
                return f"{name!r} is required"
        reason, _, path = str(error).partition(" - at `$.")
        return f"{path.rstrip('`')}: {reason[:1].lower()}{reason[1:]}" if path else reason


def is_not_given(value: object) -> bool:
    """Whether a value is the one by which OpenAI's client, and others made like it, say that there is none.

    https://github.com/openai/openai-python/blob/main/src/openai/_types.py
    """
    return type(value).__name__ in _SENTINELS and not value


_SENTINELS = frozenset({"NotGiven", "Omit"})


def given_of(named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given, without Nones and OpenAI's `NOT_GIVEN` and `omit`."""
    return {
        name: value if type(value) in _PLAIN else _plain(value)
        for name, value in named.items()
        if value is not None and (type(value) in _PLAIN or not is_not_given(value))
    }


_PLAIN = frozenset({bool, dict, float, int, list, str})


def _plain(value: Any) -> Any:
    """The number that a scalar of numpy, or of whoever is like it, is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


class Declare(Generic[E]):
    """What `task(...)` returns: takes the function, gives the declaration. Used as it is where events are a union."""

    def __init__(self, name: str, check: Check | None = None) -> None:
        self._name = name
        self._check = check

    def __call__(self, function: Callable[P, R]) -> Declaration[P, E, R]:
        return Declaration(self._name, function, self._check)


@overload
def task(name: str, *, check: Check | None = None) -> Declare[JobEvent]: ...
@overload
def task(name: str, *, events: type[E], check: Check | None = None) -> Declare[E]: ...
def task(name: str, *, events: Any = None, check: Check | None = None) -> Declare[Any]:
    """Declare the task of this name from the signature below.

    `events` is the type of what its stream hands over (default: the states of a job). `check` sees the arguments that
    were given and returns what is wrong with them together, or None.
    """
    return Declare(name, check)
