"""An answer as a value of a type, of a chat, a text, a response or a message, whichever dialect brings it.

    call ──▶ the provider's own flow ──▶ answer ──▶ validated ──▶ its value
                    ▲                                  │
                    └── with what is wrong with it ◀───┘      on_invalid="ask again"

The provider's flow is performed as it is, with the type's codec as its `response_format`, `grammar`, `text_format` or
`output_format`, which its dialect writes by its own rules. The answer is validated always, whatever the server has
promised. Asking again is more of the same call: under its one deadline, at the same provider, and within a budget of
tokens where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ..errors import (
    AnswerTry,
    DecodeError,
    EmptyAnswerError,
    InvalidAnswerError,
    RefusedAnswerError,
    TruncatedAnswerError,
)
from ..protocol.flow import Call, Flow, Fold, Stream, TaskFlow
from ..schema.codec import Codec
from ..schema.partial import PartialReader
from ..schema.repair import candidates
from ..tasks.chat_types import ChatCompletionOutput, ChatCompletionOutputUsage
from ..tasks.message_types import Message
from ..tasks.model_response import ModelResponse, ResponseFunctionToolCall
from ..tasks.parsed_types import (
    FoundValue,
    ParsedMessage,
    ParsedModelResponse,
    ValueSoFar,
    parsed_answer,
    parsed_chat,
    parsed_text,
    usage_in_tokens,
    usage_of_all,
)
from ..tasks.text import TextGenerationOutput

if TYPE_CHECKING:
    from ..tasks.typed_options import TypeParameter

OnInvalid: TypeAlias = Literal["raise", "repair", "ask again"]

_CUT: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_FILTERED: Final = frozenset({"content_filter", "refusal", "safety"})
_GOES_ON: Final = frozenset({"pause_turn", "tool_use"})
"""Ends of messages that go on: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons"""
_CHARACTERS_PER_TOKEN: Final = 4
"""Roughly, of a server that does not count them."""
_WRONG: Final = (
    "That is not what was asked for: {reason}. Answer again, with JSON that follows the schema and nothing else."
)


class AnswerType(msgspec.Struct, frozen=True, kw_only=True):
    """What a call's answer is to be: a value of the type that `codec` reads. `parameter`: which of the call's names the
    type. `on_invalid`: what follows an answer that is none. `max_tries`: how many answers, in all, and `token_budget`:
    how many tokens of all of them, asking again may come to. `details`: whether a text is wanted with its details."""

    codec: Codec[Any]
    parameter: TypeParameter
    on_invalid: OnInvalid = "raise"
    max_tries: int = 3
    token_budget: int | None = None
    details: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is a generated text's."""
        return self.parameter == "grammar"


class PartOfAnswer(msgspec.Struct, frozen=True):
    """One of the answers that were asked for: its text, and how it ended. `is_call`: the model called a tool in its
    place."""

    text: str
    finish: str | None = None
    refusal: str | None = None
    is_call: bool = False


def typed_flow(wanted: AnswerType, flow: TaskFlow, call: Call) -> Flow[Any]:
    """The flow of a call whose answer is to be of a type."""
    if wanted.is_text:  # how a text ended stands in its details
        call = msgspec.structs.replace(call, parameters={**call.parameters, "details": True})
    return TypedCall(flow, call, wanted).flow()


