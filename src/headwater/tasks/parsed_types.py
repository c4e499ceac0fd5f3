"""Answers that are values of a type: what a chat, a text generation, a response and a message are where they were asked
for one.

`parsed` is that value. Of an answer that is not whole it is the value so far, which is computed when it is asked for,
and costs nothing where it is not: what has not come is a member's default, or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from ..errors import AnswerTry
from ..schema.partial import PartialReader
from ..schema.plain_value import plain_value
from .chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputComplete,
    ChatCompletionOutputMessage,
    ChatCompletionOutputUsage,
    added,
)
from .message_types import Message
from .model_response import ModelResponse
from .output import Output
from .text import TextGenerationOutput

T = TypeVar("T")


class FoundValue:
    """The value of an answer that is whole."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        """The value."""
        return self._value

    def __reduce__(self) -> Any:
        return FoundValue, (_if_pickled(self.get()),)


class ValueSoFar:
    """The value of a text that is not whole, read when it is asked for."""

    __slots__ = ("_reader", "_text")

    def __init__(self, reader: PartialReader, text: str) -> None:
        self._reader = reader
        self._text = text

    def get(self) -> Any:
        """The value."""
        return self._reader.read(self._text)

    def __reduce__(self) -> Any:
        return FoundValue, (_if_pickled(self.get()),)


def _if_pickled(value: Any) -> Any:
    """The value, where it can be taken to another process: one of a class within a function cannot."""
    import pickle

    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever the value's own code raises
        return None
    return value


def parsed_value(output: Any) -> Any:
    """The value of an answer, or of a part of one; None where it has none."""
    found = vars(output).get("_value")
    return None if found is None else found.get()


class ParsedChatCompletionMessage(ChatCompletionOutputMessage, Generic[T]):
    """A message that is a value of a type."""

    @property
    def parsed(self) -> T | None:
        """The value; None where the model called tools in its place, and where nothing of it has come."""
        return cast("T | None", parsed_value(self))


class ParsedChoice(ChatCompletionOutputComplete, Generic[T]):
    """One answer of the `n` that were asked for."""

    if TYPE_CHECKING:
        message: ParsedChatCompletionMessage[T] = msgspec.field(  # pyright: ignore[reportIncompatibleVariableOverride]
            default_factory=ParsedChatCompletionMessage
        )


def _first_value(answer: ChatCompletionOutput) -> Any:
    return parsed_value(answer.choices[0].message) if answer.choices else None


class _Tried:
    """What an answer of a type has of those before it, which were none."""

    __slots__ = ()

    if TYPE_CHECKING:
        usage: Any

    @property
    def tries(self) -> tuple[AnswerTry, ...]:
        """The answers before this one that were none of the type, with what each cost."""
        return cast("tuple[AnswerTry, ...]", vars(self).get("_tries", ()))

    @property
    def total_usage(self) -> ChatCompletionOutputUsage | None:
        """What this answer and those before it cost together; None where the server did not say."""
        return usage_of_all([*(each.usage for each in self.tries), usage_in_tokens(self.usage)])


class ParsedChatCompletion(ChatCompletionOutput, _Tried, Generic[T]):
    """A chat's answer that is a value of a type: `parsed`, or of each of several, `choices[n].message.parsed`."""

    if TYPE_CHECKING:
        choices: list[ParsedChoice[T]]  # type: ignore[assignment]

    @property
    def parsed(self) -> T:
        """The first choice's value. Of an answer that is not whole, what has come of it; None before anything has, and
        where the model called tools in its place."""
        return cast("T", _first_value(self))


class ParsedTextGeneration(TextGenerationOutput, Generic[T]):
    """A generated text that is a value of a type, with its details."""

    @property
    def parsed(self) -> T:
        """The value; of a text that is not whole, what has come of it."""
        return cast("T", parsed_value(self))


class ParsedText(str, Generic[T]):
    """A generated text that is a value of a type."""

    _value: FoundValue | ValueSoFar

    @property
    def parsed(self) -> T:
        """The value; of a text that is not whole, what has come of it."""
        return cast("T", parsed_value(self))

    def __reduce__(self) -> Any:
        return _text, (str(self), self._value)


def _text(text: str, value: FoundValue | ValueSoFar) -> ParsedText[Any]:
    made: ParsedText[Any] = ParsedText(text)
    made._value = value
    return made


