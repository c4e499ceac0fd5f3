"""What every result type is: a Struct whose fields also answer as keys, and that forgets nothing.

The server's own bytes stay attached to a result's outermost object, undecoded; `raw` decodes them when asked.
"""

from __future__ import annotations

import binascii
import copy
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Self, TypeVar

import msgspec

from ..protocol.json_text import UNREADABLE, dumps, loads, loads_document
from ..responses.json_decoder import convert
from .lenient_types import NOT_SAID, Nullable

S = TypeVar("S", bound="Output")


class DataclassFields:
    """The fields of an output, for whoever takes it for a dataclass: `dataclasses.asdict`, pandas, ...

    Of an output they are its keys: what the server sent beyond the declared fields is among them, though nothing that
    the class is made with. https://docs.python.org/3/library/dataclasses.html#dataclasses.is_dataclass
    """

    def __get__(self, output: Any, kind: type[Output]) -> dict[str, Any]:
        if output is None:
            return {name: _field(name, init=True) for name in kind.__struct_fields__}
        names = output.keys()
        for name in set(names).difference(kind.__struct_fields__):  # whoever asks reads them as attributes then
            vars(output).setdefault(name, output[name])
        return {name: _field(name, init=name in kind.__struct_fields__) for name in names}


class DataclassParams:
    """How such a class would have been made."""

    def __get__(self, output: Any, kind: type[Output]) -> Any:
        return _a_dataclass().__dataclass_params__


@cache
def _a_dataclass() -> Any:
    import dataclasses

    return dataclasses.make_dataclass("Dataclass", [("field", Any, dataclasses.field(default=None))], repr=False)


def _field(name: str, *, init: bool) -> Any:
    field = copy.copy(_a_dataclass().__dataclass_fields__["field"])
    field.name, field.init = name, init
    return field


