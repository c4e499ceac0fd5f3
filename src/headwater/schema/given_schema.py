"""A JSON schema that somebody has written, as what an answer is to be: its values are JSON's own, and are validated.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from ..errors import CallError, InvalidParameterError
from ..protocol.json_text import UNREADABLE, loads
from .codec import decode_error, identifier
from .conversion import Mismatch
from .partial import PartialReader, ValueReader
from .rules import WRAPPER, FittedSchema, NamedSchema, SchemaRules, fitted
from .type_tree import Anything

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_ANYTHING: Final = Anything()


class GivenSchema(NamedSchema):
    """A schema, read as a `Codec` is: `decode` returns dicts and lists. `name`: what it is called where it is sent.

    Raises `InvalidParameterError` for what is no JSON schema, and `CallError` without jsonschema (the extra `cli`),
    which validates by it.
    """

    def __init__(self, schema: Any, name: str) -> None:
        if not isinstance(schema, Mapping):
            raise InvalidParameterError(f"{name}: a JSON schema is an object")
        self.schema: dict[str, Any] = _in_newest_words(schema)
        title = schema.get("title")
        self.name = identifier(title if isinstance(title, str) and title else name)
        self._validator = _validator(dict(schema), name)
        self._fitted: dict[SchemaRules, FittedSchema] = {}

    def __repr__(self) -> str:
        return f"<schema {self.name}>"

    @cached_property
    def is_object(self) -> bool:
        """Whether its JSON is never wrapped in an object."""
        return not self.fitted(SchemaRules()).wrapped

    def fitted(self, rules: SchemaRules) -> FittedSchema:
        """The schema as a provider wants it, made once. Raises `InvalidParameterError` for one that it cannot have."""
        found = self._fitted.get(rules)
        if found is None:
            found = self._fitted[rules] = fitted(self.schema, rules, self.name)
        return found

    def decode(self, text: str | bytes) -> Any:
        """The JSON of a text. Raises `DecodeError`, whose `path` leads to what is not as the schema says."""
        data = text.encode(errors="replace") if isinstance(text, str) else text
        try:
            value = loads(data, commas=False)
        except UNREADABLE as error:
            raise decode_error(Mismatch(f"no JSON: {error}"), data, self.name) from None
        if not self.is_object and isinstance(value, dict) and value.keys() == {WRAPPER}:
            value = value[WRAPPER]
        return self._valid(value, data)

    def partial(self) -> PartialReader:
        """What reads one text that grows as the JSON that it is so far."""
        return PartialReader(_ANYTHING, ValueReader(), is_object=self.is_object)

    def _valid(self, value: Any, data: bytes) -> Any:
        from jsonschema.exceptions import best_match

        try:
            wrong = best_match(self._validator.iter_errors(value))
        except Exception as error:  # noqa: BLE001 - a reference that leads nowhere, a pattern that is none, no end of them
            raise InvalidParameterError(f"{self.name}: the schema cannot be followed: {error}") from None
        if wrong is None:
            return value
        steps = [_step(each) for each in reversed(wrong.absolute_path)]
        raise decode_error(Mismatch(wrong.message, *steps), data, self.name)


def _in_newest_words(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its definitions under the name that they have since 2019; it is not changed.

    https://json-schema.org/draft/2019-09/release-notes#semi-incompatible-changes
    """
    found = _repointed(schema)
    old = found.pop("definitions", None)
    return {**found, "$defs": {**old, **found.get("$defs", {})}} if isinstance(old, dict) else found


def _repointed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_repointed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {name: _repointed(each) for name, each in schema.items()}
    if isinstance(reference := found.get("$ref"), str):
        found["$ref"] = re.sub("^#/definitions/", "#/$defs/", reference)
    return found


def _step(place: str | int) -> str:
    if isinstance(place, int):
        return f"[{place}]"
    return f".{place}" if _PLAIN_NAME.fullmatch(place) else f"[{place!r}]"


def _validator(schema: dict[str, Any], name: str) -> Any:
    """What validates by the schema: by the draft that it names, and the newest where it names none."""
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
    except ImportError as error:
        message = 'validating by a JSON schema needs a package that is missing: pip install "headwater[cli]"'
        raise CallError(message) from error
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise InvalidParameterError(f"{name}: this is no JSON schema: {error.message}") from None
    registry: Any = Registry()  # which loads nothing from anywhere
    return kind(schema, registry=registry)