class ParsedModelResponse(ModelResponse, _Tried, Generic[T]):
    """A response whose text is a value of a type."""

    @property
    def output_parsed(self) -> T:
        """The value. Of a response that is not whole, what has come of it; None before anything has, where the model
        called tools in its place, and of one in the background that is not over."""
        return cast("T", parsed_value(self))

    parsed = output_parsed
    """The same, by the name that it has in chats."""


class ParsedMessage(Message, _Tried, Generic[T]):
    """A message whose text is a value of a type."""

    @property
    def parsed_output(self) -> T:
        """The value. Of a message that is not whole, what has come of it; None before anything has, and where the model
        called tools in its place."""
        return cast("T", parsed_value(self))

    parsed = parsed_output
    """The same, by the name that it has in chats."""


def usage_in_tokens(usage: Any) -> ChatCompletionOutputUsage | None:
    """A response's or a message's usage in a chat's counts; a chat's as it is."""
    if usage is None or isinstance(usage, ChatCompletionOutputUsage):
        return usage
    total, spent = usage.total_tokens, usage.output_tokens
    prompt = usage.input_tokens if total is None or spent is None else total - spent
    return ChatCompletionOutputUsage(prompt_tokens=prompt, completion_tokens=spent, total_tokens=total)


def parsed_answer(
    kind: type[Any], answer: Output, value: FoundValue | ValueSoFar | None, tries: tuple[AnswerTry, ...] = ()
) -> Any:
    """A response or a message, as one of this class, with its value."""
    made = _as(kind, answer)
    if value is not None:
        vars(made)["_value"] = value
    if tries:
        vars(made)["_tries"] = tries
    return made


def parsed_chat(
    answer: ChatCompletionOutput, values: Mapping[int, FoundValue | ValueSoFar], tries: tuple[AnswerTry, ...] = ()
) -> ParsedChatCompletion[Any]:
    """The answer with the values of its choices, by their places."""
    made: ParsedChatCompletion[Any] = _as(ParsedChatCompletion, answer)
    made.choices = [_as(ParsedChoice, choice) for choice in answer.choices]
    for place, choice in enumerate(made.choices):
        choice.message = parsed_message(choice.message, values.get(place))
    if tries:
        vars(made)["_tries"] = tries
    return made


def parsed_message(
    message: ChatCompletionOutputMessage, value: FoundValue | ValueSoFar | None
) -> ParsedChatCompletionMessage[Any]:
    """The message with its value, if it has one."""
    made: ParsedChatCompletionMessage[Any] = _as(ParsedChatCompletionMessage, message)
    vars(made).pop("_value", None)
    if value is not None:
        vars(made)["_value"] = value
    return made


def parsed_text(answer: TextGenerationOutput, value: FoundValue | ValueSoFar, *, details: bool) -> Any:
    """The text with its value; with `details`, in a `ParsedTextGeneration`."""
    if not details:
        return _text(answer.generated_text, value)
    made = _as(ParsedTextGeneration, answer)
    vars(made)["_value"] = value
    return made


def _as(kind: type[Any], output: Output) -> Any:
    """The same output as one of a narrower class."""
    made = kind(**{name: getattr(output, name) for name in output.__struct_fields__})
    vars(made).update(vars(output))
    return made


def with_values(answer: Any, sent: Any = None) -> dict[str, Any]:
    """An answer as plain JSON with its values in it: `parsed` beside each message's content, or beside a text, and the
    `tries` before it. `sent`: the server's own JSON of it, where that is at hand, which is changed."""
    if not isinstance(answer, ParsedChatCompletion):
        members = {"generated_text": str(answer)} if isinstance(answer, str) else answer.to_dict()
        tries = msgspec.to_builtins(getattr(answer, "tries", ()))
        return {**members, "parsed": plain_value(parsed_value(answer)), **({"tries": tries} if tries else {})}
    choices = sent.get("choices") if isinstance(sent, dict) else None
    plain: dict[str, Any] = answer.to_dict() if not isinstance(choices, list) else sent
    if len(plain["choices"]) != len(answer.choices):
        plain = answer.to_dict()
    for choice, made in zip(plain["choices"], answer.choices, strict=True):
        choice["message"]["parsed"] = plain_value(made.message.parsed)
    if answer.tries:
        plain["tries"] = msgspec.to_builtins(answer.tries)
    return plain


def usage_of_all(usages: list[Any]) -> ChatCompletionOutputUsage | None:
    """What several answers cost together; None where none says so."""
    told = [each for each in usages if each is not None]
    return reduce(added, told[1:], told[0]) if told else None
