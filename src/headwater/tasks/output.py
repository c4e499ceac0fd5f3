"""What every result type is: a Struct whose fields also answer as keys, and that forgets nothing.

The server's own bytes stay attached to a result's outermost object, undecoded; `raw` decodes them when asked.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Any, Self, TypeVar

import msgspec

from ..media.images import encode_image
from ..media.media import Media
from ..media.source import kind_of
from ..protocol.json_text import loads
from .lenient_types import NOT_SAID, Nullable

S = TypeVar("S", bound="Output")


class Output(msgspec.Struct, kw_only=True, dict=True):
    """A result: `out.score`, `out["score"]`, `out.get("score")`, `"score" in out`, `dict(out)`, `out.to_json()`."""

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
        """The declared fields as plain dicts and lists, all the way down."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> str:
        """The declared fields as JSON text."""
        return msgspec.json.encode(self).decode()

    @property
    def raw(self) -> Any:
        """All that the server sent for this, decoded now; None where this was not read from an answer."""
        body = self.__dict__.get("_body")
        return None if body is None else loads(body)

    @property
    def facts(self) -> Any:
        """How this came about (`headwater.Facts`: provider, request id, attempts, ...), if a call gave it."""
        return self.__dict__.get("_facts")

    def __copy__(self) -> Self:
        return _made(type(self), *_parts(self))

    def __reduce__(self) -> Any:
        return _made, (type(self), *_parts(self))


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

    def part_of(self, body: bytes, *way: str | int) -> None:
        """Remember the answer that this is a part of: its bytes, and the names and numbers that lead here."""
        vars(self)["_part"] = body, way

    def hold(self, further: dict[str, Any]) -> None:
        """Keep members that no field holds."""
        vars(self)["_further"] = further

    @property
    def held(self) -> dict[str, Any] | None:
        """The members that were kept; None where this was not put together."""
        return self.__dict__.get("_further")

    def __contains__(self, key: object) -> bool:
        return key in self.__struct_fields__ or key in self._undeclared()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, and of what the server sent beyond them."""
        return (*self.__struct_fields__, *self._undeclared())

    def values(self) -> list[Any]:
        """The values of `keys`."""
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[str, Any]]:
        """The fields and what the server sent beyond them, as pairs."""
        return [*super().items(), *self._undeclared().items()]

    def to_dict(self) -> dict[str, Any]:
        """The fields, and what the server sent beyond them, as plain dicts and lists, all the way down."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        _complete(plain, self, self.sent())
        return plain

    def to_json(self) -> str:
        """The same as JSON text."""
        return msgspec.json.encode(self.to_dict()).decode()

    @property
    def raw(self) -> Any:
        """All that the server sent for this, decoded now: of a stream, what a plain answer would have had. None where
        this was not read from an answer."""
        sent = self.sent()
        if sent is None and self.held is not None:
            told: dict[str, Any] = msgspec.to_builtins(self)
            _complete(told, self, None, unset=False)
            return told
        return sent

    def sent(self) -> Any:
        """What the server sent for this, decoded now; None where it was put together, or made by hand."""
        if (whole := super().raw) is not None or "_part" not in self.__dict__:
            return whole
        body, way = self.__dict__["_part"]
        value = loads(body)
        try:
            for step in way:
                value = value[step]
        except (LookupError, TypeError):  # it was read otherwise than it came
            return None
        return value

    def _undeclared(self) -> dict[str, Any]:
        sent = self.sent() if self.held is None else self.held
        return {k: v for k, v in sent.items() if k not in self.__struct_fields__} if isinstance(sent, dict) else {}


def _complete(plain: dict[str, Any], output: Any, sent: Any, unset: bool = True) -> None:
    """Put into an output's dict what its fields do not hold, all the way down. `unset`: leave fields that are None."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            plain.setdefault(name, value)
    if isinstance(output, OpenOutput) and output.held:
        plain.update(output.held)
    for name in output.__struct_fields__:
        inner, value = plain[name], getattr(output, name)
        below = sent.get(name) if isinstance(sent, dict) else None
        if isinstance(value, Output):
            _complete(inner, value, below, unset)
        elif isinstance(value, list) and value and isinstance(value[0], Output):
            parts = below if isinstance(below, list) and len(below) == len(value) else [None] * len(value)
            for plain_item, item, part in zip(inner, value, parts, strict=True):
                _complete(plain_item, item, part, unset)
        elif value is None and not unset:
            del plain[name]


class MediaOutput(Output):
    """A result with sounds or images; `to_dict()` and `to_json()` write them as base64."""

    def to_dict(self) -> dict[str, Any]:
        """The declared fields as plain dicts and lists, all the way down."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_base64)
        return plain

    def to_json(self) -> str:
        """The declared fields as JSON text."""
        return msgspec.json.encode(self, enc_hook=_base64).decode()


def to_json(value: Any) -> bytes:
    """Any result or event as JSON: images, sounds and videos as base64, arrays as lists.

    Raises `TypeError` for what has no plain form.
    """
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if kind_of(value) == "array" else _base64(value)


def _base64(value: Any) -> str:
    if isinstance(value, Media):
        data: bytes = value
    elif kind_of(value) == "image":
        data, _ = encode_image(value)
    else:
        raise TypeError(f"a {type(value).__name__} has no plain form")
    return binascii.b2a_base64(data, newline=False).decode()


class Scored(Output):
    """A label, and how likely it is: mostly a probability, 0 to 1, but for `function_to_apply` "none".

    A server that gives no score leaves None there.
    """

    label: Nullable[str]
    score: Nullable[float] = NOT_SAID