class Output(msgspec.Struct, kw_only=True, dict=True):
    """A result: `out.score`, `out["score"]`, `out.get("score")`, `"score" in out`, `dict(out)`, `out.to_json()`.

    It is a type for pydantic's models and for FastAPI's `response_model` as well, and to `dataclasses` and whoever asks
    that, such as pandas, a dataclass.
    """

    __dataclass_fields__ = DataclassFields()
    __dataclass_params__ = DataclassParams()

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.__struct_fields__:
            raise KeyError(f"a {type(self).__name__} has no field {key!r}")
        setattr(self, key, value)

    def __getitem__(self, key: str) -> Any:
        if key in self.__struct_fields__:
            return getattr(self, key)
        raw = self.raw
        if isinstance(raw, dict) and key in raw:
            return raw[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in self.__struct_fields__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__struct_fields__)

    def __len__(self) -> int:
        return len(self.__struct_fields__)

    def keys(self) -> tuple[str, ...]:
        """The declared fields' names."""
        return self.__struct_fields__

    def values(self) -> list[Any]:
        """The declared fields' values."""
        return [getattr(self, name) for name in self.__struct_fields__]

    def items(self) -> list[tuple[str, Any]]:
        """The declared fields, as pairs."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__]

    def get(self, key: str, default: Any = None) -> Any:
        """The field, or what the server sent under that name, or the default."""
        try:
            return self[key]
        except KeyError:
            return default

    def to_dict(self) -> dict[str, Any]:
        """The fields as dicts, lists, texts, numbers, truth values and None, all the way down, as `json` writes them.

        Images and sounds are base64; NaN and the infinities stay what they are.
        """
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=json_default)
        return plain

    def to_json(self, *, indent: int | None = None) -> str:
        """The result as JSON text, in one line or indented; null where a number is NaN or infinite."""
        return _text(self.to_dict(), indent)

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        **others: Any,
    ) -> dict[str, Any]:
        """`to_dict()` under pydantic's name, less what is excluded; in the mode "json" NaN is None.

        Unset is what has its default and was not sent. What pydantic takes besides (`by_alias`, `warnings`, ...) says
        nothing here. https://docs.pydantic.dev/latest/concepts/serialization/
        """
        plain = self.to_dict()
        if exclude_none or exclude_unset or exclude_defaults:
            sent = self.raw if exclude_unset and not exclude_defaults else None
            _trim(plain, self, sent, nones=exclude_none, defaults=exclude_unset or exclude_defaults)
        if include is not None or exclude is not None:
            plain = _chosen(plain, include, exclude)
        return _finite(plain) if mode == "json" else plain

    def model_dump_json(self, *, indent: int | None = None, **how: Any) -> str:
        """What `model_dump` gives as JSON text."""
        return _text(self.model_dump(**{**how, "mode": "json"}), indent)

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """The output of this type that a dict says, under pydantic's name. Raises `ValueError` where it is none."""
        return cls._taken(obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **how: Any) -> Self:
        """The same of JSON text."""
        try:
            return cls._taken(loads(_as_bytes(json_data)))
        except (*UNREADABLE, TypeError) as error:
            raise ValueError(str(error)) from None

    parse_obj_as_instance = model_validate
    """Hugging Face's name for it."""

    @classmethod
    def parse_obj_as_list(cls, data: Any) -> list[Self]:
        """The outputs that a list of dicts, or JSON text of one, says, under Hugging Face's name."""
        found = cls.parse_obj(data)
        return found if isinstance(found, list) else [found]

    @classmethod
    def parse_obj(cls, data: Any) -> list[Self] | Self:
        """The output, or the list of them, that dicts or JSON text say, under Hugging Face's name."""
        plain = loads(_as_bytes(data)) if isinstance(data, str | bytes | bytearray) else data
        return [cls._taken(each) for each in plain] if isinstance(plain, list) else cls._taken(plain)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, under pydantic's name, with some fields changed; `deep`: of all that is in it as well."""
        other = copy.deepcopy(self) if deep else copy.copy(self)
        for name, value in (update or {}).items():
            other[name] = value
        return other

    @property
    def model_extra(self) -> dict[str, Any]:
        """What the server sent beyond the fields, under pydantic's name."""
        raw = self.raw
        return {k: v for k, v in raw.items() if k not in self.__struct_fields__} if isinstance(raw, dict) else {}

    @property
    def model_fields_set(self) -> set[str]:
        """The declared fields that were sent, under pydantic's name; all of an output that was made by hand."""
        raw = self.raw
        return {name for name in self.__struct_fields__ if not isinstance(raw, dict) or name in raw}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from ..schema.pydantic_schema import pydantic_schema

        return pydantic_schema(cls._taken, _dumped, f"{cls.__module__}.{cls.__qualname__}:{id(cls)}")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        (top,), parts = msgspec.json.schema_components([cls], ref_template="{name}")
        return _inlined(parts[top["$ref"]], parts, (cls.__name__,))

    @classmethod
    def _taken(cls, value: Any) -> Self:
        """A value of a pydantic model as this type: such a result, or its dict."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"a {cls.__name__} or its dict is wanted")
        try:
            taken = convert(dict(value), cls)
            vars(taken)["_body"] = dumps(value)
        except (*UNREADABLE, TypeError) as error:
            raise ValueError(str(error)) from None
        return taken

    @property
    def raw(self) -> Any:
        """All that the server sent for this, decoded now; None where this was not read from an answer."""
        body = self.__dict__.get("_body")
        return None if body is None else loads_document(body)

    @property
    def facts(self) -> Any:
        """How this came about (`headwater.Facts`: provider, request id, attempts, ...), if a call gave it."""
        return self.__dict__.get("_facts")

    @property
    def _request_id(self) -> str | None:
        """`facts.request_id` under OpenAI's name: https://github.com/openai/openai-python#request-ids"""
        return None if self.facts is None else self.facts.request_id

    def __copy__(self) -> Self:
        return _made(type(self), *_parts(self))

    def __reduce__(self) -> Any:
        return _made, (type(self), *_parts(self))


# To `match`, pandas, logging and all who ask whether it has keys.
Mapping.register(Output)  # pyright: ignore[reportAttributeAccessIssue]


def _as_bytes(text: str | bytes | bytearray) -> bytes:
    return text.encode(errors="surrogatepass") if isinstance(text, str) else bytes(text)


