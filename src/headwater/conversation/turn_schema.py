"""What a model's text is to be where its calls are read from it: calls of the tools, or the final answer.

As a schema, which a server can be held to, it is by each provider's rules like that of any type; where the answer is of
a type, it reads such a text as well. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import cached_property
from typing import Any, Final

from msgspec import UNSET

from ..errors import DecodeError
from ..protocol.json_value import is_object, json_value
from ..schema.codec import Codec, codec_of
from ..schema.json_schema import hoisted
from ..schema.partial import PartialReader, ValueReader
from ..schema.rules import WRAPPER, FittedSchema, NamedSchema, SchemaRules, fitted
from ..schema.type_tree import Member, ObjectOf
from ..tasks.chat_types import ChatCompletionOutputMessage
from ..tasks.parsed_types import FoundValue, parsed_message, parsed_value
from .parameters import ToolMode
from .prompted import ANSWER, CALLS, TextTurn, Wishes, message_of_turn, read_text
from .tool import Tool

_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "additionalProperties": True}
_MOST_CALLS: Final = 8
_FIRST_NAME: Final = re.compile(r'\s*\{\s*"([^"\\]*)"\s*:')


def turn_form(
    tools: Mapping[str, Tool[..., Any]], wanted: Any, wishes: Wishes, mode: ToolMode
) -> tuple[TurnSchema | None, Mapping[str, Any] | None]:
    """What a turn's text is to be, as a `response_format`, and the schema of the final answer, which the model is told;
    None where there is none. `wanted`: the caller's own `response_format`."""
    schema, told = answer_schema(wanted), mode == "prompted"
    if wanted is not None and not is_object(wanted):
        return TypedTurn(tools, codec_of(wanted), wishes, told=told), schema
    return None if told else TurnSchema(tools, schema, wishes), schema


def answer_of_text(message: ChatCompletionOutputMessage, tools: Container[str]) -> ChatCompletionOutputMessage:
    """The model's message as what its text comes to; where it is typed, with its value in place of the `TextTurn`."""
    turn: TextTurn | None = parsed_value(message)
    if message.tool_calls or message.function_call is not None:  # the server's own
        return message if turn is None else parsed_message(message, None)
    if turn is None:
        return message_of_turn(read_text(message.content or "", tools), message)
    return parsed_message(message_of_turn(turn, message), FoundValue(turn.value))


def answer_schema(wanted: Any) -> Mapping[str, Any] | None:
    """The schema of the final answer, given what is wanted of it, a type or OpenAI's `response_format`; None of a
    text."""
    if wanted is None:
        return None
    if not is_object(wanted):
        found: Mapping[str, Any] = codec_of(wanted).schema
        return found
    plain = json_value(wanted)
    part = plain.get("json_schema")
    schema = part.get("schema") if isinstance(part, Mapping) else None
    if isinstance(schema, Mapping):
        return schema
    return _ANY_OBJECT if plain.get("type") == "json_object" else None


class TurnSchema(NamedSchema):
    """The schema of one turn: one object, with calls of the tools or with the answer, as far as the turn may have
    them."""

    name = "turn"

    def __init__(self, tools: Mapping[str, Tool[..., Any]], answer: Mapping[str, Any] | None, wishes: Wishes) -> None:
        """`answer`: the schema of the final answer; None of a text."""
        self.tools = tools
        self._answer = _TEXT if answer is None else answer
        self._wishes = wishes

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema, by no provider's rules."""
        defs: dict[str, Any] = {}
        wishes = self._wishes
        options = []
        if wishes.may_call:
            calls = [
                _object(name={"type": "string", "enum": [tool.name]}, arguments=hoisted(tool.parameters, defs))
                for tool in self.tools.values()
                if wishes.tools is None or tool.name in wishes.tools
            ]
            item = calls[0] if len(calls) == 1 else {"anyOf": calls}
            most = _MOST_CALLS if wishes.several else 1
            options.append(_object(**{CALLS: {"type": "array", "items": item, "minItems": 1, "maxItems": most}}))
        if wishes.may_answer:
            options.append(_object(**{ANSWER: hoisted(self._answer, defs)}))
        schema = options[0] if len(options) == 1 else {"anyOf": options}
        return {**schema, "$defs": defs} if defs else schema

    def fitted(self, rules: SchemaRules) -> FittedSchema:
        """The schema as a provider wants it. Raises `InvalidParameterError` for one that it cannot have."""
        return fitted(self.schema, rules, self.name)


class TypedTurn(TurnSchema):
    """A turn whose answer is a value of a type. `decode` has it in a `TextTurn`."""

    def __init__(self, tools: Mapping[str, Tool[..., Any]], codec: Codec[Any], wishes: Wishes, *, told: bool) -> None:
        """`told`: the model is told of it in words, and the server of nothing."""
        super().__init__(tools, codec.schema, wishes)
        self._codec = codec
        self.is_sent = not told

    def decode(self, text: str | bytes) -> TextTurn:
        """The calls that the text makes, or its answer with its value. Raises `DecodeError`."""
        given = text.decode(errors="replace") if isinstance(text, bytes) else text
        turn = read_text(given, self.tools)
        if turn.calls:
            return turn
        if turn.answer is UNSET:
            return TextTurn(content=given, value=self._codec.decode(given))
        try:
            turn.value = self._codec.convert(turn.answer)
        except DecodeError as wrong:
            try:  # it may be a class of its own with such a member
                return TextTurn(content=given, value=self._codec.decode(given))
            except DecodeError:
                raise wrong from None
        return turn

    def partial(self) -> PartialTurn:
        """What reads one text that grows as the value that its answer is so far."""
        return PartialTurn(self._codec)


class PartialTurn:
    """A text that grows, and the value of the answer in it: that of its member `answer`, or of all of it."""

    def __init__(self, codec: Codec[Any]) -> None:
        around = ObjectOf(ANSWER, dict, [Member(ANSWER, ANSWER, codec.tree, required=True)])
        self._whole = codec.partial()
        self._inner = PartialReader(around, ValueReader(), is_object=False)

    def read(self, text: str) -> Any:
        """The value so far; None where nothing of it has come, and where the text calls tools."""
        first = _FIRST_NAME.match(text)
        if first is None and text.lstrip().startswith("{"):
            return None
        if first is None or first[1] not in (ANSWER, CALLS, WRAPPER):
            return self._whole.read(text)
        found = self._inner.read(text)
        return found.get(ANSWER) if isinstance(found, dict) else None


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
