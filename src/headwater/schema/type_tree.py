"""A Python type as a tree of what its JSON consists of, from which its schema, its conversion and its partials follow.

Taken are msgspec's Structs, dataclasses, attrs classes, TypedDicts, NamedTuples (as objects, whose members say what
they are), lists, tuples, sets, dicts, unions, Literals, enums, dates, UUIDs, numbers and texts with `msgspec.Meta`, and
pydantic's models, which are known by their methods: pydantic is never imported. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import sys
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, UNSET, Meta, UnsetType

from ..errors import InvalidParameterError

NONE_TYPE: Final = type(None)
_LEAVES: Final = frozenset(
    {
        bool,
        bytes,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        float,
        int,
        str,
        uuid.UUID,
        NONE_TYPE,
    }
)
_LISTS: Final = frozenset({"Collection", "Iterable", "MutableSequence", "Sequence", "list"})
_SETS: Final = frozenset({"MutableSet", "Set", "set"})
_MAPPINGS: Final = frozenset({"Mapping", "MutableMapping", "dict"})
_PRESENCE: Final = frozenset({"NotRequired", "ReadOnly", "Required"})
"""What stands around the type of a TypedDict's member; a type checker's `typing_extensions` has them as well."""


@dataclass(eq=False)
class Leaf:
    """A text, number, truth value, null, date, enum or Literal, as msgspec reads it, or a union of such.

    `translated`, here and below: it has bounds that are said in another library's words, which msgspec does not know.
    """

    kind: Any
    translated: bool = False


@dataclass(eq=False)
class Anything:
    """Whatever JSON can say."""

    kind: Any = Any


@dataclass(eq=False)
class ArrayOf:
    """An array of any length, or between two lengths; `make` is list, set, frozenset or tuple."""

    kind: Any
    make: Callable[[list[Any]], Any]
    item: Node
    metas: tuple[Meta, ...] = ()
    translated: bool = False


@dataclass(eq=False)
class TupleOf:
    """An array of a fixed length, each of whose places has a type of its own."""

    kind: Any
    places: list[Node]
    metas: tuple[Meta, ...] = ()
    translated: bool = False


@dataclass(eq=False)
class MapOf:
    """An object whose members' names are data."""

    kind: Any
    key: Any
    value: Node
    metas: tuple[Meta, ...] = ()
    translated: bool = False


@dataclass(eq=False)
class OneOf:
    """One of several. `name`: of an alias that contains itself, whose only option is what it stands for."""

    kind: Any
    options: list[Node]
    metas: tuple[Meta, ...] = ()
    translated: bool = False
    name: str | None = None


@dataclass(eq=False)
class Member:
    """A member of an object. `key` is its name in JSON, `name` what its class takes it by, `attribute` what an instance
    has it as; `default` makes what it is where it is missing, None where it may not be."""

    name: str
    key: str
    node: Node
    required: bool
    default: Callable[[], Any] | None = None
    description: str | None = None
    attribute: str = ""


@dataclass(eq=False)
class ObjectOf:
    """An object with known members. `make` takes them by `Member.name`. `tag`: a member, and the text that it has.

    `closed`: other members are an error. `positional`: whether its own JSON, as msgspec writes it, is an array.
    """

    kind: Any
    make: Callable[..., Any]
    members: list[Member] = field(default_factory=list)
    tag: tuple[str, Any] | None = None
    closed: bool = False
    positional: bool = False

    @cached_property
    def by_key(self) -> Mapping[str, Member]:
        """The members by their names in JSON."""
        return {each.key: each for each in self.members}

    @cached_property
    def unchecked(self) -> Callable[[dict[str, Any]], Any]:
        """What makes an instance of its attributes without any check of its class's own, for what is not whole."""
        return _unchecked(self.make)


@dataclass(eq=False)
class Foreign:
    """A class that has a schema and reads JSON by itself, as pydantic's models do."""

    kind: Any
    metas: tuple[Meta, ...] = ()
    members: ObjectOf | None = None


