"""JSON brought to a type: strictly, and where that fails as far as it can be read.

The type says what is needed. A member without a default must be there. One with a default may be missing or null; what
does not fit is an error where the type takes no null, and the default where it does, unless a mark says otherwise:
`NEEDED`, `UNNEEDED`, `KEPT` or `SPOKEN`. What has only another spelling is read: a number for a name, a text that is a
number, a text in pieces, an object or a list as its JSON text, an object in a list of its own or in place of a list, a
list whose items have numbers for names, and a text in place of an object, where the type's `TEXT_MEMBER` names the
member that it is. The strict reading is msgspec's and costs what it costs; the other one is only made after it has
failed, and works on any type, so that a new type or member needs nothing of its own. Of a large text it builds only
what the type has a member for, and of a list that is no list of its items their first ones: it costs as much memory as
what the type asked for. Whoever calls keeps the bytes for `raw`. Pure.
"""

from __future__ import annotations

import math
import types
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from ..protocol.json_text import UNREADABLE, document_of, dumps, loads, loads_regular, regular

T = TypeVar("T")

NEEDED: Final = Meta(extra={"odd": "refused", "exact": True})
"""It may be missing, null, false, "" or, as PHP writes an object without members, []; anything else that does not fit
is an error, and neither a number nor a list of texts is a text."""
UNNEEDED: Final = Meta(extra={"odd": "default"})
"""What does not fit is as good as missing, although the type takes no null."""
KEPT: Final = Meta(extra={"odd": "kept"})
"""What does not fit says something all the same, and stays as it came."""
SPOKEN: Final = Meta(extra={"odd": "spoken", "exact": True})
"""As `KEPT`, but a number stays a number, also zero. Whoever reads it makes its text of whatever came."""

_SMALL: Final = 1 << 16
_HEAD: Final = 16
"""Items of a large list that are read before the others are looked at."""
_LISTS: Final = (list, tuple, set, frozenset)
_SORTS: Final[dict[type, tuple[type, ...]]] = {list: _LISTS, str: (bytes,), int: (float,), float: (int,)}
_NAMES: Final = {dict: "object", list: "array", tuple: "array", type(None): "null"}


def decode_json(data: bytes, kind: type[T]) -> T:
    """The text as this type. Raises one of `UNREADABLE`: no JSON, or what is needed is not there."""
    try:
        found: T = _decoder(kind).decode(data)  # type: ignore[arg-type]  # a type is hashable
        return found
    except UNREADABLE as failure:
        strict = failure
    try:
        value = loads_before(data, kind)
    except UNREADABLE:
        raise strict from None
    return convert(value, kind)


def loads_before(data: bytes, kind: Any) -> Any:
    """What `loads_for` gives, also where what follows the object or the list is no JSON. Raises as that does."""
    try:
        return loads_for(data, kind)
    except UNREADABLE:
        if not (document := document_of(data)):
            raise
    return loads_for(document, kind)


def loads_for(data: bytes, kind: Any) -> Any:
    """The value that the text stands for; of a large text, what this type reads of it. Raises one of `UNREADABLE`."""
    try:
        return loads(data) if len(data) <= _SMALL else _pruned(regular(data), kind)
    except UnicodeDecodeError:
        needed = _pruned(regular(data), kind, small=0)
    return loads(data, replace=True) if len(data) <= _SMALL else needed


