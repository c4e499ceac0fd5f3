"""A Python type as what an answer is to be: its schema, made once, and what reads JSON as a value of it.

A type whose JSON is no object may stand in one, as its only member `value`, for servers that want objects: such an
answer is read with the wrapping and without it.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Any, Final, Generic, TypeVar, cast, overload

import msgspec

from ..errors import DecodeError
from ..protocol.json_text import UNREADABLE, loads
from .conversion import Mismatch, check_finite, converted, foreign_value, is_native
from .json_schema import schema_of
from .partial import PartialReader, ValueReader
from .rules import WRAPPER, FittedSchema, NamedSchema, SchemaRules, fitted
from .type_tree import Foreign, MapOf, Node, ObjectOf, TupleOf, documentation, tree_of, type_name

T = TypeVar("T")

SHOWN_BYTES: Final = 512
"""How much of a text an error shows."""
_REFUSED: Final = (*UNREADABLE, TypeError, LookupError, AttributeError, ArithmeticError)
"""What readers raise, and the code of the classes that they make."""
_OF_TYPES: Final = ("__args__", "__origin__", "__supertype__", "__value__")
"""What aliases, unions and new types have."""
_LONGEST_NAME: Final = 64
"""https://platform.openai.com/docs/api-reference/chat/create#chat-create-response_format"""


class Codec(NamedSchema, Generic[T]):
    """A type: its `name`, its `description`, its JSON `schema`, and its values from JSON.

    The schema is shared by all who ask for it, and nobody's to change.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.tree: Node = tree_of(kind)
        self.name = identifier(type_name(kind))
        self.description = documentation(kind)
        self._fitted: dict[SchemaRules, FittedSchema] = {}

    def __repr__(self) -> str:
        return f"<codec of {self.name}>"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The type's JSON schema, by no provider's rules."""
        return schema_of(self.tree)

    @cached_property
    def is_object(self) -> bool:
        """Whether its JSON is never wrapped in an object."""
        if isinstance(self.tree, Foreign):  # it may stand for anything
            return not self.fitted(SchemaRules()).wrapped
        return isinstance(self.tree, ObjectOf | MapOf | TupleOf)

    def fitted(self, rules: SchemaRules) -> FittedSchema:
        """The schema as a provider wants it, made once. Raises `InvalidParameterError` for one that it cannot have."""
        found = self._fitted.get(rules)
        if found is None:
            found = self._fitted[rules] = fitted(self.schema, rules, self.name)
        return found

    def decode(self, text: str | bytes) -> T:
        """The value that the text stands for.

        Raises `DecodeError`, whose `path` leads to the member that is wrong.
        """
        data = text.encode(errors="replace") if isinstance(text, str) else text
        try:
            return cast("T", self._read(data))
        except Mismatch as mismatch:
            raise self._error(mismatch, data) from None

    def convert(self, value: Any) -> T:
        """Read the value from JSON's plain values. Raises `DecodeError` as well."""
        try:
            return cast("T", self._converted(value))
        except Mismatch as mismatch:
            raise self._error(mismatch, _excerpt(value)) from None

    def partial(self) -> PartialReader:
        """What reads one text that grows as the value that it is so far."""
        return PartialReader(self.tree, self._values, is_object=self.is_object)

    # -- how

    @cached_property
    def _values(self) -> ValueReader:
        return ValueReader()

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Any] | None:
        """What reads the type in one go; None where nothing does."""
        return msgspec.json.Decoder(self.kind, dec_hook=foreign_value) if is_native(self.kind, self.tree) else None

    def _read(self, data: bytes) -> Any:
        try:
            if isinstance(self.tree, Foreign):
                return self.tree.kind.model_validate_json(data)
            if self._decoder is not None:
                return self._decoder.decode(data)
        except _REFUSED:  # of odd spelling, wrapped, or wrong: it is read once more, and what is wrong is said there
            pass
        try:
            value = loads(data, commas=False)
            check_finite(value)
        except UNREADABLE as error:
            raise Mismatch(f"no JSON: {error}") from None
        return self._converted(value)

    def _converted(self, value: Any) -> Any:
        if self.is_object or not isinstance(value, dict) or value.keys() != {WRAPPER}:
            return converted(self.tree, value)
        try:
            return converted(self.tree, value[WRAPPER])
        except Mismatch as error:
            try:  # it may be a class of its own with such a member
                return converted(self.tree, value)
            except Mismatch:
                raise error from None

    def _error(self, mismatch: Mismatch, data: bytes) -> DecodeError:
        return decode_error(mismatch, data, self.name)


@overload
def codec_of(kind: type[T]) -> Codec[T]: ...
@overload
def codec_of(kind: Any) -> Codec[Any]: ...
def codec_of(kind: Any) -> Codec[Any]:
    """The codec of a type, made once; of a schema that was given as one, this itself.

    Raises `InvalidParameterError` for what has no schema, with the member it is.
    """
    if isinstance(kind, NamedSchema):
        return cast("Codec[Any]", kind)
    try:
        return _made(kind)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return Codec(kind)


@lru_cache(maxsize=1024)
def _made(kind: Any) -> Codec[Any]:
    return Codec(kind)


def identifier(name: str) -> str:
    """The name as servers take it: letters, digits, underscores and dashes."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")
    return plain[:_LONGEST_NAME] or "value"


def is_type(value: Any) -> bool:
    """Whether a value is a type that an answer may be of, and no JSON object."""
    return isinstance(value, type | NamedSchema) or value is Any or any(hasattr(value, name) for name in _OF_TYPES)


def decode_error(mismatch: Mismatch, data: bytes, name: str) -> DecodeError:
    """The error for JSON that is no value of the type that is called `name`."""
    error = DecodeError(f"this is no {name}: {mismatch.reason[:1].lower()}{mismatch.reason[1:]} - at {mismatch.path}")
    error.outline = f"this is no {name} - at {mismatch.path}"  # the reason may have a value in it
    error.body, error.path = data[:SHOWN_BYTES], mismatch.path
    return error


def _excerpt(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)[:SHOWN_BYTES]
    except (TypeError, ValueError, msgspec.MsgspecError):
        return b""