def _unchecked(make: Any) -> Callable[[dict[str, Any]], Any]:
    """What makes an instance of a class without its checks."""
    construct = getattr(make, "model_construct", None)
    if construct is not None:
        return lambda values: construct(**values)
    if issubclass(make, msgspec.Struct):
        without: Any = make
        if hasattr(make, "__post_init__"):
            space: Any = {"__post_init__": lambda self: None, "__module__": make.__module__, "__doc__": make.__doc__}
            meta: Any = type(make)
            without = meta(make.__name__, (make,), space)
        return lambda values: without(**values)
    if issubclass(make, tuple):
        return lambda values: make(**values)

    def instance(values: dict[str, Any]) -> Any:
        found = object.__new__(make)
        for name, value in values.items():
            object.__setattr__(found, name, value)
        return found

    return instance


Node: TypeAlias = Leaf | Anything | ArrayOf | TupleOf | MapOf | OneOf | ObjectOf | Foreign


def tree_of(kind: Any, place: str | None = None) -> Node:
    """The tree of a type. Raises `InvalidParameterError` for what has no schema, with the member that it is; `place`
    is what the type itself is called there."""
    return _Reader().node(kind, place or type_name(kind))


def members_of_foreign(node: Foreign) -> ObjectOf:
    """The members of a class that reads JSON by itself, as far as they can be told: for what has come of one so far.

    https://docs.pydantic.dev/latest/api/base_model/#pydantic.BaseModel.model_fields
    """
    made = node.members
    if made is None:
        made = node.members = ObjectOf(node.kind, node.kind)
        for name, found in getattr(node.kind, "model_fields", {}).items():
            try:
                inner: Node = tree_of(found.annotation)
            except InvalidParameterError:  # its own affair: it is shown as it comes
                inner = Anything()
            needed = found.is_required()
            default = None if needed else found.get_default
            alias = found.validation_alias if isinstance(found.validation_alias, str) else None
            made.members.append(Member(name, alias or name, inner, needed, default, attribute=name))
    return made


def type_name(kind: Any) -> str:
    """The type's name as a program writes it, without modules: `Invoice`, `list[Line]`, `Line | None`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_name, arguments))
    if kind in (None, NONE_TYPE, Ellipsis):
        return "..." if kind is Ellipsis else "None"
    if origin is None or not arguments:
        return str(getattr(kind, "__name__", kind))
    named = [repr(each) for each in arguments] if origin is Literal else [type_name(each) for each in arguments]
    return f"{getattr(origin, '__name__', 'Literal')}[{', '.join(named)}]"


def plain_kinds(node: Node) -> frozenset[Any]:
    """The plain types that a value may be of, where it is no container: of `Annotated[str, ...] | None` str and
    NoneType."""
    if isinstance(node, OneOf):
        return frozenset().union(*map(plain_kinds, node.options))
    if isinstance(node, Anything):
        return frozenset({str})
    return frozenset(_plain_kinds(node.kind)) if isinstance(node, Leaf) else frozenset()


def _plain_kinds(kind: Any) -> list[Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _plain_kinds(arguments[0])
    if origin in (Union, types.UnionType):
        return [plain for each in arguments for plain in _plain_kinds(each)]
    return [getattr(kind, "__supertype__", kind)]


def is_foreign(kind: Any) -> bool:
    """Whether the class has a schema and reads JSON by itself."""
    return isinstance(kind, type) and all(
        callable(getattr(kind, name, None)) for name in ("model_json_schema", "model_validate_json")
    )


def describing(metas: Iterable[Any]) -> str | None:
    """The description among what a type is annotated with: a `Meta`'s or another's, or a plain text."""
    found: str | None = None
    for meta in metas:
        for said in (meta, getattr(meta, "description", None), getattr(meta, "documentation", None)):
            found = said if isinstance(said, str) else found
    return found


_BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


def _meta(said: Any) -> Meta | None:
    """What a type is annotated with, as a `Meta`: others' bounds are known by the names that they share.

    https://github.com/annotated-types/annotated-types, https://docs.pydantic.dev/latest/concepts/fields/
    """
    if isinstance(said, Meta):
        return said
    parts = [said, *(said.metadata if isinstance(getattr(said, "metadata", None), list) else ())]
    bounds: dict[str, Any] = {
        name: value
        for part in parts
        for name in _BOUNDS
        if isinstance(value := getattr(part, name, None), int | float | str) and not isinstance(value, bool)
    }
    described = describing((said,))
    return Meta(**bounds, description=described) if bounds else None


def documentation(kind: Any) -> str | None:
    """The class's own docstring; None where there is none, or the one that `dataclasses` writes."""
    origin = get_origin(kind) or kind
    doc = vars(origin).get("__doc__") if isinstance(origin, type) else None
    if not isinstance(doc, str) or doc.startswith(f"{origin.__name__}("):
        return None
    return inspect.cleandoc(doc) or None