def _parts(output: Output) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields, and what is kept beside them."""
    return {name: getattr(output, name) for name in output.__struct_fields__}, dict(output.__dict__)


def _made(kind: type[S], fields: dict[str, Any], beside: dict[str, Any]) -> S:
    output = kind(**fields)
    vars(output).update(beside)
    return output


class OpenOutput(Output):
    """An output whose keys, dict and JSON have also what the server sent beyond the fields.

    A part of an answer knows the answer's bytes and the way to it, `part_of`; what was put together of a stream's
    chunks has what no field holds, `hold`.
    """

    def part_of(self, *part: bytes | str | int) -> None:
        """Remember the answer that this is a part of: its bytes, and the names and numbers that lead here."""
        vars(self)["_part"] = part

    def hold(self, further: dict[str, Any]) -> None:
        """Keep members that no field holds."""
        vars(self)["_further"] = further

    def tell(self, sent: dict[str, Any]) -> None:
        """Remember how members were sent that fields hold otherwise."""
        vars(self)["_told"] = {**(self.told or {}), **sent}

    def keep_odd(self, sent: Any) -> None:
        """Remember the members that say something and are not what their fields take: those have their defaults."""
        if odd := odd_members(self, sent):
            self.tell(odd)

    @property
    def told(self) -> dict[str, Any] | None:
        """Members as they were sent, of what was put together; None where fields hold them so."""
        return self.__dict__.get("_told")

    @property
    def held(self) -> dict[str, Any] | None:
        """The members that were kept; None where this was not put together."""
        return self.__dict__.get("_further")

    def __contains__(self, key: object) -> bool:
        return key in self.__struct_fields__ or key in self.undeclared()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, and of what the server sent beyond them."""
        return (*self.__struct_fields__, *self.undeclared())

    def values(self) -> list[Any]:
        """The values of `keys`."""
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[str, Any]]:
        """The fields and what the server sent beyond them, as pairs."""
        return [*super().items(), *self.undeclared().items()]

    def to_dict(self) -> dict[str, Any]:
        """The fields, and what the server sent beyond them, as plain dicts and lists, all the way down."""
        plain = super().to_dict()
        _complete(plain, self, self.sent())
        return plain

    @property
    def raw(self) -> Any:
        """All that the server sent for this, decoded now: of a stream, what a plain answer would have had. None where
        this was not read from an answer."""
        sent = self.sent()
        if sent is None and self.held is not None:
            told = super().to_dict()
            _complete(told, self, None, unset=False)
            return told
        return sent

    def sent(self) -> Any:
        """What the server sent for this, decoded now; None where it was put together, or made by hand."""
        if (whole := super().raw) is not None or "_part" not in self.__dict__:
            return whole
        body, *way = self.__dict__["_part"]
        value = loads_document(body)
        try:
            for step in way:
                value = value[step]
        except (LookupError, TypeError):  # it was read otherwise than it came
            return None
        return value

    def undeclared(self) -> dict[str, Any]:
        """What the server sent beyond the fields."""
        sent = self.sent() if self.held is None else self.held
        return {k: v for k, v in sent.items() if k not in self.__struct_fields__} if isinstance(sent, dict) else {}


class SparseOutput(OpenOutput, omit_defaults=True):
    """An output of one of several kinds, whose keys, dict and JSON are without the fields that say nothing, as those of
    the other kinds do."""

    def keys(self) -> tuple[str, ...]:
        """The names of the fields that say something, and of what the server sent beyond the fields."""
        said = [
            name for name in self.__struct_fields__ if getattr(self, name) not in (None, "") or self._was_sent(name)
        ]
        return (*said, *self.undeclared())

    def items(self) -> list[tuple[str, Any]]:
        """Those names with what they stand for."""
        return [(name, self[name]) for name in self.keys()]

    def _was_sent(self, name: str) -> bool:
        sent = self.sent()
        return isinstance(sent, dict) and name in sent


def odd_members(output: Output, sent: Any) -> dict[str, Any]:
    """What was sent for fields that have their defaults all the same, as what does not fit them has."""
    given = sent if isinstance(sent, dict) else {}
    return {
        name: value
        for name, value in given.items()
        if value and name in output.__struct_fields__ and getattr(output, name) in (None, "", 0) and _is_odd(value)
    }


def _is_odd(value: Any) -> bool:
    """Whether it is more than another spelling of nothing or none."""
    return not (isinstance(value, str) and value.strip().lower() in ("", "0", "null", "none"))