class TypedCall:
    """One call, and the answers to it that were no values of its type."""

    def __init__(self, flow: TaskFlow, call: Call, wanted: AnswerType) -> None:
        self._flow = flow
        self._call = call
        self._wanted = wanted
        self._tries: tuple[AnswerTry, ...] = ()

    def flow(self) -> Flow[Any]:
        """Ask until the answer is a value of the type, as often as that may be."""
        while True:
            inner = self._flow(self._call)
            answer = yield from (self._streamed(inner) if self._call.stream else inner)
            if isinstance(answer, str):
                answer = TextGenerationOutput(generated_text=answer)
            values = self._judged(answer)
            if values is not None:
                return self._typed(answer, values)

    def _rejoined(self, inner: Flow[Any]) -> Flow[Any]:
        """What goes on with a stream that was cut, whose answer is to be of the type as well."""
        answer = yield from self._streamed(inner)
        values = self._judged(answer)
        return (yield from self.flow()) if values is None else self._typed(answer, values)

    def _typed(self, answer: Any, values: dict[int, Any]) -> Any:
        if isinstance(answer, ChatCompletionOutput):
            return parsed_chat(answer, values, self._tries)
        if isinstance(answer, ModelResponse):
            return parsed_answer(ParsedModelResponse, answer, values.get(0), self._tries)
        if isinstance(answer, Message):
            return parsed_answer(ParsedMessage, answer, values.get(0), self._tries)
        return parsed_text(answer, values.get(0, FoundValue(None)), details=self._wanted.details)

    # -- streams

    def _streamed(self, inner: Flow[Any]) -> Flow[Any]:
        """The provider's flow, whose stream is folded into an answer with a value, and goes on where that is wrong."""
        try:
            step = inner.send(None)
            while True:
                if type(step) is Stream:
                    step = self._typed_stream(step)
                try:
                    given = yield step
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it is thrown into the flow, which may catch it
                    step = inner.throw(error)
                else:
                    step = inner.send(given)
        except StopIteration as stop:
            return stop.value
        finally:
            inner.close()

    def _typed_stream(self, step: Stream[Any, Any]) -> Stream[Any, Any]:
        """The step, with folds of ours around its own."""
        last, rejoin = step.last, step.rejoin
        return msgspec.structs.replace(
            step,
            fold=partial(self._fold, step.fold),
            then=self._then,
            last=None if last is None else lambda fold: last(fold.inner),
            rejoin=None if rejoin is None else partial(self._rejoin, rejoin),
        )

    def _rejoin(self, rejoin: Callable[[Any], Flow[Any] | None], fold: TypedFold) -> Flow[Any] | None:
        inner = rejoin(fold.inner)
        return None if inner is None else self._rejoined(inner)

    def _fold(self, make: Callable[[], Fold[Any, Any]]) -> TypedFold:
        return TypedFold(make(), self._wanted.codec, self._typed)

    def _then(self, fold: Fold[Any, Any]) -> Flow[Any] | None:
        """What follows a stream that is whole: nothing where its answer is a value of the type, else one more try."""
        assert isinstance(fold, TypedFold)
        values = self._judged(fold.answer())
        if values is None:
            return self.flow()
        fold.values = values
        return None

    # -- answers

    def _judged(self, answer: Any) -> dict[int, Any] | None:
        """The values of an answer; None where it is to be asked for again. Raises `InvalidAnswerError`."""
        values: dict[int, Any] = {}
        for place, part in enumerate(parts_of(answer)):
            if part.is_call:  # what it says besides need be no value
                with suppress(DecodeError):
                    values[place] = FoundValue(self._wanted.codec.decode(part.text))
                continue
            try:
                values[place] = FoundValue(self._value(part))
            except InvalidAnswerError as error:
                self._tries = (*self._tries, AnswerTry(part.text, error.message, error.path, answer_usage(answer)))
                if not self._asks_again(error):
                    raise self._described(error, answer) from None
                self._call = self._next_call(answer, error, place)
                return None
        return values

    def _value(self, part: PartOfAnswer) -> Any:
        """The value that a text is. Raises the `InvalidAnswerError` that it is otherwise."""
        if part.refusal and not part.text.strip():
            refused = "the model refused to answer"
            raise _wrong(RefusedAnswerError, f"{refused}: {part.refusal}", part.refusal, outline=refused)
        if part.finish in _FILTERED:
            raise _wrong(RefusedAnswerError, f"the answer was stopped by a filter ({part.finish})", part.text)
        if not part.text.strip():
            if part.finish in _CUT:
                raise _wrong(TruncatedAnswerError, "the answer was cut before it began", part.text)
            raise _wrong(EmptyAnswerError, "the model answered without a word", part.text)
        try:
            return self._wanted.codec.decode(part.text)
        except DecodeError as error:
            if part.finish in _CUT:
                cut = "the answer was cut at the most tokens that it may have"
                message = f"{cut}: {error.message}"
                raise _wrong(TruncatedAnswerError, message, part.text, error.path, outline=cut) from None
            if self._wanted.on_invalid == "repair":
                return self._repaired(part.text, error)
            raise _wrong(InvalidAnswerError, error.message, part.text, error.path, outline=error.outline) from None

    def _repaired(self, text: str, error: DecodeError) -> Any:
        for each in candidates(text):
            with suppress(DecodeError):
                return self._wanted.codec.decode(each)
        message = f"{error.message}, also when it is repaired"
        raise _wrong(InvalidAnswerError, message, text, error.path, outline=error.outline) from None

    def _described(self, error: InvalidAnswerError, answer: Any) -> InvalidAnswerError:
        """The error with all that is known of the tries."""
        error.tries = self._tries
        error.usage = usage_of_all([each.usage for each in self._tries])
        codec, parts = self._wanted.codec, enumerate(parts_of(answer))
        error.partial = self._typed(answer, {place: ValueSoFar(codec.partial(), part.text) for place, part in parts})
        return error

    # -- asking again

    def _asks_again(self, error: InvalidAnswerError) -> bool:
        wanted = self._wanted
        if wanted.on_invalid != "ask again" or isinstance(error, TruncatedAnswerError | RefusedAnswerError):
            return False
        return len(self._tries) < wanted.max_tries and self._tokens_left() > 0

    def _tokens_left(self) -> float:
        """Tokens that the next answer may have: what the budget leaves when the next prompt is paid for."""
        if self._wanted.token_budget is None:
            return float("inf")
        spent = [_tokens_of(each) for each in self._tries]
        return self._wanted.token_budget - sum(spent) - spent[-1]  # the next prompt has the last one and its answer

    def _next_call(self, answer: Any, error: InvalidAnswerError, place: int) -> Call:
        """The same call with the answer in it and what is wrong with it, for one answer within the budget."""
        given, reason = dict(self._call.parameters), _WRONG.format(reason=error.message)
        if isinstance(answer, ChatCompletionOutput):
            message = answer.choices[place].message
            said = [message] if message.content else []
            given["messages"] = [*given["messages"], *said, {"role": "user", "content": reason}]
            limit = "max_completion_tokens" if "max_completion_tokens" in given else "max_tokens"
        elif isinstance(answer, Message):
            given["messages"] = [*given["messages"], answer, {"role": "user", "content": reason}]
            limit = "max_tokens"
        elif isinstance(answer, ModelResponse):
            asked = given.get("input") or []
            asked = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
            given["input"] = [*asked, *answer.output, {"role": "user", "content": reason}]
            limit = "max_output_tokens"
        else:
            given["prompt"] = f"{given['prompt']}{answer.generated_text}\n\n{reason}\n\n"
            limit = "max_new_tokens"
        if (left := self._tokens_left()) != float("inf"):
            given[limit] = min(given.get(limit, left), int(left))
        return msgspec.structs.replace(self._call, parameters=given)