class _Reader:
    """Reads one type; a class that comes again is the same node, so that it may contain itself."""

    def __init__(self) -> None:
        self._made: dict[Any, ObjectOf] = {}
        self._aliases: dict[Any, OneOf] = {}

    def node(self, kind: Any, place: str) -> Node:
        metas: tuple[Any, ...] = ()
        plain = kind
        while True:
            if get_origin(plain) is Annotated:
                plain, *more = get_args(plain)
                metas = (*more, *metas)
            elif hasattr(plain, "__supertype__"):  # a NewType
                plain = plain.__supertype__
            elif type(get_origin(plain) or plain).__name__ == "TypeAliasType":
                if not metas:
                    return self._alias(plain, place)
                plain = _value_of_alias(plain)
            else:
                break
        ours = tuple(meta for each in metas if (meta := _meta(each)) is not None)
        kind = Annotated[(plain, *ours)] if ours else plain
        found = self._plain(plain, kind, ours, place)
        self._check_constraints(found, kind, place)
        if isinstance(found, Leaf | ArrayOf | TupleOf | MapOf | OneOf):
            found.translated = any(not any(each is meta for meta in metas) for each in ours)
        return found

    def _alias(self, alias: Any, place: str) -> Node:
        """What an alias stands for; of one that contains itself a node that does."""
        known = self._aliases.get(alias)
        if known is not None:
            known.name = type_name(alias)
            return known
        made = self._aliases[alias] = OneOf(alias, [])
        found = self.node(_value_of_alias(alias), place)
        if made.name is None:
            del self._aliases[alias]
            return found
        made.options.append(found)
        return made

    def _plain(self, plain: Any, kind: Any, metas: tuple[Meta, ...], place: str) -> Node:
        origin, arguments = get_origin(plain) or plain, get_args(plain)
        if plain is None:
            return Leaf(NONE_TYPE)
        if plain in (Any, msgspec.Raw) or (isinstance(plain, TypeVar) and plain.__bound__ is None):
            return Anything()
        if isinstance(plain, TypeVar):
            return self.node(plain.__bound__, place)
        if plain in _LEAVES or origin is Literal or _is_enum(plain):
            return Leaf(kind)
        if origin in (Union, types.UnionType):
            return self._union(kind, arguments, metas, place)
        name = getattr(origin, "__name__", "")
        if origin is frozenset or (name in _SETS | _LISTS and _is_builtin(origin)):
            make = frozenset if origin is frozenset else set if name in _SETS else list
            return ArrayOf(kind, make, self._argument(arguments, 0, f"{place}[]"), metas)
        if origin is tuple:
            return self._tuple(kind, arguments, metas, place)
        if name in _MAPPINGS and _is_builtin(origin):
            value = self._argument(arguments, 1, f"{place}[...]")
            return MapOf(kind, arguments[0] if arguments else str, value, metas)
        if is_foreign(plain):
            return Foreign(plain, metas)
        return self._class(plain, origin, place)

    def _argument(self, arguments: tuple[Any, ...], index: int, place: str) -> Node:
        return self.node(arguments[index], place) if len(arguments) > index else Anything()

    def _tuple(self, kind: Any, arguments: tuple[Any, ...], metas: tuple[Meta, ...], place: str) -> Node:
        if not arguments or arguments[-1] is Ellipsis:
            return ArrayOf(kind, tuple, self._argument(arguments, 0, f"{place}[]"), metas)
        return TupleOf(kind, [self.node(each, f"{place}[{n}]") for n, each in enumerate(arguments)], metas)

    def _union(self, kind: Any, arguments: tuple[Any, ...], metas: tuple[Meta, ...], place: str) -> Node:
        options = [self.node(each, place) for each in arguments if each is not UnsetType]
        if len(options) == 1:
            return options[0]
        if all(isinstance(each, Leaf) for each in options) and UnsetType not in arguments and _is_read(kind):
            return Leaf(kind)
        return OneOf(kind, options, metas)

    def _class(self, plain: Any, origin: Any, place: str) -> Node:
        if plain in self._made:
            return self._made[plain]
        shape = _shape_of(plain, origin)
        if shape is None:
            raise InvalidParameterError(f"{place}: {_article(plain)} has no JSON schema")
        made = self._made[plain] = shape
        for found in _fields_of(plain, origin, place):
            inner = f"{place}.{found.key}"
            node = self.node(found.kind, inner)
            metas = get_args(found.kind)[1:] if get_origin(found.kind) is Annotated else ()
            made.members.append(
                Member(
                    name=found.name,
                    key=found.key,
                    node=node,
                    required=found.required,
                    default=found.default,
                    description=found.description or describing(metas),
                    attribute=found.attribute or found.name,
                )
            )
        return made

    def _check_constraints(self, found: Node, kind: Any, place: str) -> None:
        """Have msgspec say what is wrong with a leaf, such as a bound of a text."""
        if isinstance(found, Leaf):
            try:
                msgspec.json.schema(found.kind)
            except (TypeError, ValueError) as error:
                raise InvalidParameterError(f"{place}: {str(error).split(' - type')[0]}") from None


