"""A task is declared once, as a typed function signature with a docstring; this reads everything else from it.

The signature becomes a msgspec Struct, which validates arguments in about a microsecond and yields the JSON schema.
Nothing here knows a provider, sends anything, or looks at a client.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Generic,
    Literal,
    ParamSpec,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import msgspec

from ..errors import InvalidParameterError
from ..protocol.json_value import json_value, once_read
from ..protocol.lazy import lazy_pattern
from ..protocol.timeout import Timeout
from .type_hints import LazyAnnotations, resolved_hints

if TYPE_CHECKING:
    from ..protocol.events import JobEvent

P = ParamSpec("P")
E = TypeVar("E")
R = TypeVar("R")

Check = Callable[[Mapping[str, Any]], str | None]

SIMILAR_NAME = 0.75
"""How alike a name must be to be suggested: as a slip of the hand is, and no other word."""
CALL_OPTIONS = frozenset({"timeout", "extra_headers", "extra_query"})
"""What every call takes beside its task's parameters; what they may be is for the client to say."""


_EXTRA_BODY = lazy_pattern(r"^    extra_body: .*\n(?:     +.*\n)*", re.MULTILINE)
_EVERY_ARGUMENT = r"""\g<0>    timeout: A `Timeout`, or seconds in total, for this call in place of the client's.
    extra_headers: Sent with this call's requests, over the client's.
    extra_query: Names and values for the query of this call's requests.
"""
"""What every task's documentation says of what every call takes, behind its `extra_body`."""
_FILES_NOUNS = {"image": "image", "audio": "sound", "video": "video"}
_ERRORS_BEFORE = {
    "InvalidParameterError": "An argument is wrong; nothing was sent.",
    "TransportError": "The network failed.",
    "InferenceTimeoutError": "A deadline passed.",
}
_ERRORS_BEHIND = {
    "ProviderError": "The server refused; the subclass says why.",
    "DecodeError": "The answer is not this task's.",
}
"""What every task's documentation says of what every call raises, around the task's own, which stands over it."""
_ERROR = lazy_pattern(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


CallOptions = TypedDict(  # noqa: UP013 - so its types are types, and no texts that `typing` compiles
    "CallOptions",
    {
        "extra_body": dict[str, Any] | None,
        "timeout": float | Timeout | None,
        "extra_headers": Mapping[str, str] | None,
        "extra_query": Mapping[str, Any] | None,
    },
    total=False,
)
"""What every task takes beside its own parameters."""


class Declaration(Generic[P, E, R]):
    """One task: its name on the Hub ("text-to-image"), its method's name, its parameters, its documentation.

    `events` are the types of what its stream hands over, as their names; `elements` are what a stream hands over of a
    result that came in one.
    """

    def __init__(
        self,
        name: str,
        function: Callable[P, R],
        check: Check | None,
        events: tuple[str, ...] = (),
        elements: Callable[[Any], list[Any]] | None = None,
    ) -> None:
        self.name = name
        self.events = events
        self.elements = elements or elements_of
        self.method = function.__name__
        self.__module__ = function.__module__
        self.function = function
        self._check = check
        code = function.__code__
        self.positional: tuple[str, ...] = code.co_varnames[: code.co_argcount]

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __reduce__(self) -> str:
        """It is one of its module's names, to `copy` and `pickle`."""
        return self.method

    @cached_property
    def doc(self) -> str:
        """The function's documentation, with what holds for every task."""
        return _documentation(self.function)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature and what every call takes; a `**parameters: Unpack[...]` stands in it one by one."""
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in self._added.items()
        ]
        named = [p for p in self._declared.parameters.values() if p.kind is not p.VAR_KEYWORD]
        return self._declared.replace(parameters=[*named, *more, *self._others()])

    @cached_property
    def takes_more(self) -> bool:
        """Whether names that are not declared are taken, as parameters of the server's."""
        return bool(self._others())

    @cached_property
    def _declared(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def _others(self) -> list[inspect.Parameter]:
        """The parameter that takes all other names, where there is one."""
        return [p for p in self._declared.parameters.values() if p.kind is p.VAR_KEYWORD and p.name in self._hints]

    @cached_property
    def _added(self) -> dict[str, Any]:
        """The types of the parameters that the function does not name one by one; every one may be left out."""
        options = CallOptions.__annotations__
        every = {name: kind for name, kind in options.items() if name in CALL_OPTIONS or name in self._hints}
        return _without(frozenset(self._declared.parameters), _without(frozenset(every), self._hints) | every)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        annotations = dict(self.function.__annotations__)
        annotations.pop("return", None)  # it may name a type of a package that is not to be imported for this
        bare = types.SimpleNamespace(__annotations__=annotations)
        hints: dict[str, Any] = {}
        for name, hint in get_type_hints(
            bare,
            globalns=self.function.__globals__,
            include_extras=True,
        ).items():
            if get_origin(hint) is Unpack:
                hints |= _types_of(get_args(hint)[0])
            else:
                hints[name] = hint
        return hints

    def hints(self) -> dict[str, Any]:
        """The types of the parameters and of the result, as `typing.get_type_hints` gives them."""
        told = {name: p.annotation for name, p in self.signature.parameters.items() if p.kind is not p.VAR_KEYWORD}
        return resolved_hints({**told, "return": self.function.__annotations__["return"]}, self.__module__)

    @cached_property
    def parameters(self) -> type[msgspec.Struct]:
        """The parameters as a Struct type: one field each, in order, with types and bounds."""
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for p in self._declared.parameters.values():
            if p.kind is not p.VAR_KEYWORD and p.name not in CALL_OPTIONS:
                hint = self._hints.get(p.name, p.annotation)
                fields.append((p.name, hint) if p.default is p.empty else (p.name, hint, p.default))
        added = _without(CALL_OPTIONS, self._added)
        fields += [(name, self._hints.get(name, kind), None) for name, kind in added.items()]
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
        return self.checked(given_of(self._name(args, kwargs) if args else kwargs))

    def checked(self, given: dict[str, Any]) -> dict[str, Any]:
        """Validate arguments by name, none of them None. What every call takes (`CALL_OPTIONS`) passes."""
        if self.takes_more:
            given = self._with_others(given)
        own = given if CALL_OPTIONS.isdisjoint(given) else _without(CALL_OPTIONS, given)
        try:
            msgspec.convert(own, self.parameters)
        except (msgspec.ValidationError, TypeError, RecursionError, UnicodeError) as error:
            plain = self._in_plain_types(own)
            if plain is None:
                raise InvalidParameterError(f"{self.method}: {self._explain(error, own)}") from None
            given = {**given, **plain}
        wrong = self._check(given) if self._check else None
        if wrong:
            raise InvalidParameterError(f"{self.method}: {wrong}")
        return given

    def checked_again(self, given: dict[str, Any]) -> dict[str, Any]:
        """Validate arguments that differ in the first from those that `checked` has given back as they were."""
        try:
            msgspec.convert(given, self._first)
        except Exception:  # noqa: BLE001 - what is wrong with it, if anything is, is said
            return self.checked(given)
        wrong = self._check(given) if self._check else None
        if wrong:
            raise InvalidParameterError(f"{self.method}: {wrong}")
        return given

    @cached_property
    def _first(self) -> type[msgspec.Struct]:
        """The first parameter as a Struct type, which looks at no other: it costs a third of looking at all."""
        name = self.positional[0]
        return msgspec.defstruct(f"{self.method}_first_parameter", [(name, self._hints[name])], gc=False)

    def _in_plain_types(self, own: dict[str, Any]) -> dict[str, Any] | None:
        """The arguments as JSON's own values, such as an array's numbers as a list; None where that does not help."""
        try:
            plain = {name: value if name in self._files else json_value(value) for name, value in own.items()}
            msgspec.convert(plain, self.parameters)
        except Exception:  # noqa: BLE001 - what is wrong with the arguments as they came is said
            return None
        return plain

    @cached_property
    def _files(self) -> frozenset[str]:
        """The parameters that are files, which take what is no value in JSON."""
        return frozenset(name for name in self.parameters.__struct_fields__ if "binary" in str(self._hints.get(name)))

    def _with_others(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments with what is no parameter of the task's as one of the server's; `extra_body` goes over it."""
        known = (*self.parameters.__struct_fields__, *CALL_OPTIONS)
        others = {name: value for name, value in given.items() if name not in known}
        extra = given.get("extra_body", {})
        merged = {**others, **extra} if isinstance(extra, Mapping) else extra
        return {**{name: given[name] for name in known if name in given}, "extra_body": merged} if others else given

    def _name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) == 1 and self.positional and self.positional[0] not in kwargs:
            return {self.positional[0]: args[0], **kwargs}
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
                import difflib

                near = difflib.get_close_matches(name, known, 1, SIMILAR_NAME)
                hint = f"; did you mean {near[0]!r}?" if near else "; pass it in extra_body={...}"
                return f"no parameter {name!r}{hint}"
        for name in self.parameters.__struct_fields__:
            required = self.signature.parameters[name].default is inspect.Parameter.empty
            if required and name not in given:
                return f"{name!r} is required"
        reason, _, path = str(error).partition(" - at `$.")
        return f"{path.rstrip('`')}: {reason[:1].lower()}{reason[1:]}" if path else reason


def _documentation(function: Callable[..., Any]) -> str:
    """The function's docstring with what holds for every task: a call's options, and the errors of any call."""
    own, _, raised = (inspect.getdoc(function) or "").partition("\n\nRaises:\n")
    errors = dict(_ERRORS_BEFORE)
    for name, noun in _FILES_NOUNS.items():
        if name in inspect.signature(function).parameters:
            errors["InputError"] = f"The {noun} cannot be read; nothing was sent."
    errors |= dict(_ERROR.findall(raised))
    for name, text in _ERRORS_BEHIND.items():
        errors[name] = errors.pop(name, text)
    documented = _EXTRA_BODY.sub(_EVERY_ARGUMENT, f"{own}\n", count=1)
    lines = "\n".join(f"    {name}: {text}" for name, text in errors.items())
    return f"{documented}\nRaises:\n{lines}"


def _without(names: frozenset[str], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def is_not_given(value: object) -> bool:
    """Whether a value is the one by which OpenAI's client, and others made like it, say that there is none.

    https://github.com/openai/openai-python/blob/main/src/openai/_types.py
    """
    return type(value).__name__ in _SENTINELS and not value


_SENTINELS = frozenset({"NotGiven", "Omit"})


class NotGiven:
    """The type of `NOT_GIVEN`: as good as no argument, in OpenAI's word."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


class Omit:
    """The type of `omit`: the same."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "omit"


NOT_GIVEN: Final = NotGiven()
not_given: Final = NOT_GIVEN
omit: Final = Omit()


def given_of(named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given, without Nones and OpenAI's `NOT_GIVEN` and `omit`: a dict of the caller's own."""
    for value in named.values():
        if type(value) not in _PLAIN:
            break
    else:  # as with nearly all: to ask a set about all at once makes another set first
        return dict(named)
    return {
        name: value if type(value) in _PLAIN else _plain(value)
        for name, value in named.items()
        if value is not None and (type(value) in _PLAIN or not is_not_given(value))
    }


_PLAIN = frozenset({bool, dict, float, int, list, str})


def _plain(value: Any) -> Any:
    """The number that a scalar of numpy, or of whoever is like it, is; what can be read once only as a list."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else once_read(value)


def _types_of(options: Any) -> dict[str, Any]:
    """The types of a TypedDict, which are there already where its file is one that has them compiled."""
    told: dict[str, Any] = options.__annotations__
    is_text = any(isinstance(kind, ForwardRef) for kind in told.values())
    return get_type_hints(options, include_extras=True) if is_text else told


def elements_of(result: Any) -> list[Any]:
    """What a stream hands over of a result that came in one: the items of a list, or the result itself."""
    return result if isinstance(result, list) else [result]


class Declare(Generic[E]):
    """What `task(...)` returns: takes the function, gives the declaration. Used as it is where events are a union.

    `elements`: what a stream hands over of a result that came in one, if that is not what `elements_of` says.
    """

    def __init__(
        self,
        name: str,
        check: Check | None = None,
        elements: Callable[[Any], list[Any]] | None = None,
        *,
        events: Any = None,
    ) -> None:
        self._name = name
        self._check = check
        self._elements = elements
        self._events = events

    def __call__(self, function: Callable[P, R]) -> Declaration[P, E, R]:
        named = self._events or get_args(self.__orig_class__)[0]  # type: ignore[attr-defined]
        return Declaration(self._name, function, self._check, _names_of(named), self._elements)


def _names_of(events: Any) -> tuple[str, ...]:
    """The names of the types in a union, those of a job's events as one."""
    if isinstance(events, str):
        return (events,)
    if isinstance(events, ForwardRef):
        return tuple(name.strip() for name in events.__forward_arg__.split("|"))
    if get_origin(events) not in (Union, types.UnionType):
        return (_name_of(events),)
    from ..protocol import events as of_calls

    kinds, of_jobs = get_args(events), get_args(of_calls.JobEvent)
    names = [_name_of(kind) for kind in kinds if kind not in of_jobs]
    return (*names, "JobEvent") if set(of_jobs) <= set(kinds) else tuple(names)


def _name_of(kind: Any) -> str:
    inner = get_args(kind)
    return f"{kind.__name__}[{_name_of(inner[0])}]" if inner else str(kind.__name__)


@overload
def task(name: str, *, check: Check | None = None) -> Declare[JobEvent]: ...
@overload
def task(name: str, *, events: type[E], check: Check | None = None) -> Declare[E]: ...
def task(name: str, *, events: Any = "JobEvent", check: Check | None = None) -> Declare[Any]:
    """Declare the task of this name from the signature below.

    `events` is the type of what its stream hands over (default: the states of a job). `check` sees the arguments
    that were given and returns what is wrong with them together, or None.
    """
    return Declare(name, check, events=events)


class SignatureOfDeclaration:
    """The `__signature__` of an object with a `declaration`, read when it is asked for; its class has none."""

    def __get__(self, owner: Any, kind: type[Any]) -> inspect.Signature:
        if owner is None:
            raise AttributeError("__signature__")
        found: inspect.Signature = owner.declaration.signature
        return found


class DocOfDeclaration:
    """The `__doc__` of an object with a `declaration`, made when it is asked for; its class has its `own`."""

    def __init__(self, own: str | None) -> None:
        self._own = own

    def __get__(self, owner: Any, kind: type[Any]) -> str | None:
        if owner is None:
            return self._own
        made: str = owner.declaration.doc
        return made


class Bound(Generic[P, E, R]):
    """A task that is bound to what makes its calls, `caller`: the core of a client, whose class is called `owner`."""

    asynchronous: ClassVar[bool]
    __signature__ = SignatureOfDeclaration()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__doc__ = DocOfDeclaration(cls.__doc__)  # type: ignore[assignment]

    def __init__(self, declaration: Declaration[P, E, R], caller: Any, owner: str) -> None:
        self.caller = caller
        self.declaration = declaration
        self._owner = owner
        self.__name__ = declaration.method
        self.__qualname__ = f"{owner}.{declaration.method}"
        self.__annotations__ = LazyAnnotations(declaration.hints)  # its class's are none of a function's

    def __repr__(self) -> str:
        return f"<{self.__qualname__}>"

    def __reduce__(self) -> Any:
        """As a bound method is pickled: a pool of processes takes `client.chat_completion` for its function."""
        return type(self), (self.declaration, self.caller, self._owner)