class TypedFold:
    """A stream's fold whose result has a value: `values` by their places once they are validated, else what has come,
    each read by one reader for the whole stream."""

    __slots__ = ("_codec", "_readers", "_typed", "add", "complete", "inner", "values")

    def __init__(self, fold: Fold[Any, Any], codec: Codec[Any], typed_as: Callable[[Any, dict[int, Any]], Any]) -> None:
        self.inner = fold
        self._codec = codec
        self._typed = typed_as
        self._readers: dict[int, PartialReader] = {}
        self.add = fold.add
        self.complete = fold.complete
        self.values: dict[int, Any] | None = None

    def answer(self) -> Any:
        """What has come, as the provider's own fold has it."""
        return self.inner.result()

    @property
    def failure(self) -> Any:
        """Why the answer failed, where it says so."""
        return getattr(self.inner, "failure", None)

    def result(self) -> Any:
        """What has come, with its value."""
        answer = self.answer()
        if self.values is not None:
            return self._typed(answer, self.values)
        return self._typed(
            answer, {place: self._so_far(place, part.text) for place, part in enumerate(parts_of(answer))}
        )

    def _so_far(self, place: int, text: str) -> ValueSoFar:
        reader = self._readers.get(place)
        if reader is None:
            reader = self._readers[place] = self._codec.partial()
        return ValueSoFar(reader, text)


def parts_of(answer: Any) -> list[PartOfAnswer]:
    """The answers of a chat, or the one of a text generation, a response or a message; none of a response that is not
    over."""
    if isinstance(answer, ModelResponse):
        calls = any(isinstance(item, ResponseFunctionToolCall) for item in answer.output)
        part = PartOfAnswer(answer.output_text, answer.reason, answer.refusal, is_call=calls)
        return [part] if answer.is_over or answer.output else []
    if isinstance(answer, Message):
        calls = answer.stop_reason in _GOES_ON or any(block.type == "tool_use" for block in answer.content)
        return [PartOfAnswer(answer.text, answer.stop_reason, is_call=calls)]
    if isinstance(answer, TextGenerationOutput):
        finish = answer.details.finish_reason if answer.details is not None else None
        return [PartOfAnswer(answer.generated_text, finish)]
    return [
        PartOfAnswer(
            text=choice.message.content or "",
            finish=choice.finish_reason,
            refusal=choice.message.refusal,
            is_call=bool(choice.message.tool_calls or choice.message.function_call),
        )
        for choice in answer.choices
    ]


def answer_usage(answer: Any) -> ChatCompletionOutputUsage | None:
    """What an answer cost."""
    if isinstance(answer, ChatCompletionOutput | ModelResponse | Message):
        return usage_in_tokens(answer.usage)
    generated = answer.details.generated_tokens if answer.details is not None else None
    return None if generated is None else ChatCompletionOutputUsage(completion_tokens=generated)


def _tokens_of(tried: AnswerTry) -> int:
    usage = tried.usage
    if usage is not None and usage.total_tokens is not None:
        return int(usage.total_tokens)
    return len(tried.text) // _CHARACTERS_PER_TOKEN + 1


def _wrong(
    kind: type[InvalidAnswerError], message: str, text: str, path: str | None = None, *, outline: str = ""
) -> InvalidAnswerError:
    error = kind(message)
    error.text, error.path, error.body, error.outline = text, path, text.encode(errors="replace")[:512], outline
    return error