class _Field(typing.NamedTuple):
    name: str
    key: str
    kind: Any
    required: bool
    default: Callable[[], Any] | None
    description: str | None = None
    attribute: str = ""


def _shape_of(plain: Any, origin: Any) -> ObjectOf | None:
    """The object that a class is, without its members."""
    if not isinstance(origin, type):
        return None
    if issubclass(origin, msgspec.Struct):
        config = origin.__struct_config__
        tag = None if config.tag is None else (config.tag_field or "type", config.tag)
        return ObjectOf(plain, origin, tag=tag, closed=config.forbid_unknown_fields, positional=config.array_like)
    if typing.is_typeddict(origin) or type(origin).__name__ == "_TypedDictMeta":
        return ObjectOf(plain, dict)
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        return ObjectOf(plain, origin, positional=True)
    if dataclasses.is_dataclass(origin) or hasattr(origin, "__attrs_attrs__"):
        return ObjectOf(plain, origin)
    return None


def _fields_of(plain: Any, origin: Any, place: str) -> list[_Field]:
    if issubclass(origin, msgspec.Struct):
        try:
            found = msgspec.structs.fields(plain)
        except NameError:
            _hints(plain, origin, place)
            found = msgspec.structs.fields(plain)
        except TypeError as error:
            raise InvalidParameterError(f"{place}: {error}") from None
        return [
            _Field(f.name, f.encode_name, f.type, f.required, None if f.required else _default(f.default, f))
            for f in found
        ]
    hints = _hints(plain, origin, place)
    if dataclasses.is_dataclass(origin):
        init_only = {name: each.type for name, each in hints.items() if isinstance(each, dataclasses.InitVar)}
        return [
            _Field(
                f.name,
                f.name,
                init_only.get(f.name, hints[f.name]),
                _is_needed(f),
                _dataclass_default(f),
                _described(f.metadata),
            )
            for f in origin.__dataclass_fields__.values()
            if f.init and get_origin(hints[f.name]) is not ClassVar and hints[f.name] is not ClassVar
        ]
    if hasattr(origin, "__attrs_attrs__"):
        return [_attrs_field(a, hints) for a in origin.__attrs_attrs__ if a.init]
    if hasattr(origin, "_fields"):
        defaults = origin._field_defaults
        return [
            _Field(n, n, hints.get(n, Any), n not in defaults, _giving(defaults[n]) if n in defaults else None)
            for n in origin._fields
        ]
    return [_typed_dict_field(origin, name, hint) for name, hint in hints.items()]


def _default(value: Any, found: Any) -> Callable[[], Any] | None:
    if found.default_factory is not NODEFAULT:
        factory: Callable[[], Any] = found.default_factory
        return factory
    return _giving(value)


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


def _is_needed(found: dataclasses.Field[Any]) -> bool:
    return found.default is dataclasses.MISSING and found.default_factory is dataclasses.MISSING