def convert(value: Any, kind: type[T]) -> T:
    """A decoded value as this type. Raises `msgspec.ValidationError`: what is needed is not there."""
    found: T = _read(value, kind, "$")
    return found


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _pruned(text: bytes, kind: Any, small: int = _SMALL) -> Any:
    """The value of a regular text without what the type has no use for: what it is read as is the same.

    `small`: bytes; a text that is no longer is built whole, and so must be Unicode in all its parts.
    """
    if len(text) <= small or _mark(kind) in ("kept", "spoken"):
        return loads_regular(text)
    plain = _kinds(kind)
    opening = text.lstrip()[:1]
    if opening.isdigit() or opening == b"-":
        return float(text)  # an integer of so many digits is none that Python reads
    if Any in plain or opening not in (b"{", b"["):
        return loads_regular(text)
    if opening == b"{":
        structs = [each for each in (*plain, *_items_of(plain)) if _is_struct(each)]
        if structs:
            return _pruned_members(text, structs, small)
        return loads_regular(text) if dict in map(_origin, plain) else {}
    alone = () if any(_origin(each) in _LISTS for each in plain) else filter(_is_struct, plain)
    return _pruned_items(text, (*plain, *(list[each] for each in alone)), small)  # type: ignore[valid-type]


def _pruned_members(text: bytes, kinds: list[type[msgspec.Struct]], small: int) -> dict[str, Any]:
    fields = {field.encode_name: field.type for kind in reversed(kinds) for field in _fields(kind)}
    found = _outline(tuple(fields)).decode(text)
    parts = zip(fields.items(), msgspec.structs.astuple(found), strict=True)
    return {name: _pruned(bytes(part), kind, small) for (name, kind), part in parts if part is not msgspec.UNSET}


def _pruned_items(text: bytes, kinds: tuple[Any, ...], small: int) -> list[Any]:
    """The items, or those up to the first that is no item, where that is one of the first."""
    lists = [each for each in kinds if _origin(each) in _LISTS]
    if not lists and str not in kinds:
        return []
    items = {each for kind in lists for each in get_args(kind) or (Any,) if each is not ...} or {
        str
    }  # a text in pieces
    item = reduce(or_, items)
    head: list[Any] = []
    for part in msgspec.structs.astuple(_head().decode(text)):
        if part is msgspec.UNSET:
            return head
        head.append(_pruned(bytes(part), item, small))
        try:
            _item(head[-1], item, "$")
        except msgspec.ValidationError:
            return head
    if not any(map(_has_struct, items)):
        return cast("list[Any]", loads_regular(text))
    return [_pruned(bytes(part), item, small) for part in _decoder(list[msgspec.Raw]).decode(text)]


def _items_of(kinds: tuple[Any, ...]) -> list[Any]:
    """The types of a list's items, without their marks."""
    return [item for kind in kinds if _origin(kind) in _LISTS for part in get_args(kind) for item in _kinds(part)]


def _has_struct(kind: Any) -> bool:
    return any(_is_struct(each) or any(map(_has_struct, get_args(each))) for each in _kinds(kind))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _kinds(kind: Any) -> tuple[Any, ...]:
    """The types that a type takes, without their marks."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _kinds(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return tuple(each for part in get_args(kind) for each in _kinds(part))
    return (Any,) if kind is msgspec.Raw else (kind,)


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


@lru_cache(maxsize=256)
def _outline(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Reads an object's members of these names without building them."""
    fields = [(f"m{n}", msgspec.Raw, msgspec.UNSET) for n, _ in enumerate(names)]
    renamed = {f"m{n}": name for n, name in enumerate(names)}
    return msgspec.json.Decoder(msgspec.defstruct("Outline", fields, rename=renamed))


@lru_cache(maxsize=1)
def _head() -> msgspec.json.Decoder[Any]:
    """Reads a list's first items without building them."""
    fields = [(f"m{n}", msgspec.Raw, msgspec.UNSET) for n in range(_HEAD)]
    return msgspec.json.Decoder(msgspec.defstruct("Head", fields, array_like=True))


def _read(value: Any, kind: Any, path: str, exact: bool = False) -> Any:
    """The value as this type: as it is where it fits, or else read by its parts.

    `exact`: neither a number nor a list makes a text.
    """
    if kind is msgspec.Raw:
        return msgspec.Raw(dumps(value))
    try:
        return msgspec.convert(value, kind)
    except UNREADABLE:
        pass
    origin = get_origin(kind)
    if origin is Annotated:
        return _annotated(value, kind, path, exact)
    if origin in (Union, types.UnionType):
        return _either(value, get_args(kind), path, exact)
    if _is_struct(kind):
        return _struct(value, kind, path)
    if origin in _LISTS or kind in _LISTS:
        return _list(value, kind, path, exact)
    if origin is dict:
        return _dict(value, kind, path)
    return _scalar(value, kind, path, exact)