def _complete(plain: dict[str, Any], output: Any, sent: Any, unset: bool = True) -> None:
    """Put into an output's dict what its fields do not hold, all the way down. `unset`: leave fields that are None."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            plain.setdefault(name, value)
    if isinstance(output, OpenOutput):
        plain.update(output.held or ())
    for name in output.__struct_fields__:
        inner: Any
        inner, value = plain.get(name), getattr(output, name)
        below = sent.get(name) if isinstance(sent, dict) else None
        if isinstance(value, Output):
            _complete(inner, value, below, unset)
        elif isinstance(value, list) and value and isinstance(value[0], Output):
            parts = below if isinstance(below, list) and len(below) == len(value) else [None] * len(value)
            for plain_item, item, part in zip(inner, value, parts, strict=True):
                _complete(plain_item, item, part, unset)
        elif value is None and not unset:
            plain.pop(name, None)
    if not unset and isinstance(output, OpenOutput):
        plain.update(output.told or ())


def _trim(plain: dict[str, Any], output: Output, sent: Any, *, nones: bool, defaults: bool) -> None:
    """Take fields out of an output's dict, all the way down: those that are None; those that have their default."""
    for field in msgspec.structs.fields(output):
        name, value = field.encode_name, getattr(output, field.name)
        below = sent.get(name) if isinstance(sent, dict) else None
        is_unset = defaults and not (isinstance(sent, dict) and name in sent) and _is_default(value, field)
        if (nones and value is None) or is_unset:
            plain.pop(name, None)
        elif isinstance(value, Output):
            _trim(plain[name], value, below, nones=nones, defaults=defaults)
        elif isinstance(value, list):
            parts = below if isinstance(below, list) and len(below) == len(value) else [None] * len(value)
            for inner, item, part in zip(plain[name], value, parts, strict=True):
                if isinstance(item, Output):
                    _trim(inner, item, part, nones=nones, defaults=defaults)


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return field.default is not msgspec.NODEFAULT and bool(value == field.default)


def _chosen(plain: dict[str, Any], include: Any, exclude: Any) -> dict[str, Any]:
    """The members that are included, a dict of them as far down as it goes, and not excluded."""
    found = {}
    for name, value in plain.items():
        wanted = True if include is None else name in include and _below(include, name)
        dropped = exclude is not None and name in exclude and _below(exclude, name)
        if wanted is False or dropped is True:
            continue
        inside = None if wanted is True else wanted, None if dropped is False else dropped
        found[name] = _chosen(value, *inside) if isinstance(value, dict) else value
    return found


def _below(names: Any, name: str) -> Any:
    return names[name] if isinstance(names, Mapping) and names[name] is not ... else True


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _text(plain: Any, indent: int | None) -> str:
    if indent is not None:
        import json

        return json.dumps(_finite(plain), indent=indent, ensure_ascii=False)
    return msgspec.json.encode(plain).decode()


def _dumped(output: Any, info: Any) -> Any:
    """What pydantic writes for an output that is a part of its model."""
    if not isinstance(output, Output):
        return output
    names = ("mode", "include", "exclude", "exclude_unset", "exclude_defaults", "exclude_none")
    return output.model_dump(**{name: getattr(info, name) for name in names})


def _inlined(schema: Any, parts: dict[str, Any], above: tuple[str, ...]) -> Any:
    """The JSON schema with its parts in it; of a part in itself nothing is said."""
    if isinstance(schema, list):
        return [_inlined(each, parts, above) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref")
    if isinstance(name, str):
        return {} if name in above else _inlined(parts[name], parts, (*above, name))
    return {key: _inlined(each, parts, above) for key, each in schema.items()}


def to_json(value: Any) -> bytes:
    """Any result or event as JSON: images, sounds and videos as base64, arrays as lists.

    Raises `TypeError` for what has no plain form.
    """
    return msgspec.json.encode(value, enc_hook=json_default)


def json_default(value: Any) -> Any:
    """For `json.dumps(result, default=json_default)`: any result of any call, lists of them too.

    Outputs and events become dicts, images and sounds base64, arrays lists. Raises `TypeError` for what has no plain
    form.
    """
    if isinstance(value, Output):
        return value.to_dict()
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=json_default)
    from ..media.images import encode_image
    from ..media.source import kind_of

    kind = kind_of(value)
    if kind == "array" or (hasattr(value, "ndim") and hasattr(value, "item")):
        return value.tolist()
    if kind == "image":
        data, _ = encode_image(value)
    elif kind == "data":
        data = bytes(value)
    elif callable(getattr(value, "to_dict", None)):
        return value.to_dict()
    else:
        raise TypeError(f"a {type(value).__name__} has no plain form")
    return binascii.b2a_base64(data, newline=False).decode()


class Scored(Output):
    """A label, and how likely it is: mostly a probability, 0 to 1, but for `function_to_apply` "none".

    A server that gives no score leaves None there.
    """

    label: Nullable[str]
    score: Nullable[float] = NOT_SAID