def _dataclass_default(found: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    if found.default_factory is not dataclasses.MISSING:
        return found.default_factory
    return None if found.default is dataclasses.MISSING else _giving(found.default)


def _described(metadata: Mapping[Any, Any]) -> str | None:
    said = metadata.get("description")
    return said if isinstance(said, str) else None


def _attrs_field(found: Any, hints: Mapping[str, Any]) -> _Field:
    """https://www.attrs.org/en/stable/api.html#attrs.Attribute"""
    needed = type(found.default).__name__ == "_Nothing" or getattr(found.default, "name", "") == "NOTHING"
    factory = getattr(found.default, "factory", None)
    default = None if needed else factory if factory is not None else _giving(found.default)
    kind = hints.get(found.name, found.type or Any)
    return _Field(found.alias or found.name, found.name, kind, needed, default, _described(found.metadata), found.name)


def _typed_dict_field(origin: Any, name: str, hint: Any) -> _Field:
    needed = name in origin.__required_keys__
    while (wrapper := _wrapper(hint)) in _PRESENCE:
        needed = needed if wrapper == "ReadOnly" else wrapper == "Required"
        hint = get_args(hint)[0]
    return _Field(name, name, hint, needed, None)


def _wrapper(hint: Any) -> str:
    return getattr(get_origin(hint), "_name", None) or ""


def _hints(plain: Any, origin: Any, place: str) -> dict[str, Any]:
    """The annotations of a class, those of a generic one with its arguments in place of its variables."""
    try:
        hints = hints_of(origin)
    except Exception as error:  # noqa: BLE001 - whatever an annotation that is evaluated raises
        raise InvalidParameterError(f"{place}: its annotations cannot be read: {error}") from None
    variables = dict(zip(getattr(origin, "__parameters__", ()), get_args(plain), strict=False))
    return {name: _substituted(hint, variables) for name, hint in hints.items()} if variables else hints


def hints_of(owner: Any) -> dict[str, Any]:
    """The annotations of a function or a class. In one that is defined within a function, they may name what that has
    while it runs; of a class those are put in their place then, where msgspec reads them."""
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except NameError:
        if not isinstance(owner, type):
            return typing.get_type_hints(owner, localns=_names_around(owner), include_extras=True)
    for kind in owner.__mro__:
        if own := getattr(kind, "__annotations__", None):  # its own alone, since Python 3.10
            names = {**_names_around(kind), **vars(kind)}
            hints = typing.get_type_hints(kind, localns=names, include_extras=True)
            kind.__annotations__ = {name: hints[name] for name in own}
    return typing.get_type_hints(owner, include_extras=True)


def _names_around(owner: Any) -> dict[str, Any]:
    """What names mean where this is defined, beside those of its module: itself, and what the function around it has,
    if that still runs."""
    around = owner.__qualname__.rpartition(".<locals>.")[0]
    frame = sys._getframe() if around else None
    while frame is not None and frame.f_code.co_qualname != around:
        frame = frame.f_back
    return {**({} if frame is None else frame.f_locals), owner.__name__: owner}


def _value_of_alias(alias: Any) -> Any:
    """What an alias of `type` stands for, with its arguments in place of its variables.

    https://docs.python.org/3/library/typing.html#typing.TypeAliasType
    """
    origin = get_origin(alias) or alias
    variables = dict(zip(origin.__type_params__, get_args(alias), strict=False))
    try:
        return _substituted(origin.__value__, variables)
    except NameError as error:
        raise InvalidParameterError(f"{type_name(alias)}: what it stands for cannot be read: {error}") from None


def _substituted(hint: Any, variables: Mapping[Any, Any]) -> Any:
    if hint in variables:
        return variables[hint]
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(variables.get(each, each) for each in parameters)] if parameters else hint


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _is_builtin(origin: Any) -> bool:
    return getattr(origin, "__module__", "") in {"builtins", "collections.abc", "typing"}


def _is_read(kind: Any) -> bool:
    """Whether msgspec reads the type as it is."""
    try:
        msgspec.json.Decoder(kind)
    except TypeError:
        return False
    return True


def _article(kind: Any) -> str:
    named = type_name(kind)
    return f"{'an' if named[:1].lower() in 'aeio' else 'a'} {named}"


def is_unset(value: Any) -> bool:
    """Whether the value is msgspec's mark of a member that is not there."""
    return value is UNSET