def _annotated(value: Any, kind: Any, path: str, exact: bool) -> Any:
    """What fits but for its spelling, within the bounds that the annotations set."""
    plain, *_ = get_args(kind)
    found = _read(value, plain, path, exact or _is_exact(kind))
    bounded = any(isinstance(meta, Meta) and meta.min_length for meta in get_args(kind)[1:])
    if bounded and not found:
        raise _unfit(value, kind, path)
    return found


def _either(value: Any, kinds: tuple[Any, ...], path: str, exact: bool) -> Any:
    """The first type as which the value can be read; those of its own sort go first, and say what is wrong."""
    wrong: msgspec.ValidationError | None = None
    for kind in sorted(kinds, key=lambda kind: not _is_of_sort(value, kind)):
        try:
            return _read(value, kind, path, exact)
        except msgspec.ValidationError as failure:
            wrong = wrong or (failure if _is_of_sort(value, kind) else None)
    raise wrong or _unfit(value, reduce(or_, kinds), path)


def _is_of_sort(value: Any, kind: Any) -> bool:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    plain = get_origin(plain) or plain
    if _is_struct(plain):
        plain = dict
    return type(value) is plain or plain in _SORTS.get(type(value), ())


def _struct(value: Any, kind: type[msgspec.Struct], path: str) -> Any:
    value = _opened(value, "{[")
    if path != "$":
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str) and value and (name := getattr(kind, "TEXT_MEMBER", "")):
            value = {name: value}
    if not isinstance(value, dict):
        raise _unfit(value, kind, path)
    members: dict[str, Any] = {}
    for field in _fields(kind):
        if field.encode_name in value:
            _member(value[field.encode_name], field, f"{path}.{field.encode_name}", members)
        elif field.required:
            raise msgspec.ValidationError(f"Object missing required field `{field.encode_name}` - at `{path}`")
    try:
        return kind(**members)
    except (ValueError, TypeError) as failure:  # as msgspec does with those of `__post_init__`
        raise msgspec.ValidationError(f"{failure} - at `{path}`") from failure


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _member(value: Any, field: msgspec.structs.FieldInfo, path: str, members: dict[str, Any]) -> None:
    """Read one member into `members`; what takes its default is left out."""
    try:
        members[field.name] = _read(value, field.type, path)
    except msgspec.ValidationError:
        mark = _mark(field.type)
        if field.required and isinstance(value, bool):
            members[field.name] = _read(dumps(value).decode(), field.type, path)
        elif field.required or (mark == "refused" and not _says_nothing(value)):
            raise
        elif (mark == "kept" and value) or (mark == "spoken" and not _says_nothing(value)):
            members[field.name] = value
        elif not mark and value is not None and not _takes_null(field.type):
            raise


def _mark(kind: Any) -> str:
    """What the type says of a value that does not fit it, if it does."""
    metas = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((meta.extra["odd"] for meta in metas if isinstance(meta, Meta) and meta.extra), "")


def _is_exact(kind: Any) -> bool:
    return any(isinstance(meta, Meta) and meta.extra and "exact" in meta.extra for meta in get_args(kind)[1:])


def _takes_null(kind: Any) -> bool:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return plain is Any or type(None) in get_args(plain)


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value == "" or value == []


def _opened(value: Any, openings: str) -> Any:
    """What a text is the JSON of, where that begins so."""
    if not isinstance(value, str) or value.lstrip()[:1] not in tuple(openings):
        return value
    try:
        return loads(value.encode(errors="replace"))
    except UNREADABLE:
        return value


def _list(value: Any, kind: Any, path: str, exact: bool) -> Any:
    value = _opened(value, "[{" if _items_of((kind,)) else "[")
    if isinstance(value, dict):
        value = _listed(value, kind)
    if not isinstance(value, list):
        raise _unfit(value, kind, path)
    arguments = get_args(kind) or (Any,)
    if get_origin(kind) is tuple and arguments[1:] != (...,):
        if len(arguments) != len(value):
            raise _unfit(value, kind, path)
        return tuple(_read(item, arguments[n], f"{path}[{n}]") for n, item in enumerate(value))
    items = (_item(item, arguments[0], f"{path}[{n}]", exact) for n, item in enumerate(value))
    return (get_origin(kind) or kind)(item for item in items if item is not NODEFAULT)


def _listed(value: dict[str, Any], kind: Any) -> Any:
    """The list that an object stands for: its only item, or its items by their numbers, as PHP and Lua write them."""
    if (items := numbered(value)) is not None:
        return items
    structs = filter(_is_struct, _items_of((kind,)))
    is_item = any(field.encode_name in value for struct in structs for field in _fields(struct))
    return [value] if is_item else value


def numbered(value: dict[str, Any]) -> list[Any] | None:
    """The members of an object whose names are numbers, by these; None for any other object."""
    if not value or not all(name.isdecimal() for name in value):
        return None
    return [value[name] for name in sorted(value, key=lambda name: (len(name), name))]


def _item(value: Any, kind: Any, path: str, exact: bool = False) -> Any:
    """One item of a list or an object; `NODEFAULT` for a null that stands where an object should, and says nothing."""
    try:
        return _read(value, kind, path, exact)
    except msgspec.ValidationError:
        kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
        if type(None) in kinds:
            return None
        if value is None and any(map(_is_struct, kinds)):
            return NODEFAULT
        raise


def _dict(value: Any, kind: Any, path: str) -> Any:
    value = _opened(value, "{")
    if not isinstance(value, dict):
        raise _unfit(value, kind, path)
    items = ((name, _item(item, get_args(kind)[1], f"{path}.{name}")) for name, item in value.items())
    return {name: item for name, item in items if item is not NODEFAULT}


def _scalar(value: Any, kind: Any, path: str, exact: bool) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if exact and not (isinstance(value, str) and kind in (int, float)):
        raise _unfit(value, kind, path)
    if kind is str and is_number:
        return dumps(value).decode()
    if kind is str and isinstance(value, list) and value and all(isinstance(piece, str) for piece in value):
        return "".join(value)
    if kind is int:
        whole = _spelled(value, int) if isinstance(value, str) else value
        number = _spelled(value, float) if whole is NODEFAULT else whole
        if type(number) is int:
            return number
        if isinstance(number, float) and math.isfinite(number):
            return int(number) if number.is_integer() else number
    found = _spelled(value, kind) if kind in (float, bool) else NODEFAULT
    if found is NODEFAULT:
        raise _unfit(value, kind, path)
    return found


def _spelled(value: Any, kind: Any) -> Any:
    """The number that a text is, the truth value that a text or a number is; `NODEFAULT` if it is none."""
    try:
        return msgspec.convert(value.strip() if isinstance(value, str) else value, kind, strict=False)
    except UNREADABLE:
        return NODEFAULT


def _unfit(value: Any, kind: Any, path: str) -> msgspec.ValidationError:
    if kind is bytes and isinstance(value, str):
        return msgspec.ValidationError(f"Invalid base64 encoded string - at `{path}`")
    found = _NAMES.get(type(value), type(value).__name__)
    return msgspec.ValidationError(f"Expected `{_name(kind)}`, got `{found}` - at `{path}`")


def _name(kind: Any) -> str:
    """The type in JSON's words."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _name(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(_name, get_args(kind))))
    if origin is Literal:
        return " | ".join(map(repr, get_args(kind)))
    plain = origin or kind
    if _is_struct(plain):
        return "object"
    return _NAMES.get(plain, getattr(plain, "__name__", str(plain)))
